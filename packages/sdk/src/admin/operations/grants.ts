// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /grants take and answer.

interface Grant {
  readonly id: string
  readonly agent: string
  readonly resource: string
  readonly scopes: readonly string[]
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
  readonly scopes: readonly string[]
  readonly expires_at?: string | null
  /** Why; kept in the audit log */
  readonly reason: string
  /** A policy condition; refused until it is enforced */
  readonly condition?: unknown
  /** RFC 9396 details; refused until it is enforced */
  readonly authorization_details?: unknown
}

export interface GrantsOperations {
  /** Give an agent the right to ask for scopes of a resource. */
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
}
