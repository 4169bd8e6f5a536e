// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /approvals take and answer.

import type { Approval } from './shared.ts'

interface ApprovalApprove {
  readonly scopes?: readonly string[]
  /** RFC 9396 authorization details */
  readonly authorization_details?: readonly Readonly<Record<string, unknown>>[]
  readonly seconds?: number
  /** Why; kept in the audit log */
  readonly reason?: string
}

interface ApprovalCancel {
  /** Why; kept in the audit log */
  readonly reason: string
}

interface ApprovalDeny {
  /** Why; kept in the audit log */
  readonly reason: string
}

interface ApprovalReview {
  readonly verdict: 'justified' | 'unjustified'
  readonly note: string
}

export interface ApprovalsOperations {
  /** Approve a request, or a part of it and for less time; what is approved opens at once. */
  'approvals.approve': {
    readonly input: { readonly params: { readonly id: string }; readonly body: ApprovalApprove }
    readonly answer: Approval
  }
  /** Take a pending request back, or end at once what an approved one opened. */
  'approvals.cancel': {
    readonly input: { readonly params: { readonly id: string }; readonly body: ApprovalCancel }
    readonly answer: Approval
  }
  /** Deny a request for good. */
  'approvals.deny': {
    readonly input: { readonly params: { readonly id: string }; readonly body: ApprovalDeny }
    readonly answer: Approval
  }
  /** See a request for approval, exactly as it would be approved. */
  'approvals.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Approval }
  /** List requests for approval in the order in which they came. */
  'approvals.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly agent?: string | number
        readonly state?: 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled' | 'failed' | 'partial'
        readonly kind?: 'activation' | 'access_request'
        readonly unreviewed?: 'true'
      }
    }
    readonly answer: {
      readonly items: readonly Approval[]
      readonly next: string | null
    }
  }
  /** Say afterwards whether a glass was rightly broken; what was not justified ends at once. */
  'approvals.review': {
    readonly input: { readonly params: { readonly id: string }; readonly body: ApprovalReview }
    readonly answer: Approval
  }
}
