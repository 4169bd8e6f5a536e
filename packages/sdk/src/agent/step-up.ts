// Asking for more when a resource says what is missing, and remembering it only as long as the token that brought it.
import { boundedCache } from '../protocol/bounded-cache.ts'
import { parseScope } from '../protocol/scope.ts'
import type { Ask, Token } from './token-request.ts'

export interface StepUps {
  /** What to ask for: more than was named, where that was needed a moment ago. */
  widened(ask: Ask): Ask
  keep(ask: Ask, wider: Ask, token: Token): void
  forget(ask: Ask): void
}

const maxKept = 512

/** `clock` gives epoch milliseconds. */
export function createStepUps(clock: () => number): StepUps {
  const kept = boundedCache<{ readonly wider: Ask; readonly untilMs: number }>(maxKept)
  const nameOf = ({ resource, scopes, details }: Ask): string =>
    JSON.stringify([resource, scopes?.toSorted() ?? null, details ?? null])
  return {
    widened(ask) {
      const known = kept.get(nameOf(ask))
      // Rights that are no longer needed fall away with the token: the next call starts from what it names.
      return known !== undefined && clock() < known.untilMs ? known.wider : ask
    },
    keep(ask, wider, token) {
      kept.set(nameOf(ask), { wider, untilMs: token.expiresAtMs })
    },
    forget: ask => kept.delete(nameOf(ask)),
  }
}

/**
 * What to ask for after 403 `insufficient_scope`: the union of what the token has, what was asked for and what the
 * challenge names (RFC 6750 §3.1, and the step-up of MCP); undefined where that is nothing new.
 */
export function union(ask: Ask, token: Token, challenged: string | undefined): Ask | undefined {
  const named = challenged === undefined ? undefined : parseScope(challenged)
  if (named === undefined || named.every(scope => token.scopes.includes(scope))) return undefined
  return { ...ask, scopes: [...new Set([...(ask.scopes ?? []), ...token.scopes, ...named])] }
}
