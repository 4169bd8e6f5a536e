// Tells the issuer up to which epoch this process enforces everything, so that whoever halts something sees it arrive.
import type { Clock } from '../clock.ts'

export interface ConfirmationOptions {
  readonly fetch: typeof fetch
  readonly clock: Clock
  readonly label: string
  readonly signal: AbortSignal
}

export interface Confirmation {
  /** The name that the connection was given, and where to confirm; undefined where the issuer asks for none. */
  connected(point: string | undefined, url: string | undefined): void
  /** Everything up to this epoch is enforced from now on. */
  reached(epoch: number): void
}

/** How often a point that has nothing new says that it is still there. */
const keepAliveMs = 10_000

/** One word at a time, the newest: a burst of ends is confirmed with its last. A word that is lost is said again. */
export function confirmTo({ fetch, clock, label, signal }: ConfirmationOptions): Confirmation {
  let place: { readonly point: string; readonly url: string } | undefined
  let [epoch, told, toldAt, isTelling] = [-1, -1, Number.NEGATIVE_INFINITY, false]

  const tell = async (): Promise<void> => {
    if (place === undefined || isTelling || signal.aborted) return
    if (epoch <= told && clock.steadyMs() - toldAt < keepAliveMs) return
    isTelling = true
    const [to, upTo] = [place, epoch]
    try {
      const answer = await fetch(to.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ point: to.point, epoch: upTo, label }),
        redirect: 'error',
        signal: AbortSignal.any([signal, AbortSignal.timeout(2000)]),
      })
      await answer.body?.cancel()
      toldAt = clock.steadyMs()
      if (answer.status === 204) told = upTo
    } catch {
      // What is enforced does not depend on its being known; the next word comes with the next second.
      toldAt = clock.steadyMs()
    } finally {
      isTelling = false
    }
    if (epoch > upTo && told === upTo) void tell()
  }

  const ticks = setInterval(() => {
    if (clock.steadyMs() - toldAt >= 1000) void tell()
  }, 1000).unref()
  signal.addEventListener('abort', () => clearInterval(ticks), { once: true })

  return {
    connected(point, url) {
      place = point === undefined || url === undefined ? undefined : { point, url }
      told = -1
      void tell()
    },
    reached(upTo) {
      epoch = Math.max(epoch, upTo)
      void tell()
    },
  }
}
