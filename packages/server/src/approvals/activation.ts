// Activating what somebody is eligible for: opened at once where nobody has to approve or the glass is broken, else asked for.
import type { AuthorizationDetail } from '@writ/sdk/protocol/details/detail'
import { detailElsewhere } from '@writ/sdk/protocol/details/index'
import { Fault } from '@writ/sdk/protocol/fault'
import { type AgentId, type EligibilityId, type InstanceId, newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import { type Agent, isAgentLive } from '../domain/agent.ts'
import { endOf, grantOpenedBy, isWithin, type Reach } from '../domain/authorization/activation.ts'
import type { Approval } from '../domain/authorization/approval.ts'
import { type Eligibility, isEligibilityLive, openedSubject } from '../domain/authorization/eligibility.ts'
import type { Change, Versioned } from '../domain/change.ts'
import { type Grant, mostGrants } from '../domain/grant.ts'
import type { Resource } from '../domain/resource.ts'
import type { Store } from '../store/store.ts'

export interface ApprovalDeps {
  readonly store: Pick<Store, 'eligibilities' | 'approvals' | 'agents' | 'resources' | 'grants'>
  readonly randomBytes: (length: number) => Uint8Array
}

/** What is asked for; whatever is left out is asked for as the eligibility has it. */
export interface ActivationWish {
  readonly eligibility: EligibilityId
  readonly reason: string
  readonly seconds: number
  readonly scopes: readonly string[] | undefined
  readonly authorizationDetails: readonly AuthorizationDetail[] | undefined
  /** To open it before anybody has approved, and answer for it afterwards. */
  readonly breakGlass: boolean
}

export interface Requester {
  readonly id: Grant['createdBy']
  readonly instance: InstanceId | null
  /** Set for an agent that asks for itself: of the eligibilities of others it learns nothing. */
  readonly only: AgentId | null
}

/** What to commit for a move, and what it rests on. */
export interface Move {
  readonly event: string
  readonly approval: Approval
  readonly grant: Grant | null
  readonly change: Pick<Change, 'puts' | 'signals'>
  /** Narrowed since the decision, it has to be made again. */
  readonly restsOn: readonly string[]
}

/** For how long a task waits for somebody to decide it. */
export const pendingSeconds = 86_400
/** Tasks of one agent that may wait at once: whoever floods the approvers is answered by none of them. */
const mostPending = 32

/**
 * Throws `invalid_value` for what is not there or goes beyond the eligibility, `conflict` where the eligibility or the
 * agent has ended, `access_denied` where the glass must not be broken.
 */
export async function planActivation(
  ctx: Ctx,
  deps: ApprovalDeps,
  requester: Requester,
  wish: ActivationWish,
): Promise<Move> {
  const eligibility = await findEligibility(ctx, deps, requester, wish)
  const { agent, resource } = await standing(ctx, deps, eligibility)
  const asked = askedOf(resource, eligibility, requester, wish)
  if (wish.breakGlass && !eligibility.breakGlass)
    throw new Fault('access_denied', 'This eligibility has no glass to break: ask for approval.', {
      kind: 'no_break_glass',
    })
  const isBroken = wish.breakGlass && eligibility.approval === 'required'
  const opens = isBroken || eligibility.approval === 'none'
  await (opens ? mustHaveRoom(ctx, deps, asked) : mustNotFlood(ctx, deps, agent))
  const approval: Approval = {
    ...untouched,
    id: newId('apr', deps.randomBytes),
    kind: 'activation',
    asked,
    reason: wish.reason,
    breakGlass: isBroken,
    requestedBy: requester.id,
    state: opens ? 'approved' : 'pending',
    approved: opens ? asked : null,
    approvedUntil: opens ? endOf(asked.seconds, eligibility, ctx.now) : null,
    callback: null,
    expiresAt: endOf(pendingSeconds, eligibility, ctx.now),
    createdAt: ctx.now,
    stateAt: ctx.now,
  }
  const opened = opening(ctx, deps, { approval, eligibility, by: requester.id })
  return {
    ...opened,
    event: isBroken ? 'activation.broke-glass' : opens ? 'activation.opened' : 'activation.requested',
    change: {
      puts: [{ put: 'approval', value: opened.approval, ifVersion: 0 }, ...opened.puts],
      signals: opened.signals,
    },
    restsOn: [eligibility.id, agent.id, resource.identifier],
  }
}

/** Of a task that nobody has looked at yet. */
export const untouched = {
  decidedBy: null,
  decisionReason: null,
  approved: null,
  approvedUntil: null,
  grant: null,
  review: null,
} as const

async function findEligibility(
  ctx: Ctx,
  { store }: ApprovalDeps,
  { only }: Requester,
  wish: ActivationWish,
): Promise<Versioned<Eligibility>> {
  const found = await store.eligibilities.get(ctx, wish.eligibility)
  if (found === undefined || (only !== null && found.agent !== only))
    throw new Fault('invalid_value', 'There is no such eligibility.', { kind: 'no_eligibility' })
  return found
}

/** The agent and the resource, where the activation may still begin. */
export async function standing(
  ctx: Ctx,
  { store }: Pick<ApprovalDeps, 'store'>,
  { agent: id, resource: identifier, ...rest }: { agent: AgentId; resource: string } & Partial<Eligibility>,
): Promise<{ readonly agent: Agent; readonly resource: Resource }> {
  const { revokedAt = null, expiresAt = null } = rest
  if (!isEligibilityLive({ revokedAt, expiresAt } as Eligibility, ctx.now))
    throw new Fault('conflict', 'This eligibility has ended.', { kind: 'eligibility_ended' })
  const [agent, resource] = await Promise.all([
    store.agents.get(ctx, id),
    store.resources.byIdentifier(ctx, identifier),
  ])
  if (agent === undefined || !isAgentLive(agent, ctx.now))
    throw new Fault('conflict', 'The agent is not active.', { kind: 'agent_not_live' })
  if (resource === undefined)
    throw new Fault('conflict', 'The resource is not registered any more.', { kind: 'no_resource' })
  return { agent, resource }
}

function askedOf(
  resource: Resource,
  eligibility: Eligibility,
  { instance }: Requester,
  wish: ActivationWish,
): Approval['asked'] {
  if (wish.seconds > eligibility.maxSeconds)
    throw new Fault('invalid_value', `An activation lasts at most ${eligibility.maxSeconds} seconds.`, {
      kind: 'too_long',
    })
  const reach: Reach = {
    scopes: wish.scopes ?? eligibility.scopes,
    authorizationDetails: wish.authorizationDetails ?? eligibility.authorizationDetails,
  }
  mustBeAbout(resource, reach)
  if (!isWithin(resource, eligibility, reach))
    throw new Fault(
      'invalid_value',
      'This is more than the eligibility has: ask for its scopes and details, or for fewer.',
      { kind: 'beyond_eligibility' },
    )
  return {
    agent: eligibility.agent,
    instance,
    person: null,
    eligibility: eligibility.id,
    resource: eligibility.resource,
    ...reach,
    operation: null,
    seconds: wish.seconds,
  }
}

/** Throws `invalid_value` for a detail of another resource: it would permit nothing here, and look as if it did. */
export function mustBeAbout(
  { identifier }: Pick<Resource, 'identifier'>,
  { authorizationDetails }: Pick<Reach, 'authorizationDetails'>,
): void {
  const elsewhere = detailElsewhere(authorizationDetails, identifier)
  if (elsewhere !== undefined)
    throw new Fault('invalid_value', `A detail of type ${elsewhere.type} is for another resource.`, {
      kind: 'detail_elsewhere',
    })
}

export interface Opened {
  readonly approval: Approval
  readonly grant: Grant | null
  readonly puts: NonNullable<Change['puts']>
  readonly signals: NonNullable<Change['signals']>
}

/** The grant of an approved task, with the task that names it; a task that opens nothing passes as it is. */
export function opening(
  ctx: Ctx,
  { randomBytes }: Pick<ApprovalDeps, 'randomBytes'>,
  {
    approval,
    eligibility,
    by,
  }: { approval: Approval; eligibility: Eligibility | null; by: Grant['createdBy'] },
): Opened {
  const { approved, approvedUntil } = approval
  const isEmpty = approved === null || approved.scopes.length + approved.authorizationDetails.length === 0
  if (isEmpty || approvedUntil === null) return { approval, grant: null, puts: [], signals: [] }
  const grant = grantOpenedBy({ ...approval, approved, approvedUntil }, eligibility, {
    id: newId('grt', randomBytes),
    by,
    at: ctx.now,
  })
  return {
    approval: { ...approval, grant: grant.id },
    grant,
    puts: [{ put: 'grant', value: grant, ifVersion: 0 }],
    signals: [
      { subject: grant.agent, kind: 'changed' },
      ...(eligibility === null
        ? []
        : [{ subject: openedSubject(eligibility.id), kind: 'narrowed' } as const]),
    ],
  }
}

export async function mustHaveRoom(
  ctx: Ctx,
  { store }: Pick<ApprovalDeps, 'store'>,
  { agent, resource }: Pick<Approval['asked'], 'agent' | 'resource'>,
): Promise<void> {
  const page = await store.grants.list(ctx, { limit: mostGrants }, { agent, resource, liveAt: ctx.now })
  if (page.items.length >= mostGrants)
    throw new Fault('conflict', `An agent has at most ${mostGrants} grants for a resource.`, {
      kind: 'too_many_grants',
    })
}

export async function mustNotFlood(
  ctx: Ctx,
  { store }: Pick<ApprovalDeps, 'store'>,
  { id: agent }: Pick<Agent, 'id'>,
  more = 1,
): Promise<void> {
  const page = await store.approvals.list(ctx, { limit: mostPending }, { agent, state: 'pending' })
  if (page.items.length + more > mostPending)
    throw new Fault('conflict', `At most ${mostPending} requests of an agent wait at once.`, {
      kind: 'too_many_pending',
    })
}
