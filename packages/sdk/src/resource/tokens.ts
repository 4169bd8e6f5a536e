// Access tokens, verified once and remembered: RFC 9068 §4, with what makes them end checked at every use.
import { type AccessTokenClaims, checkAccessToken, subjectsOf } from '../protocol/access-token.ts'
import { boundedCache } from '../protocol/bounded-cache.ts'
import { accessTokenHash } from '../protocol/dpop.ts'
import { Fault } from '../protocol/fault.ts'
import { readJws, verifyJws } from '../protocol/jws.ts'
import { isTyp, parseClaims } from '../protocol/jwt.ts'
import { subjectDigest } from '../protocol/revocation.ts'
import { parseScope } from '../protocol/scope.ts'
import type { Caller } from './caller.ts'
import type { IssuerKeys } from './issuer/keys.ts'
import type { Revocations } from './issuer/revocations.ts'

/** A token whose signature and claims have been verified; whether it still lives, `isAlive` says. */
export interface Verified {
  readonly caller: Caller
  /** The hash that a proof for this token carries. */
  readonly ath: string
  readonly kid: string
  /** Thumbprint of the issuer's key that signed it. */
  readonly signer: string
  /** Digests of everything whose end ends the token. */
  readonly digests: readonly string[]
  readonly epoch: number
  /** Generations of ends and keys at which it was last found alive. */
  cleanAt: number
  signedAt: number
}

export interface TokensOptions {
  readonly issuer: string
  readonly resource: string
  readonly skewSeconds: number
  readonly longestTokenSeconds: number
  readonly keys: IssuerKeys
  readonly revocations: Revocations
  /** Whether each operation is put to the decision point: tokens that need that are refused where it is not. */
  readonly decides: boolean
  /** Epoch seconds. */
  now(): number
}

export interface Tokens {
  /** The token, verified now or before. Throws `invalid_token`, or `temporarily_unavailable` without the issuer's keys. */
  read(text: string): Verified | Promise<Verified>
  /** Whether nothing that the token rests on has ended. Costs two comparisons unless something ended meanwhile. */
  isAlive(verified: Verified): boolean
}

const maxTokenBytes = 8192
const cachedTokens = 10_000

const invalid = (kind: string): Fault =>
  new Fault('invalid_token', 'The access token is not valid here.', { kind })

export function createTokens(options: TokensOptions): Tokens {
  const { keys, revocations } = options
  const verified = boundedCache<Verified>(cachedTokens)

  const verify = async (text: string): Promise<Verified> => {
    const jws = readJws(text, maxTokenBytes)
    if (typeof jws === 'string') throw invalid(jws)
    // RFC 9068 §4, RFC 8725 §3.11: an ID token, a proof or an assertion is never an access token (threat C17).
    if (!isTyp(jws.header.typ, 'at+jwt')) throw invalid('typ')
    const kid = jws.header.kid
    if (kid === undefined) throw invalid('no_kid')
    const key = await keys.find(kid)
    if (key === undefined) {
      if (!keys.isCurrent()) throw unavailable('no_keys')
      throw invalid('unknown_key')
    }
    if (!verifyJws(jws, key)) throw invalid('signature')
    const payload = parseClaims(jws)
    if (payload === undefined) throw invalid('payload')
    const claims = check(payload)
    const entry: Verified = {
      caller: callerOf(claims, () => keys.isCurrent() && revocations.isCurrent() && isAlive(entry)),
      ath: accessTokenHash(text),
      kid,
      signer: key.jkt,
      digests: subjectsOf(claims).map(subjectDigest),
      epoch: claims.writ.epoch,
      cleanAt: -1,
      signedAt: keys.generation(),
    }
    verified.set(text, entry)
    return entry
  }

  const check = (payload: Readonly<Record<string, unknown>>): AccessTokenClaims => {
    const { issuer, resource, skewSeconds } = options
    const claims = checkAccessToken(payload, { issuer, audience: resource, now: options.now(), skewSeconds })
    // What outlives the memory of ends could be used after its end was forgotten.
    if (claims.exp - claims.iat > options.longestTokenSeconds) throw invalid('life_too_long')
    if (claims.scope !== undefined && parseScope(claims.scope) === undefined) throw invalid('scope')
    // RFC 8693 §4.1: who acts through whom. A chain that is not understood must not pass for a direct call.
    if ('act' in payload) throw invalid('delegation')
    if (claims.writ.decide === true && !options.decides) throw invalid('needs_decision')
    return claims
  }

  const isAlive = (entry: Verified): boolean => {
    if (options.now() >= entry.caller.expiresAt + options.skewSeconds) return false
    const keyGeneration = keys.generation()
    if (entry.signedAt !== keyGeneration) {
      // A key that left the set, or was replaced under its name, no longer speaks for what it signed.
      if (keys.known(entry.kid)?.jkt !== entry.signer) return false
      entry.signedAt = keyGeneration
    }
    const generation = revocations.generation()
    if (entry.cleanAt === generation) return true
    for (const digest of entry.digests) {
      const endedAt = revocations.endedAt(digest)
      if (endedAt !== undefined && entry.epoch < endedAt) return false
    }
    entry.cleanAt = generation
    return true
  }

  return {
    read(text) {
      const known = verified.get(text)
      if (known === undefined) return verify(text)
      if (isAlive(known)) return known
      verified.delete(text)
      throw invalid('ended')
    },
    isAlive,
  }
}

export const unavailable = (kind: string): Fault =>
  new Fault('temporarily_unavailable', 'The resource cannot decide now; try again.', { kind })

function callerOf(claims: AccessTokenClaims, holds: () => boolean): Caller {
  const scopes: readonly string[] = Object.freeze(claims.scope?.split(' ') ?? [])
  const granted = new Set(scopes)
  const grants: readonly string[] = Object.freeze([...claims.writ.grants])
  return Object.freeze({
    agent: claims.client_id,
    instance: claims.agent_instance_id ?? null,
    session: claims.sid ?? null,
    task: claims.agent_context_id ?? null,
    subject: claims.sub,
    person: claims.sub === claims.client_id ? null : claims.sub,
    chain: Object.freeze([claims.client_id]),
    grant: grants.length === 1 ? (grants[0] ?? null) : null,
    grants,
    scopes,
    authorizationDetails: Object.freeze([...(claims.authorization_details ?? [])]),
    key: claims.cnf?.jkt ?? null,
    clientKey: claims.writ.key,
    epoch: claims.writ.epoch,
    tokenId: claims.jti,
    expiresAt: claims.exp,
    may: (scope: string) => granted.has(scope),
    holds,
  })
}
