// What one process has seen of the keys and of the clock, so that a clock which is set cannot end a key too early.
import type { IssuerKey, Times } from '../domain/issuer-key.ts'

export interface Watch {
  /** Takes note of the clock (epoch seconds) and of the states of all keys of one tenant, and says what is known. */
  look(now: number, keys: readonly IssuerKey[]): Times
}

/** `steadySeconds` never goes back and is never set; its zero does not matter. One watch per tenant. */
export function watchKeys(steadySeconds: () => number): Watch {
  let latestAt = 0
  let since = new Map<string, number>()
  const sight = (key: IssuerKey): string => `${key.state} ${key.kid}`
  return {
    look(now, keys) {
      latestAt = Math.max(latestAt, now)
      const at = steadySeconds()
      since = new Map(keys.map(key => [sight(key), since.get(sight(key)) ?? at]))
      const seen = since
      return { now, latestAt, seenSeconds: key => at - (seen.get(sight(key)) ?? at) }
    },
  }
}
