// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /halts take and answer.

interface Halt {
  readonly id: string
  readonly kind: 'agent' | 'instance' | 'key' | 'grant' | 'tool' | 'resource' | 'person' | 'tenant'
  readonly target: string
  readonly reason: string
  readonly by: string
  readonly status: 'live' | 'lifted'
  readonly created_at: string
  readonly lifted_at: string | null
  readonly lifted_by: string | null
}

interface HaltCreate {
  readonly kind: 'agent' | 'instance' | 'key' | 'grant' | 'tool' | 'resource' | 'person' | 'tenant'
  /** An id; a thumbprint; the identifier of a resource; `<identifier>#<tool>`; the issuer for the tenant */
  readonly target: string
  /** Why; kept in the audit log */
  readonly reason: string
}

interface HaltLift {
  /** Why; kept in the audit log */
  readonly reason: string
}

export interface HaltsOperations {
  /** Stop an agent, instance, key, grant, tool, resource, person or the tenant at once, until it is lifted. */
  'halts.create': { readonly input: { readonly body: HaltCreate }; readonly answer: Halt }
  /** See a halt. */
  'halts.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Halt }
  /** Lift a halt; tokens that it ended stay dead, and new ones are issued again. */
  'halts.lift': {
    readonly input: { readonly params: { readonly id: string }; readonly body: HaltLift }
    readonly answer: Halt
  }
  /** List halts in the order in which they were made. */
  'halts.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly status?: 'live'
      }
    }
    readonly answer: {
      readonly items: readonly Halt[]
      readonly next: string | null
    }
  }
}
