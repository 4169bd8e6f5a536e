// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /secrets take and answer.

import type { Reason } from './shared.ts'

interface Secret {
  readonly id: string
  readonly name: string
  /** Where it is read, and the resource that grants for it name */
  readonly uri: string
  readonly description: string
  readonly owner: string
  readonly labels: Readonly<Record<string, string>>
  readonly consumers: readonly string[]
  readonly lease_seconds: number
  readonly rotator: {
    readonly kind: string
    readonly options: Readonly<Record<string, unknown>>
  } | null
  readonly status: 'active' | 'retired'
  readonly created_at: string
  readonly updated_at: string
}

interface SecretCreate {
  readonly name: string
  /** The id or login of a person, or the id of the operator */
  readonly owner?: string
  readonly description?: string
  readonly labels?: Readonly<Record<string, string>>
  /** Ids of agents that may have it, names of secrets whose rotators may use it */
  readonly consumers?: readonly string[]
  /** How long whoever is given it may rely on it before asking again; 300 unless told */
  readonly lease_seconds?: number
  /** At most 8192 bytes of UTF-8; never shown again here */
  readonly value?: string
  readonly rotator?: {
    readonly kind: string
    readonly options: Readonly<Record<string, unknown>>
  }
}

interface SecretLease {
  readonly id: string
  readonly secret: string
  readonly agent: string
  readonly instance: string | null
  /** What the upstream calls it */
  readonly handle: string
  readonly state: 'pending' | 'live' | 'ending' | 'ended'
  readonly state_at: string
  readonly created_at: string
  readonly expires_at: string
  /** Failed attempts to withdraw it upstream */
  readonly attempts: number
  readonly due_at: string | null
}

interface SecretUpdate {
  readonly description?: string
  readonly labels?: Readonly<Record<string, string>>
  /** Ids of agents that may have it, names of secrets whose rotators may use it */
  readonly consumers?: readonly string[]
  /** How long whoever is given it may rely on it before asking again; 300 unless told */
  readonly lease_seconds?: number
}

interface SecretVersion {
  readonly id: string
  readonly secret: string
  readonly number: number
  readonly state: 'staged' | 'active' | 'retiring' | 'retired' | 'failed'
  readonly state_at: string
  /** Which wraps it; null once nothing is left */
  readonly vault_key: string | null
  /** What the upstream calls it */
  readonly handle: string | null
  readonly rotation: string | null
  readonly created_at: string
  readonly last_used_at: string | null
  readonly last_used_by: string | null
  readonly last_used_from: string | null
  /** The end of its last lease */
  readonly used_until: string | null
}

interface SecretVersionCreate {
  /** At most 8192 bytes of UTF-8; never shown again here */
  readonly value: string
  /** Why; kept in the audit log */
  readonly reason?: string
}

export interface SecretsOperations {
  /** List the leases of a secret in the order in which they were given; never a value. */
  'secret-leases.list': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly agent?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly SecretLease[]
      readonly next: string | null
    }
  }
  /** End a lease before its time: what was made for it is withdrawn upstream within seconds. */
  'secret-leases.revoke': {
    readonly input: {
      readonly params: { readonly id: string; readonly lease: string }
      readonly body: Reason
    }
    readonly answer: SecretLease
  }
  /** Give the next version of a secret: it is in use at once, and the former drains. */
  'secret-versions.create': {
    readonly input: { readonly params: { readonly id: string }; readonly body: SecretVersionCreate }
    readonly answer: SecretVersion
  }
  /** List the versions of a secret with their states and last use, the oldest first; never a value. */
  'secret-versions.list': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly query?: { readonly limit?: string | number; readonly after?: string | number }
    }
    readonly answer: {
      readonly items: readonly SecretVersion[]
      readonly next: string | null
    }
  }
  /** Put a secret into the vault; a rotator makes the first version of one that comes without a value. */
  'secrets.create': { readonly input: { readonly body: SecretCreate }; readonly answer: Secret }
  /** See what is known of a secret, except its value. */
  'secrets.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Secret }
  /** List the secrets of the vault, without their values, in the order in which they came. */
  'secrets.list': {
    readonly input: {
      readonly query?: {
        readonly limit?: string | number
        readonly after?: string | number
        readonly owner?: string | number
      }
    }
    readonly answer: {
      readonly items: readonly Secret[]
      readonly next: string | null
    }
  }
  /** End a secret for ever: its grants, versions and leases end with it, and nothing of it can be opened. */
  'secrets.retire': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Secret
  }
  /** Change a secret; whoever is no consumer any more is given nothing from that instant on. */
  'secrets.update': {
    readonly input: { readonly params: { readonly id: string }; readonly body: SecretUpdate }
    readonly answer: Secret
  }
}
