// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /events take and answer.

import type { Event } from './shared.ts'

interface Why {
  readonly entry: Event
  /** From whoever answers for it to the key that proved it */
  readonly path: readonly {
    readonly kind: 'person' | 'operator' | 'agent' | 'instance' | 'client' | 'key'
    readonly id: string
    readonly name: string | null
    /** A sentence about it as it is now */
    readonly says: string
    /** What made it so */
    readonly entries: readonly {
      readonly id: string
      readonly index: number
      readonly time: string
      readonly type: string
      readonly outcome: string
      readonly reason: string | null
      /** Who did it, the root first: ids */
      readonly by: readonly string[]
    }[]
  }[]
  readonly decision: {
    readonly outcome: string
    readonly rule: string | null
    readonly says: string
    /** What the decision rests on */
    readonly grants: readonly {
      readonly id: string
      readonly resource: string
      readonly scopes: readonly string[]
      readonly reason: string
      readonly by: {
        readonly id: string
        readonly name: string | null
      }
      /** Now; at the entry it was active */
      readonly state: 'active' | 'expired' | 'revoked'
      readonly entries: readonly {
        readonly id: string
        readonly index: number
        readonly time: string
        readonly type: string
        readonly outcome: string
        readonly reason: string | null
        /** Who did it, the root first: ids */
        readonly by: readonly string[]
      }[]
    }[]
  }
  /** What else the same request left in the log */
  readonly related: readonly {
    readonly id: string
    readonly index: number
    readonly time: string
    readonly type: string
    readonly outcome: string
    readonly reason: string | null
    /** Who did it, the root first: ids */
    readonly by: readonly string[]
  }[]
  /** Size of the newest checkpoint; null where none covers the entry yet */
  readonly checkpoint: number | null
}

export interface EventsOperations {
  /** See one entry of the audit log. */
  'events.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Event }
  /** Read the audit log in its order. */
  'events.list': {
    readonly input: {
      readonly query?: {
        readonly agent?: string | number
        readonly person?: string | number
        readonly type?: string | number
        readonly request_id?: string | number
        readonly since?: string | number
        readonly until?: string | number
        readonly limit?: string | number
        readonly after?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Event[]
      readonly next: string | null
    }
  }
  /** See who answers for an entry of the audit log, what decided it, and the entries behind both. */
  'events.why': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Why }
}
