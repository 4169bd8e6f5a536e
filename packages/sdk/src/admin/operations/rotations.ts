// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /rotations take and answer.

import type { Event } from './shared.ts'

interface BlastRadius {
  readonly reach: readonly {
    readonly kind: 'resource' | 'secret' | 'token' | 'consumer' | 'upstream'
    readonly name: string
    readonly detail: string
  }[]
  readonly holders: readonly string[]
  readonly deeds: readonly Event[]
  readonly next: string | null
}

interface Rotation {
  readonly id: string
  readonly kind: 'instance_key' | 'issuer_key' | 'root_key' | 'tenant_key' | 'secret' | 'client_secret'
  readonly target: string
  /** Whom to call when it cannot go on */
  readonly owner: string | null
  readonly state: 'staged' | 'active' | 'retiring' | 'retired' | 'blocked' | 'failed'
  readonly state_at: string
  readonly emergency: boolean
  readonly reason: string
  readonly batch: string | null
  /** The version that is replaced */
  readonly from: string | null
  /** Its successor */
  readonly to: string | null
  /** How it is known that nobody needs the old version */
  readonly proof: 'last_use' | 'last_token' | 'no_records' | 'live_sessions' | 'none'
  readonly created_at: string
  readonly active_at: string | null
  readonly due_at: string | null
  /** From here on it is blocked unless it went on */
  readonly limit_at: string
  readonly problem: string | null
  readonly drain: {
    /** Users, records, sessions or seconds left; 0 when drained */
    readonly remaining: number
    /** The earliest instant at which it can be drained */
    readonly clear_at: string
    readonly users: readonly {
      readonly caller: string
      readonly from: string | null
      readonly first_used_at: string | null
      readonly last_used_at: string
      readonly until: string | null
    }[]
  } | null
}

interface RotationBatch {
  readonly kind: 'instance_key' | 'issuer_key' | 'root_key' | 'tenant_key' | 'secret' | 'client_secret'
  /** Why; kept in the audit log */
  readonly reason?: string
  /** The `batch` of the answer before, so that all are one */
  readonly batch?: string
  readonly after?: string
}

interface RotationBatchBegun {
  readonly batch: string
  readonly items: readonly Rotation[]
  readonly skipped: readonly {
    readonly target: string
    readonly because: string
  }[]
  readonly next: string | null
}

interface RotationCreate {
  readonly kind: 'instance_key' | 'issuer_key' | 'root_key' | 'tenant_key' | 'secret' | 'client_secret'
  /** The id of an instance or secret; left out for keys of the authority */
  readonly target?: string
  /** Why; kept in the audit log */
  readonly reason?: string
  readonly emergency?: boolean
  /** Of an issuer key: that of the successor */
  readonly alg?: string
}

export interface RotationsOperations {
  /** Begin rotations of every target of a kind, a page at a time: ask again with `after` until `next` is null. */
  'rotations.batch': { readonly input: { readonly body: RotationBatch }; readonly answer: RotationBatchBegun }
  /** See what the old version could reach, and what its holders did with it since an instant. */
  'rotations.blast-radius': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly query?: {
        readonly since?: string | number
        readonly limit?: string | number
        readonly after?: string | number
      }
    }
    readonly answer: BlastRadius
  }
  /** Give the successor up while it is not in use; the old version stays. */
  'rotations.cancel': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly body: {
        /** Why; kept in the audit log */
        readonly reason: string
      }
    }
    readonly answer: Rotation
  }
  /** Begin a rotation; an emergency cuts the old version at once. */
  'rotations.create': { readonly input: { readonly body: RotationCreate }; readonly answer: Rotation }
  /** End the old version although it is not proven unused: whoever still uses it fails. */
  'rotations.force': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly body: {
        /** Why; kept in the audit log */
        readonly reason: string
      }
    }
    readonly answer: Rotation
  }
  /** See one rotation, with who still uses the old version, from where and since when. */
  'rotations.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Rotation }
  /** List rotations, the oldest first; the drain of each is shown with the single one. */
  'rotations.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly kind?: 'instance_key' | 'issuer_key' | 'root_key' | 'tenant_key' | 'secret' | 'client_secret'
        readonly target?: string | number
        readonly state?: 'staged' | 'active' | 'retiring' | 'retired' | 'blocked' | 'failed'
        readonly batch?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Rotation[]
      readonly next: string | null
    }
  }
  /** Look at it again now, for example after the upstream was mended. */
  'rotations.retry': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly body: {
        /** Why; kept in the audit log */
        readonly reason: string
      }
    }
    readonly answer: Rotation
  }
}
