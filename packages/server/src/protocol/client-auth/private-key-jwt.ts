// RFC 7523 §2.2 and §3 with the audience rule of its revision: a client proves itself with a JWT signed by its key.
import { Fault } from '@writ/sdk/protocol/fault'
import { type Jws, parseJws, verifyJws } from '@writ/sdk/protocol/jws'
import { checkTimes, isTyp, parseClaims } from '@writ/sdk/protocol/jwt'
import type { Ctx } from '../../context.ts'
import { isKeyLive, type Key } from '../../domain/agent.ts'
import { hashParts } from '../../domain/hash.ts'
import type { CallerFacts } from '../../store/store.ts'
import type { Deps } from '../deps.ts'
import { one } from '../evidence.ts'
import type { ClientAuthMethod, Proven } from './method.ts'

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

// One sentence whatever was wrong, so that a prober learns neither which clients exist nor how far it came.
const refuse = (kind: string, facts?: Record<string, unknown>): Fault =>
  new Fault('invalid_client', 'The client could not be authenticated.', { kind, ...facts })

export const privateKeyJwt: ClientAuthMethod = {
  name: 'private_key_jwt',

  isUsed(evidence) {
    return evidence.form.has('client_assertion') || evidence.form.has('client_assertion_type')
  },

  async prove(ctx, deps, evidence) {
    if (one(evidence.form, 'client_assertion_type') !== assertionType) throw refuse('assertion_type')
    const assertion = one(evidence.form, 'client_assertion')
    if (assertion === undefined) throw refuse('no_assertion')
    return proveAssertion(ctx, deps, assertion, { client: one(evidence.form, 'client_id') })
  },
}

/** What an assertion has to agree with, beyond being one. */
export interface Agreed {
  /** The client that the request names elsewhere, if it does. */
  readonly client?: string | undefined
  /** RFC 7638 thumbprint of the key that the assertion has to be made for (RFC 7800 §3.1, `cnf` with `jkt`). */
  readonly confirms?: string
}

/** The client that signed this assertion. */
export async function proveAssertion(
  ctx: Ctx,
  deps: Deps,
  assertion: string,
  { client, confirms }: Agreed,
): Promise<Proven> {
  const jws = parseAssertion(assertion)
  const claims = checkClaims(ctx, deps, jws)
  // RFC 7521 §4.2: a client_id beside the assertion must name the same client.
  if (client !== undefined && client !== claims.sub) throw refuse('client_id_mismatch')
  if (confirms !== undefined && claims.confirms !== confirms) throw refuse('made_for_another_key')
  const found = await findKey(ctx, deps, claims.sub, jws)
  if (found === undefined) throw refuse('no_such_key', { client: claims.sub, kid: jws.header['kid'] })
  return {
    id: claims.sub,
    method: privateKeyJwt.name,
    agent: found.facts.agent,
    client: found.facts.client,
    by: { key: found.key, secret: null },
    facts: found.facts,
    claims: [
      {
        key: hashParts('client-assertion', claims.sub, claims.jti).toString('base64url'),
        until: claims.exp + deps.settings.clockSkewSeconds,
      },
    ],
  }
}

function parseAssertion(assertion: string): Jws {
  const jws = parseJws(assertion)
  if (jws === undefined) throw refuse('malformed_assertion')
  // RFC 8725 §3.11: typed by the revision, untyped by older clients; never another type of ours.
  const typ = jws.header['typ']
  if (typ !== undefined && !isTyp(typ, 'client-authentication+jwt') && !isTyp(typ, 'jwt'))
    throw refuse('assertion_typ', { typ })
  return jws
}

interface AssertionClaims {
  readonly sub: string
  readonly confirms: unknown
  readonly jti: string
  readonly exp: number
}

function checkClaims(ctx: Ctx, deps: Deps, jws: Jws): AssertionClaims {
  const claims = parseClaims(jws)
  if (claims === undefined) throw refuse('malformed_claims')
  const { iss, sub, aud, jti, exp } = claims
  // RFC 7523 §3: for client authentication issuer and subject are both the client.
  if (typeof sub !== 'string' || sub !== iss) throw refuse('issuer_is_not_subject', { iss, sub })
  // Audience injection (threat C12): the issuer identifier alone, as one string. The URL of an endpoint, or a list
  // that also names us, may have been made for somebody else's server.
  if (aud !== ctx.issuer) throw refuse('audience', { aud })
  if (typeof jti !== 'string' || jti.length === 0 || jti.length > 256) throw refuse('jti')
  if (typeof exp !== 'number') throw refuse('exp')
  const { clockSkewSeconds, assertionSeconds } = deps.settings
  const wrong = checkTimes(claims, ctx.now, {
    skewSeconds: clockSkewSeconds,
    maxLifeSeconds: assertionSeconds,
  })
  if (wrong !== undefined) throw refuse(wrong, { now: ctx.now })
  return { sub, jti, exp: Math.ceil(exp), confirms: confirmedBy(claims['cnf']) }
}

function confirmedBy(cnf: unknown): unknown {
  return typeof cnf === 'object' && cnf !== null ? (cnf as { jkt?: unknown }).jkt : undefined
}

/**
 * The key that signed, among those of the client. What memory does not know is read again before anything is refused,
 * so that a key registered on another node a moment ago is good here: but only where something has happened since what
 * memory knows, or whoever makes signatures up would have all keys of a client read with each of them.
 */
async function findKey(
  ctx: Ctx,
  deps: Deps,
  client: string,
  jws: Jws,
): Promise<{ facts: CallerFacts; key: Key } | undefined> {
  const facts = await deps.store.facts.caller(ctx, client)
  if (facts === undefined) return undefined
  const key = signerAmong(ctx, deps, facts.keys, jws)
  if (key !== undefined) return { facts, key }
  if (!facts.remembered || (await deps.store.signals.head(ctx)) <= facts.epoch)
    return formerKey(ctx, deps, { client, facts, jws })
  const today = await deps.store.facts.caller(ctx, client, { fresh: true })
  if (today === undefined) return undefined
  const signer = signerAmong(ctx, deps, today.keys, jws)
  if (signer !== undefined) return { facts: today, key: signer }
  return formerKey(ctx, deps, { client, facts: today, jws })
}

interface Unfound {
  readonly client: string
  readonly facts: CallerFacts
  readonly jws: Jws
}

/**
 * The dead key that signed, by its name: it proves nothing any more, but whoever shows it is known, and the refusal is
 * an entry about them instead of noise.
 */
async function formerKey(
  ctx: Ctx,
  deps: Deps,
  { client, facts, jws }: Unfound,
): Promise<{ facts: CallerFacts; key: Key } | undefined> {
  const kid = jws.header['kid']
  if (typeof kid !== 'string' || facts.keys.some(key => key.kid === kid || key.thumbprint === kid))
    return undefined
  const named = await deps.store.keys.named(ctx, client, [kid])
  const key = signerAmong(ctx, deps, named, jws)
  return key && { facts, key }
}

/** Keys that are tried where the assertion names none: each costs a verification, whoever sent it. */
const mostUnnamed = 8

function signerAmong(ctx: Ctx, deps: Deps, keys: readonly Key[], jws: Jws): Key | undefined {
  const kid = jws.header['kid']
  const meant = keys.filter(key =>
    kid === undefined ? isKeyLive(key, ctx.now) : kid === key.kid || kid === key.thumbprint,
  )
  if (meant.length > mostUnnamed) return undefined
  return meant.find(key => verifyJws(jws, deps.importedKeys.public(key.jwk, key.thumbprint)))
}
