// A server may start before its root can be reached: until then it is sealed, answers public facts, and tries again.
import { isFault } from '@writ/sdk/protocol/fault'
import type { Surroundings } from './surroundings.ts'

export interface Opening {
  /** Why little is answered, for people; undefined once everything is open. */
  sealedBecause(): string | undefined
  /** Resolves once open, or never where it is stopped before. */
  readonly opened: Promise<void>
  stop(): void
}

const firstPauseMs = 500
const longestPauseMs = 15_000

/**
 * Opens, or leaves sealed where only the root is out of reach. Throws whatever else keeps from opening: a root that is
 * not the one which sealed the data does not become it by waiting.
 */
export async function openOrStaySealed(
  open: () => Promise<void>,
  { log }: Pick<Surroundings, 'log'>,
): Promise<Opening> {
  const opened = Promise.withResolvers<void>()
  let because: string | undefined
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  const attempt = async (pauseMs: number): Promise<void> => {
    try {
      await open()
      because = undefined
      opened.resolve()
    } catch (error) {
      // At the start it is for whoever starts; later there is nobody to tell but the log, and everything stays shut.
      if (!isOutOfReach(error) && because === undefined) throw error
      const next = isFault(error) ? error.message : 'The vault could not be opened; the log says why.'
      if (next !== because) log('error', { part: 'vault', sealed: true }, error)
      because = next
      if (isStopped) return
      timer = setTimeout(() => void attempt(Math.min(pauseMs * 2, longestPauseMs)), pauseMs)
    }
  }
  await attempt(firstPauseMs)
  return {
    sealedBecause: () => because,
    opened: opened.promise,
    stop() {
      isStopped = true
      clearTimeout(timer)
    },
  }
}

function isOutOfReach(error: unknown): boolean {
  return isFault(error) && error.why?.kind === 'sealer_away'
}
