// RFC 9449 §7 and RFC 6750 §2.1 at our own protected endpoints: who calls, shown by a bound token and a proof.
import { type AccessTokenClaims, subjectsOf } from '@writ/sdk/protocol/access-token'
import type { BoundedCache } from '@writ/sdk/protocol/bounded-cache'
import { Fault } from '@writ/sdk/protocol/fault'
import { type AgentId, type ClientId, parseId } from '@writ/sdk/protocol/identifier'
import { recordedRefusal, refusalOf } from '../audit/refusal.ts'
import type { Ctx } from '../context.ts'
import { isAgentLive } from '../domain/agent.ts'
import { type EntryDraft, excerpt } from '../domain/audit-entry.ts'
import { type Caller, chainOf } from '../domain/caller.ts'
import type { Claim } from '../domain/change.ts'
import type { CallerFacts } from '../store/store.ts'
import { bind } from './binding/dpop.ts'
import type { Deps } from './deps.ts'
import { readOwnToken } from './introspection.ts'

export interface AccessEvidence {
  readonly authorization: string | undefined
  readonly dpop: string | undefined
  readonly method: string
  /** The URI as published, without query: never built from headers of the request. */
  readonly uri: string
  /**
   * Whatever the caller asks for is committed on the basis of its token before it is answered: so a yes may rest on
   * memory, for the commit finds what memory has missed. A no never does.
   */
  readonly isCommitted?: boolean
}

/** Tokens whose signature has held, by their text; what they say is judged anew with each request. */
export type VerifiedTokens = BoundedCache<{ readonly claims: AccessTokenClaims; readonly kid: string }>

export interface AccessDeps extends Deps {
  readonly verifiedTokens: VerifiedTokens
}

/** RFC 9449 §7.1: the scheme, one space, and a token68 of the size we issue. */
const credentials = /^DPoP ([A-Za-z0-9_.~+/-]{16,8192}=*)$/i

// One sentence whatever was wrong, so that probing learns neither which tokens exist nor what ended them.
const refuse = (kind: string, facts?: Record<string, unknown>): Fault =>
  new Fault('invalid_token', 'The access token is not valid here.', { kind, ...facts })

/**
 * The caller behind the evidence. Throws `invalid_token`, `invalid_dpop_proof`, `use_dpop_nonce` for a nonce of ours
 * that has passed, `rate_limited`. A refusal of somebody who proved to hold the key is an audit entry of its own; the
 * proof's replay mark and the basis of the token are left to whoever commits what the caller asked for.
 */
export async function authenticate(
  ctx: Ctx,
  deps: AccessDeps,
  evidence: AccessEvidence,
  audience: string,
): Promise<Caller> {
  const token = tokenOf(evidence.authorization)
  const claims = verify(ctx, deps, token)
  if (claims.aud !== audience) throw refuse('audience', { aud: claims.aud })
  // RFC 9449 §7.2: our own endpoints take bound tokens only, so a stolen one is of no use.
  if (claims.cnf === undefined) throw refuse('not_bound')
  // RFC 9396: no type of details speaks of operations of ours, so a token that is limited to some covers none of them.
  if (claims.authorization_details !== undefined) throw refuse('details')
  if (evidence.dpop === undefined) {
    throw new Fault('invalid_dpop_proof', 'Send a DPoP proof with the access token.', { kind: 'no_proof' })
  }
  const { method, uri } = evidence
  const binding = bind(ctx, deps, {
    method,
    uri,
    proof: evidence.dpop,
    accessToken: token,
    nonce: 'optional',
  })
  if (binding.jkt !== claims.cnf.jkt) throw refuse('other_key')
  ctx.note({ caller: claims.client_id })
  if (!deps.mayProceed(claims.client_id, ctx.nowMs)) {
    throw new Fault('rate_limited', 'Too many requests of this caller; slow down.', { kind: 'caller' })
  }
  const caller = callerOf(claims, binding.claim)
  const wrong = await whyNotLive(ctx, deps, caller, evidence)
  if (wrong !== undefined) {
    const fault = refuse(wrong, { client: caller.id })
    throw await recordRefusal(ctx, deps, caller, { fault, audience, action: `${method} ${uri}` })
  }
  return caller
}

