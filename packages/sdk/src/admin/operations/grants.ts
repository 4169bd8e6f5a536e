// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /grants take and answer.

import type { Budget } from './shared.ts'

interface Grant {
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
  readonly reason: string
  readonly status: 'active' | 'expired' | 'revoked'
  readonly expires_at: string | null
  readonly created_at: string
  readonly created_by: string
  readonly revoked_at: string | null
}

interface GrantCreate {
  readonly agent: string
  /** The identifier of the resource */
  readonly resource: string
  /** May be left out where authorization_details say what is allowed */
  readonly scopes?: readonly string[]
  readonly expires_at?: string | null
  /** Why; kept in the audit log */
  readonly reason: string
  readonly condition?: string | null
  readonly budgets?: readonly Budget[]
  /** RFC 9396 authorization details */
  readonly authorization_details?: readonly Readonly<Record<string, unknown>>[]
}

interface GrantUsage {
  readonly items: readonly {
    readonly scope: string
    readonly tool: string
    readonly caller: string
    readonly count: number
    readonly first_used_at: string
    readonly last_used_at: string
  }[]
  /** Whether there are older uses that are not shown */
  readonly is_cut: boolean
}

interface UnusedGrant {
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
  readonly reason: string
  readonly status: 'active' | 'expired' | 'revoked'
  readonly expires_at: string | null
  readonly created_at: string
  readonly created_by: string
  readonly revoked_at: string | null
  readonly last_used_at: string | null
}

export interface GrantsOperations {
  /** Give an agent the right to ask for scopes of a resource, for authorization details, or for both together. */
  'grants.create': { readonly input: { readonly body: GrantCreate }; readonly answer: Grant }
  /** Take a grant back at once, with every token that rests on it; the record stays for the audit. */
  'grants.delete': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: undefined
  }
  /** See a grant. */
  'grants.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Grant }
  /** List grants in the order in which they were given. */
  'grants.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly agent?: string | number
        readonly resource?: string | number
        readonly status?: 'active'
      }
    }
    readonly answer: {
      readonly items: readonly Grant[]
      readonly next: string | null
    }
  }
  /** List grants that count now and that nobody has used for so many days. */
  'grants.unused': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly days?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly UnusedGrant[]
      readonly next: string | null
    }
  }
  /** See who used a grant, with which scopes and tools, the newest use first, 200 uses at most; counts lag by some seconds. */
  'grants.usage': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: GrantUsage
  }
}
