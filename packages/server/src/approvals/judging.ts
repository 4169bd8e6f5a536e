// What becomes of a task: approved as asked or narrower, denied, cancelled, reviewed. Every move is decided here alone.
import type { AuthorizationDetail } from '@writ/sdk/protocol/details/detail'
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import { endOf, isWithin } from '../domain/authorization/activation.ts'
import {
  type Approval,
  type ApprovalMove,
  mayJudge,
  moveApproval,
  stateOf,
  type Verdict,
} from '../domain/authorization/approval.ts'
import type { Eligibility } from '../domain/authorization/eligibility.ts'
import type { Change, Versioned } from '../domain/change.ts'
import { type Grant, isGrantLive } from '../domain/grant.ts'
import { type ApprovalDeps, type Move, mustBeAbout, mustHaveRoom, opening, standing } from './activation.ts'

/** Somebody who decides, by its id. */
export type Judge = Grant['createdBy']

/** What is approved of what was asked; left out, all of it. */
export interface Narrower {
  readonly scopes: readonly string[] | undefined
  readonly authorizationDetails: readonly AuthorizationDetail[] | undefined
  readonly seconds: number | undefined
  readonly reason: string | null
}

/**
 * Throws `access_denied` for who must not decide, `conflict` for what was decided, has expired or lost its ground,
 * `invalid_value` for more than was asked. Of two that approve at once one commits; the other meets the state it left.
 */
export async function planApprove(
  ctx: Ctx,
  deps: ApprovalDeps,
  judge: Judge,
  { found, narrower }: { readonly found: Versioned<Approval>; readonly narrower: Narrower },
): Promise<Move> {
  const { version, ...approval } = found
  const { asked } = approval
  const eligibility = await judgedBy(ctx, deps, judge, approval)
  mustBePending(approval, ctx.now)
  const { agent, resource } = await standing(ctx, deps, { ...eligibility, ...whose(approval) })
  // Another one of that name is not what was asked for, and was judged by nobody.
  if (resource.createdAt > approval.createdAt)
    throw new Fault('conflict', 'The resource was registered anew since this was asked.', {
      kind: 'other_resource',
    })
  const approved = {
    scopes: narrower.scopes ?? asked.scopes,
    authorizationDetails: narrower.authorizationDetails ?? asked.authorizationDetails,
    seconds: narrower.seconds ?? asked.seconds,
  }
  mustBeAbout(resource, approved)
  const opensNothing = asked.scopes.length + asked.authorizationDetails.length === 0
  const isNarrower = opensNothing
    ? approved.scopes.length + approved.authorizationDetails.length === 0
    : isWithin(resource, asked, approved) &&
      // What the scopes stand for may have grown since it was asked.
      (eligibility === null || isWithin(resource, eligibility, approved))
  if (!isNarrower || approved.seconds > asked.seconds)
    throw new Fault('invalid_value', 'An approval can narrow what was asked, and never widen it.', {
      kind: 'widened',
    })
  if (!opensNothing) await mustHaveRoom(ctx, deps, asked)
  const moved = move(approval, 'approve', ctx.now, {
    decidedBy: judge,
    decisionReason: narrower.reason,
    approved,
    approvedUntil: endOf(approved.seconds, eligibility, ctx.now),
  })
  const opened = opening(ctx, deps, { approval: moved, eligibility, by: judge })
  return {
    event: 'approval.approved',
    approval: opened.approval,
    grant: opened.grant,
    change: {
      puts: [{ put: 'approval', value: opened.approval, ifVersion: version }, ...opened.puts],
      signals: opened.signals,
    },
    restsOn: [agent.id, resource.identifier, ...(eligibility === null ? [] : [eligibility.id])],
  }
}

function whose({ asked }: Approval): Pick<Approval['asked'], 'agent' | 'resource'> {
  return { agent: asked.agent, resource: asked.resource }
}

/** Throws as `planApprove` does. */
export async function planDeny(
  ctx: Ctx,
  deps: ApprovalDeps,
  judge: Judge,
  { found, reason }: { readonly found: Versioned<Approval>; readonly reason: string },
): Promise<Move> {
  const { version, ...approval } = found
  await judgedBy(ctx, deps, judge, approval)
  mustBePending(approval, ctx.now)
  const denied = move(approval, 'deny', ctx.now, { decidedBy: judge, decisionReason: reason })
  return plain('approval.denied', denied, version)
}