function tokenOf(authorization: string | undefined): string {
  if (authorization === undefined) {
    throw new Fault('invalid_token', 'Send an access token of this authority, bound by DPoP.', {
      kind: 'no_credentials',
    })
  }
  // RFC 9449 §7.2: a bound token under the Bearer scheme would be taken without its proof.
  if (/^Bearer /i.test(authorization)) throw refuse('bearer_use')
  const token = credentials.exec(authorization)?.[1]
  if (token === undefined) throw refuse('malformed_authorization')
  return token
}

/** A signature is verified once; whether its key is still published, and the times, with every request. */
function verify(ctx: Ctx, deps: AccessDeps, token: string): AccessTokenClaims {
  const known = deps.verifiedTokens.get(token)
  if (
    known !== undefined &&
    deps.keys.verifier(ctx, known.kid) !== undefined &&
    known.claims.iss === ctx.issuer
  ) {
    if (known.claims.exp <= ctx.now) throw refuse('expired', { exp: known.claims.exp })
    return known.claims
  }
  const claims = readOwnToken(ctx, deps, token)
  if (claims === undefined) throw refuse('not_ours')
  const kid = kidOf(token)
  if (kid !== undefined) deps.verifiedTokens.set(token, { claims, kid })
  return claims
}

/** Of a token that has been verified, so its header is known to be well formed. */
function kidOf(token: string): string | undefined {
  const header = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString()) as {
    kid?: unknown
  }
  return typeof header.kid === 'string' ? header.kid : undefined
}

function callerOf(claims: AccessTokenClaims, claim: Claim): Caller {
  const agent = parseId('agt', claims.client_id)
  return {
    id: claims.client_id as AgentId | ClientId,
    agent: agent ?? null,
    instance: parseId('ins', claims.agent_instance_id) ?? null,
    key: claims.writ.key,
    session: claims.sid ?? null,
    task: claims.agent_context_id ?? null,
    authenticatedAt: claims.iat,
    scopes: new Set(claims.scope?.split(' ') ?? []),
    claims: [claim],
    basis: { epoch: claims.writ.epoch, subjects: subjectsOf(claims) },
  }
}

/** Why the caller may not act at this instant, read past the memory; undefined where it may. */
async function whyNotLive(
  ctx: Ctx,
  deps: AccessDeps,
  caller: Caller,
  { isCommitted = false }: Pick<AccessEvidence, 'isCommitted'>,
): Promise<string | undefined> {
  if (isCommitted && whyNotStanding(ctx, await deps.store.facts.caller(ctx, caller.id)) === undefined)
    return undefined
  const facts = await deps.store.facts.caller(ctx, caller.id, { fresh: true })
  const wrong = whyNotStanding(ctx, facts)
  if (wrong !== undefined) return wrong
  // A key that was drained or has run out did what it did while it lived: only its revocation, which narrows it, ends
  // what it obtained. A rotation must not fail a call.
  // What ended and began again since the token was issued looks live, and the token is dead all the same.
  const { subjects, epoch } = caller.basis
  return (await deps.store.signals.isNarrowed(ctx, subjects, epoch)) ? 'ended_since_issue' : undefined
}

function whyNotStanding(ctx: Ctx, facts: CallerFacts | undefined): string | undefined {
  if (facts?.agent === undefined && facts?.client === undefined) return 'no_such_caller'
  if (facts.agent !== undefined && !isAgentLive(facts.agent, ctx.now)) return 'agent_not_live'
  if (facts.client !== undefined && facts.client.status !== 'active') return 'client_not_active'
  return undefined
}

interface Refused {
  readonly fault: Fault
  readonly audience: string
  readonly action: string
}

function recordRefusal(
  ctx: Ctx,
  deps: AccessDeps,
  caller: Caller,
  { fault, audience, action }: Refused,
): Promise<Fault> {
  const entryOf = (refused: Fault): EntryDraft => ({
    type: 'access.refused',
    outcome: 'refused',
    reason: refused.message,
    agent: caller.agent,
    instance: caller.instance,
    key: caller.key,
    chain: chainOf(caller),
    resource: audience,
    action: excerpt(action, 512),
    decision: refusalOf(caller, refused),
    requestId: ctx.requestId,
    traceId: ctx.traceId ?? null,
    peer: ctx.peer ?? null,
  })
  return recordedRefusal(ctx, deps, fault, { claims: caller.claims, entryOf })
}
