// Approvals: one task for somebody to decide, whatever asked for it: an activation, or an access request after a denial.
import type { AuthorizationDetail } from '@writ/sdk/protocol/details/detail'
import type {
  AgentId,
  ApprovalId,
  EligibilityId,
  GrantId,
  InstanceId,
  PersonId,
} from '@writ/sdk/protocol/identifier'

/** As in the AuthZEN access request profile; every state but `pending` is final (property 37). */
export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled' | 'failed' | 'partial'

/** What is asked for, so exactly that an approval of it is an approval of nothing else. */
export interface Asked {
  readonly agent: AgentId
  readonly instance: InstanceId | null
  readonly person: PersonId | null
  /** Set for an activation. */
  readonly eligibility: EligibilityId | null
  readonly resource: string
  readonly scopes: readonly string[]
  readonly authorizationDetails: readonly AuthorizationDetail[]
  /** Set for one operation that was denied: its action, its object, and the digest of its context and arguments. */
  readonly operation: {
    readonly action: string
    readonly object: { readonly type: string; readonly id: string } | null
    readonly digest: string
    /** Everybody who takes part in it, by their ids. */
    readonly parties?: readonly string[]
  } | null
  readonly seconds: number
}

/** Somebody who wants to be told of the outcome. Being told is a convenience: what counts is the task itself. */
export interface Callback {
  readonly endpoint: string
  /** As it was given, JSON, to be returned unread; null where there was none. */
  readonly state: string | null
  /** The outcomes that are told; empty for all. */
  readonly events: readonly ApprovalState[]
  /** How often it was tried. */
  readonly attempts: number
  /** When it is tried next; null before the outcome, and once it was told or given up. */
  readonly dueAt: number | null
}

export interface Approval {
  readonly id: ApprovalId
  readonly kind: 'activation' | 'access_request'
  readonly asked: Asked
  readonly reason: string
  /** Opened without the approval that it would need; somebody has to review it afterwards. */
  readonly breakGlass: boolean
  readonly requestedBy: string
  readonly state: ApprovalState
  readonly decidedBy: string | null
  readonly decisionReason: string | null
  /** What was approved, never more than what was asked; null before that. */
  readonly approved: Pick<Asked, 'scopes' | 'authorizationDetails' | 'seconds'> | null
  /** Until when an approved one counts at decisions. */
  readonly approvedUntil: number | null
  /** The grant that it opened. */
  readonly grant: GrantId | null
  readonly review: {
    readonly by: string
    readonly at: number
    readonly verdict: 'justified' | 'unjustified'
    readonly note: string
  } | null
  readonly callback: Callback | null
  /** A pending one that nobody decided by then has expired. */
  readonly expiresAt: number
  readonly createdAt: number
  readonly stateAt: number
}

export type ApprovalMove = 'approve' | 'deny' | 'expire' | 'cancel' | 'fail' | 'part'

/** Access request profile, "State Transitions": one move out of `pending`, and none out of anything else. */
const moves: Readonly<Record<ApprovalMove, { readonly from: ApprovalState; readonly to: ApprovalState }>> = {
  approve: { from: 'pending', to: 'approved' },
  deny: { from: 'pending', to: 'denied' },
  expire: { from: 'pending', to: 'expired' },
  cancel: { from: 'pending', to: 'cancelled' },
  fail: { from: 'pending', to: 'failed' },
  // Of several things asked for at once some were approved and others were not.
  part: { from: 'pending', to: 'partial' },
}

/** What a move writes beside the state. */
export type Verdict = Partial<
  Pick<Approval, 'decidedBy' | 'decisionReason' | 'approved' | 'approvedUntil' | 'grant'>
>

/**
 * The approval after the move; undefined where its state does not have it: what was decided once stays decided
 * (property 37). One whose time to be decided has ended can only expire, whether or not anybody has noticed.
 */
export function moveApproval(
  approval: Approval,
  move: ApprovalMove,
  verdict: Verdict,
  at: number,
): Approval | undefined {
  const { from, to } = moves[move]
  if (approval.state !== from || isOverdue(approval, at) !== (move === 'expire')) return undefined
  const { callback } = approval
  const isTold = callback !== null && (callback.events.length === 0 || callback.events.includes(to))
  return {
    ...approval,
    ...verdict,
    state: to,
    stateAt: at,
    callback: isTold ? { ...callback, dueAt: at } : callback,
  }
}

function isOverdue({ expiresAt }: Approval, now: number): boolean {
  return now >= expiresAt
}

/** The state as whoever asks at this instant has to hear it. */
export function stateOf(approval: Approval, now: number): ApprovalState {
  return approval.state === 'pending' && isOverdue(approval, now) ? 'expired' : approval.state
}

/** Opened without its approval, and not looked at by anybody since. */
export function isUnreviewed({ breakGlass, review }: Pick<Approval, 'breakGlass' | 'review'>): boolean {
  return breakGlass && review === null
}

/** When a loop has to look at it next; null where nothing happens by itself any more. */
export function dueAtOf({ state, expiresAt, callback }: Approval): number | null {
  return state === 'pending' ? expiresAt : (callback?.dueAt ?? null)
}

/** Whoever asked, receives or takes part says nothing about whether it is right: none of them decides or reviews. */
export function mayJudge(
  approval: Pick<Approval, 'asked' | 'requestedBy'>,
  judge: string,
  named: readonly string[],
): boolean {
  const { agent, instance, person, operation } = approval.asked
  const parties = operation?.parties ?? []
  const partial: readonly (string | null)[] = [approval.requestedBy, agent, instance, person, ...parties]
  return !partial.includes(judge) && (named.length === 0 || named.includes(judge))
}
