// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /eligibilities take and answer.

import type { Budget } from './shared.ts'

interface Eligibility {
  readonly id: string
  readonly agent: string
  readonly resource: string
  readonly scopes: readonly string[]
  readonly authorization_details: readonly Readonly<Record<string, unknown>>[]
  readonly condition: string | null
  readonly budgets: readonly {
    readonly unit: 'calls' | 'money' | 'rows' | 'bytes'
    readonly currency: string | null
    readonly limit: number
    readonly window_seconds: number
    readonly burst: number
    /** What is left now; where one grant is looked at */
    readonly left?: number
  }[]
  readonly max_seconds: number
  readonly approval: 'none' | 'required'
  readonly approvers: readonly string[]
  readonly break_glass: boolean
  readonly reason: string
  readonly status: 'live' | 'expired' | 'revoked'
  readonly expires_at: string | null
  readonly created_at: string
  readonly created_by: string
  readonly revoked_at: string | null
}

interface EligibilityCreate {
  readonly agent: string
  /** The identifier of the resource */
  readonly resource: string
  readonly scopes?: readonly string[]
  /** RFC 9396 authorization details */
  readonly authorization_details?: readonly Readonly<Record<string, unknown>>[]
  readonly condition?: string | null
  /** What may be spent: by each activation that somebody approved, and by all others together */
  readonly budgets?: readonly Budget[]
  /** The longest activation */
  readonly max_seconds: number
  /** Whether somebody has to approve each activation */
  readonly approval: 'none' | 'required'
  /** Ids of agents or people: nobody else may approve; empty for whoever may */
  readonly approvers?: readonly string[]
  /** Whether it may be opened unapproved in an emergency, to be reviewed afterwards */
  readonly break_glass?: boolean
  readonly expires_at?: string | null
  /** Why; kept in the audit log */
  readonly reason: string
}

interface EligibilityRevoke {
  /** Why; kept in the audit log */
  readonly reason: string
}

export interface EligibilitiesOperations {
  /** Let an agent have rights opened for a while, with a reason and, where it is said, an approval. */
  'eligibilities.create': {
    readonly input: { readonly body: EligibilityCreate }
    readonly answer: Eligibility
  }
  /** See an eligibility. */
  'eligibilities.get': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: Eligibility
  }
  /** List eligibilities in the order in which they were made. */
  'eligibilities.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly agent?: string | number
        readonly resource?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Eligibility[]
      readonly next: string | null
    }
  }
  /** End an eligibility at once, with everything that was opened from it. */
  'eligibilities.revoke': {
    readonly input: { readonly params: { readonly id: string }; readonly body: EligibilityRevoke }
    readonly answer: Eligibility
  }
}
