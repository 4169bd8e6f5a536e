// RFC 6749 §3.2: the order of steps at the token endpoint, and nothing else.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../../context.ts'
import type { Issuance } from '../../domain/issuance.ts'
import { type Binding, bind } from '../binding/dpop.ts'
import { admit } from '../client-auth/admit.ts'
import { type Proof, type Proven, proofIn } from '../client-auth/method.ts'
import { authenticateClient } from '../client-auth/methods.ts'
import type { Deps } from '../deps.ts'
import { type Evidence, one } from '../evidence.ts'
import { recordRefusal } from '../refusal.ts'
import { underCircumstances } from './circumstances.ts'
import type { GrantType } from './grant.ts'
import { grantTypes } from './grants.ts'
import { type Issued, issue } from './issue.ts'

/** How often a decision is made again because what it rested on changed before it could be committed. */
const attempts = 4

export async function token(ctx: Ctx, deps: Deps, evidence: Evidence): Promise<Issued> {
  const grant = grantNamed(one(evidence.form, 'grant_type'))
  // The proof first: a missing nonce is answered before the assertion is looked at, so that a client which repeats
  // the request with the nonce may send the same assertion again (RFC 9449 §8).
  const binding =
    evidence.dpop === undefined
      ? undefined
      : bind(ctx, deps, {
          method: evidence.method,
          uri: evidence.uri,
          proof: evidence.dpop,
          nonce: deps.settings.dpopNonce,
        })
  const proven = await authenticateClient(ctx, deps, evidence)
  try {
    return await decideAndIssue(ctx, deps, { grant, evidence, proven, binding })
  } catch (error) {
    if (isFault(error)) {
      await recordRefusal(ctx, deps, {
        type: 'token.issued',
        fault: error,
        proven,
        claims: binding === undefined ? proven.claims : [...proven.claims, binding.claim],
        resource: one(evidence.form, 'resource'),
        action: one(evidence.form, 'scope'),
      })
    }
    throw error
  }
}

interface Request {
  readonly grant: GrantType
  readonly evidence: Evidence
  readonly proven: Proven
  readonly binding: Binding | undefined
}

async function decideAndIssue(ctx: Ctx, deps: Deps, request: Request): Promise<Issued> {
  let { proven } = request
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const fresh = attempt > 1
    if (fresh) proven = await readAgain(ctx, deps, proven)
    const issuance = await decide(ctx, deps, { ...request, proven }, fresh)
    if (issuance === 'read again') continue
    const issued = await issue(ctx, deps, issuance)
    if (issued !== 'stale') return issued
    // It may be our own key that was superseded: sign the next one with what the store says now.
    await deps.keys.reload(ctx)
  }
  throw new Fault('temporarily_unavailable', 'The rights of this client keep changing; try again.', {
    kind: 'always_stale',
  })
}

async function decide(
  ctx: Ctx,
  deps: Deps,
  request: Request,
  fresh: boolean,
): Promise<Issuance | 'read again'> {
  const { grant, evidence, proven, binding } = request
  try {
    admit(ctx, proven)
    const issuance = await grant.decide(ctx, deps, { form: evidence.form, proven, binding, fresh })
    return await underCircumstances(ctx, deps, issuance, { form: evidence.form, fresh })
  } catch (error) {
    // What was refused may rest on memory, of the client or of the resource, so it is read again first: a grant given
    // on another node a moment ago counts here.
    if (isFault(error) && !fresh) return 'read again'
    throw error
  }
}

/** The same client with today's facts. Its evidence was verified and stays so; what proved it is looked up by name. */
async function readAgain(ctx: Ctx, deps: Deps, proven: Proven): Promise<Proven> {
  const facts = await deps.store.facts.caller(ctx, proven.id, { fresh: true })
  const by = facts && (proofIn(facts, proven.by) ?? (await deadKey(ctx, deps, proven.by)))
  if (facts === undefined || by === undefined) {
    throw new Fault('invalid_client', 'The client could not be authenticated.', {
      kind: 'gone',
      client: proven.id,
    })
  }
  return { ...proven, facts, by, agent: facts.agent, client: facts.client }
}

/** A key that died meanwhile is none of the facts any more; it is refused by its name, like one that was dead before. */
async function deadKey(ctx: Ctx, deps: Deps, { key }: Proof): Promise<Proof | undefined> {
  const dead = key === null ? undefined : await deps.store.keys.byThumbprint(ctx, key.thumbprint)
  return dead && { key: dead, secret: null }
}

function grantNamed(name: string | undefined): GrantType {
  if (name === undefined)
    throw new Fault('invalid_request', 'grant_type is missing.', { kind: 'no_grant_type' })
  const grant = grantTypes.find(candidate => candidate.type === name)
  if (grant === undefined) {
    throw new Fault(
      'unsupported_grant_type',
      `Supported grant types: ${grantTypes.map(({ type }) => type).join(', ')}.`,
      {
        kind: 'unknown_grant_type',
      },
    )
  }
  return grant
}
