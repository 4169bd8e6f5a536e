// Calls without a pause for breath, and a watch on the JWKS: what rotation may disturb, and what it must keep.
import { setTimeout as pause } from 'node:timers/promises'
import type { SeenToken } from './wiretap.ts'

export interface Traffic {
  calls(): number
  failures(): readonly string[]
  stop(): Promise<void>
}

/** Each caller calls again as soon as it has its answer, give or take some milliseconds. */
export function startTraffic(callers: Readonly<Record<string, () => Promise<unknown>>>): Traffic {
  const failures: string[] = []
  let calls = 0
  let isStopped = false
  const repeat = async (name: string, call: () => Promise<unknown>): Promise<void> => {
    while (!isStopped) {
      await call().catch(error => failures.push(`${name}: ${error}`))
      calls += 1
      await pause(25)
    }
  }
  const running = Promise.all(Object.entries(callers).map(([name, call]) => repeat(name, call)))
  return {
    calls: () => calls,
    failures: () => failures,
    async stop() {
      isStopped = true
      await running
    },
  }
}

/** One look at the JWKS: the ids it held at some instant between the two, epoch milliseconds. */
export interface Look {
  readonly askedAtMs: number
  readonly answeredAtMs: number
  readonly kids: ReadonlySet<string>
}

export interface JwksWatch {
  readonly looks: readonly Look[]
  stop(): Promise<void>
}

export function watchJwks(uri: string): JwksWatch {
  const looks: Look[] = []
  let isStopped = false
  const repeat = async (): Promise<void> => {
    while (!isStopped) {
      const askedAtMs = Date.now()
      const { keys } = (await (await fetch(uri)).json()) as {
        readonly keys: readonly { readonly kid: string }[]
      }
      looks.push({ askedAtMs, answeredAtMs: Date.now(), kids: new Set(keys.map(({ kid }) => kid)) })
      await pause(100)
    }
  }
  const running = repeat()
  // A look that failed is thrown where the watch ends.
  running.catch(() => undefined)
  return {
    looks,
    async stop() {
      isStopped = true
      await running
    },
  }
}

/** The looks at which a token that was out and had not expired had no key to be verified with. */
export function gaps(looks: readonly Look[], tokens: Iterable<SeenToken>): readonly Look[] {
  const all = [...tokens]
  return looks.filter(({ askedAtMs, answeredAtMs, kids }) =>
    all.some(
      ({ kid, seenAtMs, expiresAt }) =>
        seenAtMs <= askedAtMs && answeredAtMs < expiresAt * 1000 && !kids.has(kid),
    ),
  )
}
