// Tokens kept while they are good: one request at a time for each, renewed ahead of their end, and bounded in number.
import { boundedCache } from '../protocol/bounded-cache.ts'
import { canonicalResource } from '../protocol/uri.ts'
import type { Ask, Token } from './token-request.ts'

export interface TokenCache {
  /** A token that is good for a while; a new one where there is none. Throws what asking for it throws. */
  get(ask: Ask): Promise<Token>
  /**
   * A token in place of one that a resource did not accept, or undefined where that was tried a moment ago: a
   * resource that accepts none must not make every call two, and a request to the issuer besides. Without `refused`,
   * in place of any.
   */
  replace(ask: Ask, refused: Token | undefined): Promise<Token | undefined>
  /** What may be done at this resource has changed: tokens for it that were obtained until now are not used any more. */
  outdate(resource: string): void
  /** Tokens bound to this key are not used from this instant on (epoch milliseconds). */
  retire(jkt: string, untilMs: number): void
}

const maxTokens = 512
/** A token is renewed in the background over the last quarter of its life, and not used in its last two seconds. */
const renewalShare = 0.75
const lastMs = 2_000
/** Between two replacements of refused tokens, and between two attempts of a renewal that failed. */
const pauseMs = 1_000

/** A resource is one, however it was written. */
const nameOf = (resource: string): string => canonicalResource(resource) ?? resource

interface Slot {
  token: Token | undefined
  request: Promise<Token> | undefined
  requestedAtMs: number
  replacedAtMs: number
  renewAfterMs: number
}

/** `request` obtains a new token; `clock` gives epoch milliseconds. */
export function createTokenCache(request: (ask: Ask) => Promise<Token>, clock: () => number): TokenCache {
  const slots = boundedCache<Slot>(maxTokens)
  const retired = boundedCache<number>(8)
  const outdated = boundedCache<number>(maxTokens)

  const slotOf = (ask: Ask): Slot => {
    const { resource, scopes, details, session, bearer = false } = ask
    const name = JSON.stringify([
      resource,
      scopes?.toSorted() ?? null,
      bearer,
      details ?? null,
      session ?? null,
    ])
    const known = slots.get(name)
    if (known !== undefined) return known
    const slot: Slot = {
      token: undefined,
      request: undefined,
      requestedAtMs: 0,
      replacedAtMs: -pauseMs,
      renewAfterMs: 0,
    }
    slots.set(name, slot)
    return slot
  }
  const endOf = (token: Token): number => {
    const lifeMs = token.expiresAtMs - token.obtainedAtMs
    // A token so short that two seconds are most of its life is used to half of it.
    const ownEnd = token.expiresAtMs - Math.min(lastMs, lifeMs / 2)
    return Math.min(ownEnd, (token.key && retired.get(token.key.jkt)) ?? Number.POSITIVE_INFINITY)
  }
  const isOutdated = ({ resource }: Ask, atMs: number): boolean =>
    atMs <= (outdated.get(nameOf(resource)) ?? -1)
  const renew = (slot: Slot, ask: Ask): Promise<Token> => {
    // One that was begun before something changed brings a token that does not know of it.
    if (slot.request !== undefined && !isOutdated(ask, slot.requestedAtMs)) return slot.request
    slot.requestedAtMs = clock()
    const asking = request(ask)
      .then(token => {
        if (slot.request === asking) slot.token = token
        return token
      })
      .finally(() => {
        if (slot.request === asking) slot.request = undefined
      })
    slot.request = asking
    return asking
  }
  const renewInBackground = (slot: Slot, ask: Ask): void => {
    slot.renewAfterMs = clock() + pauseMs
    // The token at hand is still good; whatever went wrong, the call that finds none meets it.
    renew(slot, ask).catch(() => undefined)
  }

  return {
    async get(ask) {
      const slot = slotOf(ask)
      const { token } = slot
      const nowMs = clock()
      if (token === undefined || isOutdated(ask, token.obtainedAtMs) || nowMs >= endOf(token))
        return renew(slot, ask)
      const dueAtMs = token.obtainedAtMs + (endOf(token) - token.obtainedAtMs) * renewalShare
      if (nowMs >= dueAtMs && nowMs >= slot.renewAfterMs && slot.request === undefined)
        renewInBackground(slot, ask)
      return token
    },
    async replace(ask, refused) {
      const slot = slotOf(ask)
      // Of many calls refused with one token, the first replaces it and the others take what it got.
      if (refused !== undefined && slot.token !== undefined && slot.token !== refused) return slot.token
      if (slot.request === undefined) {
        if (clock() - slot.replacedAtMs < pauseMs) return undefined
        slot.replacedAtMs = clock()
        slot.token = undefined
      }
      return renew(slot, ask)
    },
    outdate(resource) {
      outdated.set(nameOf(resource), clock())
    },
    retire(jkt, untilMs) {
      retired.set(jkt, untilMs)
    },
  }
}
