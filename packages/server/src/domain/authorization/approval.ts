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
  } | null
  readonly seconds: number
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
  /** Told of the outcome; https, or a loopback address. */
  readonly callback: string | null
  /** A pending one that nobody decided by then has expired. */
  readonly expiresAt: number
  readonly createdAt: number
  readonly stateAt: number
}
