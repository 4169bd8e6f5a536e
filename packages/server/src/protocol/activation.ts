// Activations, self-service: an agent asks for what it is eligible for, with the key of an instance and no standing right. Ours.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import type { ApprovalId } from '@writ/sdk/protocol/identifier'
import { type ActivationWish, type Move, planActivation } from '../approvals/activation.ts'
import { factsOf } from '../approvals/facts.ts'
import { planCancel } from '../approvals/judging.ts'
import type { Ctx } from '../context.ts'
import type { Agent } from '../domain/agent.ts'
import type { Approval } from '../domain/authorization/approval.ts'
import type { Change, Claim, Remembered } from '../domain/change.ts'
import { hashParts } from '../domain/hash.ts'
import { askedBy } from './asked-by.ts'
import { bind, noProof } from './binding/dpop.ts'
import { admit, standingOf } from './client-auth/admit.ts'
import { known, type Proven, useOf } from './client-auth/method.ts'
import { proveAssertion } from './client-auth/private-key-jwt.ts'
import type { Deps } from './deps.ts'
import { mustNotBeHalted } from './halted.ts'
import { recordRefusal } from './refusal.ts'

/** What proves the instance: an assertion of its key, and a proof of the same key made for this very endpoint. */
export interface Showing {
  readonly assertion: string
  readonly proof: string | undefined
  readonly method: string
  readonly uri: string
}

export interface Activation {
  readonly wish: ActivationWish
  /** Set where a repetition is to be answered alike; `asked` is the request as one text. */
  readonly idempotencyKey: string | undefined
  readonly asked: string
}

const attempts = 4
const rememberedSeconds = 86_400

/**
 * Opens or asks for what the agent of the instance is eligible for. Throws what authentication and `planActivation`
 * throw, `access_denied` while something of the instance is halted; the refusals of a known instance are entries.
 */
export function activate(ctx: Ctx, deps: Deps, showing: Showing, request: Activation): Promise<Approval> {
  return asInstance(ctx, deps, { showing, type: 'activation.requested' }, async caller => {
    // Whoever was stopped opens nothing for the time after, nor buries those who approve.
    const unhalted = await mustNotBeHalted(ctx, deps, caller.proven)
    const key = memoKey(caller, request)
    const repeated = await recalled(ctx, deps, key, request)
    if (repeated !== undefined) return repeated
    const requester = { id: caller.agent.id, instance: caller.instance, only: caller.agent.id }
    const move = await planActivation(ctx, deps, requester, request.wish)
    const remembers: Remembered[] =
      key === undefined
        ? []
        : [
            {
              key,
              request: requestHash(request),
              status: 201,
              body: move.approval.id,
              until: ctx.now + rememberedSeconds,
            },
          ]
    return { ...move, remembers, bases: [unhalted] }
  })
}

/** The task of the agent as it stands. Throws `not_found` for that of another. */
export function followActivation(ctx: Ctx, deps: Deps, showing: Showing, id: ApprovalId): Promise<Approval> {
  return asInstance(ctx, deps, { showing, type: 'activation.followed' }, async caller =>
    standingTask(await findOwn(ctx, deps, caller, id), 'activation.followed'),
  )
}

/** Takes the agent's request back, or ends what was opened. Throws as `followActivation`, `conflict` where it has ended. */
export function cancelActivation(
  ctx: Ctx,
  deps: Deps,
  showing: Showing,
  { id, reason }: { readonly id: ApprovalId; readonly reason: string },
): Promise<Approval> {
  return asInstance(ctx, deps, { showing, type: 'approval.cancelled' }, async caller => {
    const found = await findOwn(ctx, deps, caller, id)
    return planCancel(ctx, deps, caller.agent.id, { found, reason })
  })
}

interface Instance {
  readonly proven: Proven
  readonly agent: Agent
  readonly instance: NonNullable<Approval['asked']['instance']>
}

type Plan = Move & Pick<Change, 'remembers' | 'bases'>