/** Takes a pending task back, or ends at once what an approved one opened. Throws `conflict` where neither is there. */
export async function planCancel(
  ctx: Ctx,
  deps: ApprovalDeps,
  by: Judge,
  { found, reason }: { readonly found: Versioned<Approval>; readonly reason: string },
): Promise<Move> {
  const { version, ...approval } = found
  if (stateOf(approval, ctx.now) === 'pending') {
    const verdict = { decidedBy: by, decisionReason: reason }
    return plain('approval.cancelled', move(approval, 'cancel', ctx.now, verdict), version)
  }
  const isOpen = approval.approvedUntil !== null && ctx.now < approval.approvedUntil
  if (!isOpen) throw decided(approval, ctx.now)
  return { ...(await ending(ctx, deps, { approval, version })), event: 'activation.ended' }
}

export interface Review {
  readonly verdict: 'justified' | 'unjustified'
  readonly note: string
}

/**
 * Says afterwards whether a glass was rightly broken; what was not justified ends at once. Throws `access_denied` for
 * who has a part in it, `conflict` where there is nothing to review.
 */
export async function planReview(
  ctx: Ctx,
  deps: ApprovalDeps,
  judge: Judge,
  { found, review }: { readonly found: Versioned<Approval>; readonly review: Review },
): Promise<Move> {
  const { version, ...approval } = found
  await judgedBy(ctx, deps, judge, approval)
  if (!approval.breakGlass || approval.review !== null)
    throw new Fault('conflict', 'There is nothing to review here, or somebody has done it.', {
      kind: 'nothing_to_review',
    })
  const reviewed: Approval = { ...approval, review: { by: judge, at: ctx.now, ...review } }
  if (review.verdict === 'justified') return plain('approval.reviewed', reviewed, version)
  return { ...(await ending(ctx, deps, { approval: reviewed, version })), event: 'approval.reviewed' }
}

/** The eligibility behind it, read once: the named approvers, its end, its limits. Throws for who must not judge. */
async function judgedBy(
  ctx: Ctx,
  { store }: ApprovalDeps,
  judge: Judge,
  approval: Approval,
): Promise<Versioned<Eligibility> | null> {
  const { eligibility: id } = approval.asked
  const eligibility = id === null ? null : ((await store.eligibilities.get(ctx, id)) ?? null)
  // INVARIANT: whoever asked for it, or gains by it, never decides it.
  if (!mayJudge(approval, judge, eligibility?.approvers ?? []))
    throw new Fault('access_denied', `This is for somebody else to decide: ${whyNotFor(approval, judge)}.`, {
      kind: 'not_an_approver',
    })
  return eligibility
}

const whyNotFor = (approval: Approval, judge: Judge): string =>
  mayJudge(approval, judge, [])
    ? 'its eligibility names who may'
    : 'whoever asked for it, or has the rights of it, does not'

function mustBePending(approval: Approval, now: number): void {
  if (stateOf(approval, now) !== 'pending') throw decided(approval, now)
}

function decided(approval: Approval, now: number): Fault {
  const state = stateOf(approval, now)
  return new Fault('conflict', `This request is ${state}.`, { kind: 'not_pending', state })
}

function move(approval: Approval, name: ApprovalMove, at: number, verdict: Verdict): Approval {
  const moved = moveApproval(approval, name, verdict, at)
  if (moved === undefined) throw decided(approval, at)
  return moved
}

function plain(event: string, approval: Approval, ifVersion: number): Move {
  return {
    event,
    approval,
    grant: null,
    change: { puts: [{ put: 'approval', value: approval, ifVersion }] },
    restsOn: [],
  }
}

/** The approval without any time left, and its grant taken back with every token and cached answer that rests on it. */
async function ending(
  ctx: Ctx,
  { store }: ApprovalDeps,
  { approval, version }: { readonly approval: Approval; readonly version: number },
): Promise<Move> {
  const { approvedUntil } = approval
  const ended: Approval = { ...approval, approvedUntil: Math.min(approvedUntil ?? ctx.now, ctx.now) }
  const grant = approval.grant === null ? undefined : await store.grants.get(ctx, approval.grant)
  const taken = grant !== undefined && isGrantLive(grant, ctx.now) ? takenBack(grant, ctx.now) : undefined
  return {
    event: 'activation.ended',
    approval: ended,
    grant: taken?.grant ?? null,
    change: {
      puts: [{ put: 'approval', value: ended, ifVersion: version }, ...(taken?.puts ?? [])],
      signals: [{ subject: approval.id, kind: 'narrowed' }, ...(taken?.signals ?? [])],
    },
    restsOn: [],
  }
}

/** A grant that ends now, and what has to be told of it. */
export function takenBack(
  { version, ...grant }: Versioned<Grant>,
  at: number,
): { readonly grant: Grant } & Required<Pick<Change, 'puts' | 'signals'>> {
  const ended: Grant = { ...grant, revokedAt: at }
  return {
    grant: ended,
    puts: [{ put: 'grant', value: ended, ifVersion: version }],
    signals: [
      { subject: grant.id, kind: 'narrowed' },
      { subject: grant.agent, kind: 'changed' },
    ],
  }
}
