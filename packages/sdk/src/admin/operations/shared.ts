// Generated from docs/openapi.json by tools/openapi.ts; never edited. Objects of several parts of the management API.

export interface Approval {
  readonly id: string
  readonly kind: 'activation' | 'access_request'
  readonly state: 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled' | 'failed' | 'partial'
  readonly agent: string
  readonly instance: string | null
  readonly resource: string
  readonly eligibility: string | null
  readonly scopes: readonly string[]
  readonly authorization_details: readonly Readonly<Record<string, unknown>>[]
  readonly seconds: number
  /** The one operation that was denied and is asked for */
  readonly operation: {
    readonly action: string
    readonly type: string | null
    readonly id: string | null
  } | null
  readonly reason: string
  readonly break_glass: boolean
  /** A glass was broken, and nobody has looked at it yet */
  readonly unreviewed: boolean
  readonly requested_by: string
  readonly decided_by: string | null
  readonly decision_reason: string | null
  /** What was approved of what was asked; never more */
  readonly approved: {
    readonly scopes: readonly string[]
    readonly authorization_details: readonly Readonly<Record<string, unknown>>[]
    readonly seconds: number
  } | null
  readonly approved_until: string | null
  readonly grant: string | null
  readonly review: {
    readonly by: string
    readonly at: string
    readonly verdict: 'justified' | 'unjustified'
    readonly note: string
  } | null
  /** A pending one that nobody decided by then has expired */
  readonly expires_at: string
  readonly created_at: string
}

export interface Budget {
  readonly unit: 'calls' | 'money' | 'rows' | 'bytes'
  /** Of money, whose amounts are whole numbers of its smallest unit */
  readonly currency?: string
  readonly limit: number
  readonly window_seconds: number
  /** How much more one window may hold; 0 unless told */
  readonly burst?: number
}

export interface Event {
  readonly id: string
  /** Position in the log, from 0 */
  readonly index: number
  readonly time: string
  readonly type: string
  readonly outcome: 'allowed' | 'refused' | 'failed'
  readonly reason: string | null
  /** The agent that it is about; who did it is in the chain */
  readonly agent: string | null
  readonly instance: string | null
  /** Thumbprint of the key that proved the caller */
  readonly key: string | null
  readonly person: string | null
  readonly chain: readonly {
    readonly sub: string
    readonly kind: 'person' | 'agent' | 'instance' | 'client'
  }[]
  readonly resource: string | null
  readonly action: string | null
  readonly decision: Readonly<Record<string, unknown>> | null
  readonly request_id: string
  readonly trace_id: string | null
  readonly peer: string | null
}

export interface Person {
  readonly id: string
  readonly login: string
  readonly name: string | null
  readonly has_password: boolean
  readonly groups: readonly string[]
  readonly status: 'active' | 'suspended'
  readonly status_reason: string | null
  readonly created_at: string
  readonly updated_at: string
}

export interface Reason {
  /** Why; kept in the audit log */
  readonly reason: string
}
