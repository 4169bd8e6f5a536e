// RFC 7662, RFC 9396 §9.2: whether a token lives, told only to those who may know; everybody else hears `{"active":false}`.
import { type AccessTokenClaims, checkAccessToken, subjectsOf } from '@writ/sdk/protocol/access-token'
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { parseJws, verifyJws } from '@writ/sdk/protocol/jws'
import { isTyp, parseClaims } from '@writ/sdk/protocol/jwt'
import type { Ctx } from '../context.ts'
import { isAgentLive } from '../domain/agent.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import { isGrantLive } from '../domain/grant.ts'
import { introspectionScope, managementIdentifier } from '../domain/management.ts'
import { leavesOf } from '../domain/resource.ts'
import type { CallerFacts } from '../store/store.ts'
import { askedBy, shownFacts } from './asked-by.ts'
import { admit, standingOf } from './client-auth/admit.ts'
import { type Proven, useOf } from './client-auth/method.ts'
import { authenticateClient } from './client-auth/methods.ts'
import type { Deps } from './deps.ts'
import { type Evidence, one } from './evidence.ts'
import { recordRefusal } from './refusal.ts'

export type Introspection =
  | { readonly active: false }
  | ({ readonly active: true } & Readonly<Record<string, unknown>>)

export async function introspect(ctx: Ctx, deps: Deps, evidence: Evidence): Promise<Introspection> {
  const token = one(evidence.form, 'token')
  if (token === undefined) throw new Fault('invalid_request', 'token is missing.', { kind: 'no_token' })
  const proven = await authenticateClient(ctx, deps, evidence)
  try {
    admit(ctx, proven)
    const claims = readOwnToken(ctx, deps, token)
    const right = claims && (await rightToSee(ctx, deps, proven, claims.aud))
    const live = right !== undefined && claims !== undefined && (await isLive(ctx, deps, claims))
    await record(ctx, deps, { proven, claims, right, live })
    return live ? answerOf(claims) : { active: false }
  } catch (error) {
    if (isFault(error))
      await recordRefusal(ctx, deps, {
        type: 'token.introspected',
        fault: error,
        proven,
        claims: proven.claims,
      })
    throw error
  }
}

/** The claims of a token that this issuer signed and that has not expired; undefined for anything else. */
export function readOwnToken(
  ctx: Ctx,
  deps: Pick<Deps, 'keys'>,
  token: string,
): AccessTokenClaims | undefined {
  const jws = parseJws(token)
  if (jws === undefined || !isTyp(jws.header['typ'], 'at+jwt')) return undefined
  const kid = jws.header['kid']
  const key = typeof kid === 'string' ? deps.keys.verifier(ctx, kid) : undefined
  if (key === undefined || !verifyJws(jws, key)) return undefined
  const payload = parseClaims(jws)
  if (payload === undefined || typeof payload['aud'] !== 'string') return undefined
  try {
    // Our own clock made these times: no tolerance, so nothing outlives its own expiry here.
    return checkAccessToken(payload, {
      issuer: ctx.issuer,
      audience: payload['aud'],
      now: ctx.now,
      skewSeconds: 0,
    })
  } catch (error) {
    if (isFault(error)) return undefined
    throw error
  }
}

/** The grants that the right to see a token rests on; none where the resource itself lists the client. */
type Right = readonly string[]

/** Listed for the resource, or an operator (threat C22: anybody else must not learn whether a token exists). */
async function rightToSee(
  ctx: Ctx,
  deps: Deps,
  proven: Proven,
  audience: string,
): Promise<Right | undefined> {
  const resource = await deps.store.facts.resource(ctx, audience, { fresh: true })
  if (resource === undefined) return undefined
  if (resource.introspectionClients.includes(proven.id)) return []
  const management = await deps.store.facts.resource(ctx, managementIdentifier(ctx))
  if (management === undefined) return undefined
  const grant = proven.facts.grants.find(
    grant =>
      grant.resource === management.identifier &&
      isGrantLive(grant, ctx.now) &&
      leavesOf(management.scopes, grant.scopes).includes(introspectionScope),
  )
  return grant && [grant.id]
}

async function isLive(ctx: Ctx, deps: Deps, claims: AccessTokenClaims): Promise<boolean> {
  if (await deps.store.signals.isNarrowed(ctx, subjectsOf(claims), claims.writ.epoch)) return false
  const facts: CallerFacts | undefined = await deps.store.facts.caller(ctx, claims.client_id, { fresh: true })
  return facts?.agent !== undefined && isAgentLive(facts.agent, ctx.now)
}

function answerOf(claims: AccessTokenClaims): Introspection {
  const { writ: ours, ...registered } = claims
  return {
    active: true,
    ...registered,
    token_type: claims.cnf === undefined ? 'Bearer' : 'DPoP',
    // Whoever takes the answer for the whole right would leave without force what no token carries.
    ...(ours.decide === true ? { writ: { decide: true } } : {}),
  }
}

interface Seen {
  readonly proven: Proven
  readonly claims: AccessTokenClaims | undefined
  readonly right: Right | undefined
  readonly live: boolean
}

async function record(ctx: Ctx, deps: Deps, { proven, claims, right, live }: Seen): Promise<void> {
  const visible = right !== undefined
  const { epoch } = proven.facts
  const entry: EntryDraft = {
    type: 'token.introspected',
    outcome: visible ? 'allowed' : 'refused',
    ...askedBy(ctx, proven),
    resource: claims?.aud ?? null,
    action: 'introspect',
    decision: { rule: visible ? 'introspection_client' : 'not_visible', grants: right ?? [], epoch },
    facts: { ...shownFacts(proven), active: live, jti: visible ? (claims?.jti ?? null) : null },
  }
  const committed = await deps.store.commit(ctx, {
    // The grant was read with the client, possibly from memory: where it has ended since, nothing is told.
    bases: [{ epoch, subjects: [...standingOf(proven), ...(right ?? [])] }],
    claims: proven.claims,
    ...useOf(ctx, proven),
    entries: [entry],
  })
  if (committed.kind === 'done') return
  throw committed.kind === 'stale'
    ? new Fault('temporarily_unavailable', 'The standing of this client just changed; try again.', {
        kind: 'stale',
      })
    : new Fault('invalid_client', 'The client could not be authenticated.', { kind: 'assertion_replayed' })
}