async function asInstance(
  ctx: Ctx,
  deps: Deps,
  { showing, type }: { readonly showing: Showing; readonly type: string },
  decide: (caller: Instance) => Promise<Plan>,
): Promise<Approval> {
  if (showing.proof === undefined) throw noProof()
  const { method, uri, proof } = showing
  const binding = bind(ctx, deps, { method, uri, proof, nonce: 'optional' })
  // For this proof alone (RFC 7800 §3.1): an assertion that was made for a token opens nothing here.
  const agreed = { confirms: binding.jkt }
  const proven = known(ctx, deps, await proveAssertion(ctx, deps, showing.assertion, agreed))
  const claims = [...proven.claims, binding.claim]
  try {
    admit(ctx, proven)
    const { agent, by } = proven
    if (agent === undefined || by.key === null || by.key.instance === null)
      throw new Fault('access_denied', 'Only instances of agents activate for themselves.', {
        kind: 'not_an_instance',
      })
    return await decidedAndCommitted(ctx, deps, { proven, claims }, () =>
      decide({ proven, agent, instance: by.key.instance as Instance['instance'] }),
    )
  } catch (error) {
    if (isFault(error)) await recordRefusal(ctx, deps, { type, fault: error, proven, claims })
    throw error
  }
}

interface Shown {
  readonly proven: Proven
  readonly claims: readonly Claim[]
}

async function decidedAndCommitted(
  ctx: Ctx,
  deps: Deps,
  shown: Shown,
  decide: () => Promise<Plan>,
): Promise<Approval> {
  for (let attempt = 1; attempt <= attempts; attempt++) {
    // Before the decision reads: what ends after this instant makes the commit stale, what ended before it is seen.
    const epoch = await deps.store.signals.head(ctx)
    const plan = await decide()
    const committed = await deps.store.commit(ctx, changeOf(ctx, shown, plan, epoch))
    if (committed.kind === 'done') return plan.approval
    if (committed.kind === 'replayed')
      throw new Fault('invalid_client', 'The client could not be authenticated.', { kind: 'replayed' })
    const { facts } = shown.proven
    if (await deps.store.signals.isNarrowed(ctx, standingOf(shown.proven), facts.epoch))
      throw new Fault('temporarily_unavailable', 'The standing of this agent just changed; try again.', {
        kind: 'ended_in_flight',
      })
  }
  throw new Fault('conflict', 'This was changed by somebody else just now; try again.', { kind: 'lost_race' })
}

function changeOf(ctx: Ctx, { proven, claims }: Shown, plan: Plan, epoch: number): Change {
  const { approval, change, event, restsOn, remembers, bases = [] } = plan
  return {
    ...change,
    bases: [
      { epoch: proven.facts.epoch, subjects: standingOf(proven) },
      ...(restsOn.length === 0 ? [] : [{ epoch, subjects: restsOn }]),
      ...bases,
    ],
    claims,
    ...(remembers === undefined ? {} : { remembers }),
    ...useOf(ctx, proven),
    entries: [
      {
        type: event,
        outcome: 'allowed',
        reason: approval.decisionReason ?? approval.reason,
        ...askedBy(ctx, proven),
        resource: approval.asked.resource,
        action: 'activate',
        decision: { rule: 'own_instance', epoch: proven.facts.epoch },
        facts: factsOf(plan),
      },
    ],
  }
}

async function findOwn(ctx: Ctx, deps: Deps, { agent }: Instance, id: ApprovalId) {
  const found = await deps.store.approvals.get(ctx, id)
  // That of another agent is as unknown as none: ids tell nobody anything.
  if (found === undefined || found.asked.agent !== agent.id || found.kind !== 'activation')
    throw new Fault('not_found', 'This agent has no such request.', { kind: 'no_approval' })
  return found
}

/** Looking changes nothing. */
function standingTask(approval: Approval, event: string): Plan {
  return { event, approval, grant: null, change: {}, restsOn: [] }
}

function memoKey({ agent }: Instance, { idempotencyKey }: Activation): string | undefined {
  if (idempotencyKey === undefined) return undefined
  if (!/^[\x21-\x7e]{1,255}$/.test(idempotencyKey))
    throw new Fault('invalid_request', 'Idempotency-Key must be 1 to 255 visible ASCII characters.', {
      kind: 'idempotency_key',
    })
  return hashParts('own-activation', agent.id, idempotencyKey).toString('base64url')
}

function requestHash({ asked }: Activation): string {
  return hashParts('own-activation-request', asked).toString('base64url')
}

/** The task that the same request made before, as it stands now; undefined where it is the first. */
async function recalled(
  ctx: Ctx,
  deps: Deps,
  key: string | undefined,
  request: Activation,
): Promise<Plan | undefined> {
  const first = key === undefined ? undefined : await deps.store.remembering.recall(ctx, key, ctx.now)
  if (first === undefined) return undefined
  if (first.request !== requestHash(request))
    throw new Fault('invalid_value', 'This Idempotency-Key was used for another request.', {
      kind: 'key_reused',
    })
  const approval = await deps.store.approvals.get(ctx, first.body)
  return approval && standingTask(approval, 'activation.repeated')
}
