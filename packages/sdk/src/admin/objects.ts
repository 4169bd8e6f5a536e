// Generated from docs/openapi.json by tools/openapi.ts; never edited. The objects of the management API.

export interface Agent {
  readonly id: string
  readonly name: string
  /** The id of a person, or of the operator */
  readonly owner: string
  readonly purpose: string
  readonly kind: string | null
  readonly model: string | null
  readonly provider: string | null
  readonly version: string | null
  readonly labels: Readonly<Record<string, string>>
  readonly status: 'active' | 'suspended' | 'retired'
  readonly status_reason: string | null
  readonly status_at: string
  readonly expires_at: string | null
  readonly created_at: string
  readonly updated_at: string
}

export interface AgentCreate {
  readonly name: string
  /** The id or login of a person, or the id of the operator */
  readonly owner: string
  readonly purpose: string
  readonly kind?: string | null
  readonly model?: string | null
  readonly provider?: string | null
  readonly version?: string | null
  readonly labels?: Readonly<Record<string, string>>
  readonly expires_at?: string | null
  /** Public keys; each makes one instance */
  readonly jwks?: {
    readonly keys: readonly Readonly<Record<string, unknown>>[]
  }
}

export interface AgentUpdate {
  readonly name?: string
  /** The id or login of a person, or the id of the operator */
  readonly owner?: string
  readonly purpose?: string
  readonly kind?: string | null
  readonly model?: string | null
  readonly provider?: string | null
  readonly version?: string | null
  readonly labels?: Readonly<Record<string, string>>
  readonly expires_at?: string | null
}

export interface BlastRadius {
  readonly reach: readonly {
    readonly kind: 'resource' | 'secret' | 'token' | 'consumer' | 'upstream'
    readonly name: string
    readonly detail: string
  }[]
  readonly holders: readonly string[]
  readonly deeds: readonly Event[]
  readonly next: string | null
}

export interface Client {
  readonly redirect_uris?: readonly string[]
  readonly grant_types?: readonly ('authorization_code' | 'refresh_token')[]
  readonly response_types?: readonly 'code'[]
  readonly application_type?: 'web' | 'native'
  readonly contacts?: readonly string[]
  readonly client_uri?: string
  readonly logo_uri?: string
  readonly tos_uri?: string
  readonly policy_uri?: string
  readonly software_id?: string
  readonly software_version?: string
  readonly id: string
  readonly client_id: string
  /** Epoch seconds, RFC 7591 §3.2.1 */
  readonly client_id_issued_at: number
  readonly client_name: string
  readonly token_endpoint_auth_method:
    | 'private_key_jwt'
    | 'client_secret_basic'
    | 'client_secret_post'
    | 'none'
  readonly jwks?: {
    readonly keys: readonly Readonly<Record<string, unknown>>[]
  }
  readonly status: 'active' | 'suspended'
  readonly status_reason: string | null
  readonly created_at: string
  readonly updated_at: string
}

export interface ClientCreate {
  readonly redirect_uris?: readonly string[]
  readonly grant_types?: readonly ('authorization_code' | 'refresh_token')[]
  readonly response_types?: readonly 'code'[]
  readonly application_type?: 'web' | 'native'
  readonly contacts?: readonly string[]
  readonly client_uri?: string
  readonly logo_uri?: string
  readonly tos_uri?: string
  readonly policy_uri?: string
  readonly software_id?: string
  readonly software_version?: string
  /** private_key_jwt where a jwks is given, none otherwise; a shared secret only where it is asked for */
  readonly token_endpoint_auth_method?:
    | 'private_key_jwt'
    | 'client_secret_basic'
    | 'client_secret_post'
    | 'none'
  readonly jwks?: {
    readonly keys: readonly Readonly<Record<string, unknown>>[]
  }
  /** Keys behind a URL; refused until it is enforced */
  readonly jwks_uri?: unknown
  readonly client_name: string
}

export interface ClientCreated {
  readonly redirect_uris?: readonly string[]
  readonly grant_types?: readonly ('authorization_code' | 'refresh_token')[]
  readonly response_types?: readonly 'code'[]
  readonly application_type?: 'web' | 'native'
  readonly contacts?: readonly string[]
  readonly client_uri?: string
  readonly logo_uri?: string
  readonly tos_uri?: string
  readonly policy_uri?: string
  readonly software_id?: string
  readonly software_version?: string
  readonly id: string
  readonly client_id: string
  /** Epoch seconds, RFC 7591 §3.2.1 */
  readonly client_id_issued_at: number
  readonly client_name: string
  readonly token_endpoint_auth_method:
    | 'private_key_jwt'
    | 'client_secret_basic'
    | 'client_secret_post'
    | 'none'
  readonly jwks?: {
    readonly keys: readonly Readonly<Record<string, unknown>>[]
  }
  readonly status: 'active' | 'suspended'
  readonly status_reason: string | null
  readonly created_at: string
  readonly updated_at: string
  /** Shown once; only its hash is kept */
  readonly client_secret?: string
  /** 0: it has no end of its own */
  readonly client_secret_expires_at?: 0
  /** RFC 7592: where the client manages itself */
  readonly registration_client_uri: string
  /** RFC 7592; shown once */
  readonly registration_access_token: string
}

export interface ClientRegistrationToken {
  readonly registration_client_uri: string
  readonly registration_access_token: string
}

export interface ClientSecret {
  readonly id: string
  readonly client: string
  readonly state: 'active' | 'retiring' | 'retired' | 'revoked'
  readonly state_at: string
  readonly created_at: string
  readonly expires_at: string | null
  readonly last_used_at: string | null
  /** The client, and the network it came from */
  readonly last_used_by: string | null
  readonly last_used_from: string | null
}

export interface ClientSecretCreate {
  /** Why; kept in the audit log */
  readonly reason?: string
}

export interface ClientSecretCreated {
  readonly id: string
  readonly client_id: string
  /** Shown once; only its hash is kept */
  readonly client_secret: string
  readonly client_secret_expires_at: 0
  /** Null where it is the first secret */
  readonly rotation: string | null
}

export interface ClientUpdate {
  readonly redirect_uris?: readonly string[]
  readonly grant_types?: readonly ('authorization_code' | 'refresh_token')[]
  readonly response_types?: readonly 'code'[]
  readonly application_type?: 'web' | 'native'
  readonly contacts?: readonly string[]
  readonly client_uri?: string
  readonly logo_uri?: string
  readonly tos_uri?: string
  readonly policy_uri?: string
  readonly software_id?: string
  readonly software_version?: string
  /** private_key_jwt where a jwks is given, none otherwise; a shared secret only where it is asked for */
  readonly token_endpoint_auth_method?:
    | 'private_key_jwt'
    | 'client_secret_basic'
    | 'client_secret_post'
    | 'none'
  readonly jwks?: {
    readonly keys: readonly Readonly<Record<string, unknown>>[]
  }
  /** Keys behind a URL; refused until it is enforced */
  readonly jwks_uri?: unknown
  readonly client_name?: string
}

export interface Enrollment {
  readonly token: string
  readonly expires_at: string
  readonly enroll_uri: string
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

export interface Grant {
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

export interface GrantCreate {
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

export interface Instance {
  readonly id: string
  readonly agent: string
  /** By a token of its own, or by an administrator */
  readonly origin: 'enrolled' | 'registered'
  readonly created_at: string
}

export interface IssuerKey {
  readonly kid: string
  readonly alg: string
  readonly state: 'staged' | 'active' | 'retiring' | 'retired'
  readonly state_at: string
  readonly created_at: string
  /** When a staged key begins to sign */
  readonly activates_at: string
  /** When the last token it signed has expired */
  readonly retires_at: string | null
  readonly jwk: Readonly<Record<string, unknown>> | null
}

export interface Key {
  readonly kid: string
  /** RFC 7638, SHA-256 */
  readonly thumbprint: string
  readonly instance: string | null
  readonly state: 'staged' | 'active' | 'retiring' | 'retired' | 'revoked'
  readonly state_reason: string | null
  readonly state_at: string
  readonly jwk: Readonly<Record<string, unknown>>
  readonly not_before: string
  readonly expires_at: string | null
  readonly created_at: string
  readonly last_used_at: string | null
  readonly last_used_from: string | null
}

export interface KeyCreate {
  readonly jwk: Readonly<Record<string, unknown>>
  /** The configured life of a key unless told; null for a key without an end */
  readonly expires_at?: string | null
}

export interface Person {
  readonly id: string
  readonly login: string
  readonly name: string | null
  readonly has_password: boolean
  readonly status: 'active' | 'suspended'
  readonly status_reason: string | null
  readonly created_at: string
  readonly updated_at: string
}

export interface PersonCreate {
  readonly login: string
  readonly name?: string | null
  readonly password?: string | null
}

export interface PersonUpdate {
  readonly login?: string
  readonly name?: string | null
  readonly password?: string | null
}

export interface Reason {
  /** Why; kept in the audit log */
  readonly reason: string
}

export interface Resource {
  readonly id: string
  readonly identifier: string
  readonly name: string
  readonly scopes: readonly {
    readonly name: string
    readonly description: string
    readonly includes: readonly string[]
    readonly sensitive: boolean
  }[]
  readonly introspection_clients: readonly string[]
  readonly bearer_allowed: boolean
  readonly created_at: string
  readonly updated_at: string
}

export interface ResourceCreate {
  /** RFC 8707 §2: an absolute URI */
  readonly identifier: string
  readonly name: string
  readonly scopes: readonly {
    readonly name: string
    readonly description: string
    readonly includes?: readonly string[]
    readonly sensitive?: boolean
  }[]
  /** Clients and agents that may introspect tokens for this resource */
  readonly introspection_clients?: readonly string[]
  /** Whether tokens without a key binding may be issued for it; no unless told */
  readonly bearer_allowed?: boolean
}

export interface ResourceUpdate {
  readonly name?: string
  readonly scopes?: readonly {
    readonly name: string
    readonly description: string
    readonly includes?: readonly string[]
    readonly sensitive?: boolean
  }[]
  /** Clients and agents that may introspect tokens for this resource */
  readonly introspection_clients?: readonly string[]
  /** Whether tokens without a key binding may be issued for it; no unless told */
  readonly bearer_allowed?: boolean
}

export interface Rotation {
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

export interface RotationBatch {
  readonly kind: 'instance_key' | 'issuer_key' | 'root_key' | 'tenant_key' | 'secret' | 'client_secret'
  /** Why; kept in the audit log */
  readonly reason?: string
  /** The `batch` of the answer before, so that all are one */
  readonly batch?: string
  readonly after?: string
}

export interface RotationBatchBegun {
  readonly batch: string
  readonly items: readonly Rotation[]
  readonly skipped: readonly {
    readonly target: string
    readonly because: string
  }[]
  readonly next: string | null
}

export interface RotationCreate {
  readonly kind: 'instance_key' | 'issuer_key' | 'root_key' | 'tenant_key' | 'secret' | 'client_secret'
  /** The id of an instance or secret; left out for keys of the authority */
  readonly target?: string
  /** Why; kept in the audit log */
  readonly reason?: string
  readonly emergency?: boolean
  /** Of an issuer key: that of the successor */
  readonly alg?: string
}

export interface Schedule {
  readonly id: string
  readonly kind: 'instance_key' | 'issuer_key' | 'root_key' | 'tenant_key' | 'secret' | 'client_secret'
  /** `*` for every target of the kind */
  readonly target: string
  readonly cron: string | null
  readonly max_age_seconds: number | null
  readonly jitter_seconds: number
  readonly status: 'active' | 'suspended'
  readonly next_at: string
  readonly last_at: string | null
  readonly last_rotation: string | null
  readonly created_at: string
  readonly updated_at: string
}

export interface ScheduleCreate {
  readonly kind: 'instance_key' | 'issuer_key' | 'root_key' | 'tenant_key' | 'secret' | 'client_secret'
  /** `*` unless told */
  readonly target?: string
  /** Five fields, UTC */
  readonly cron?: string
  readonly max_age_seconds?: number
  readonly jitter_seconds?: number
}

export interface ScheduleUpdate {
  readonly cron?: string | null
  readonly max_age_seconds?: number | null
  readonly jitter_seconds?: number
  readonly status?: 'active' | 'suspended'
}

export interface Secret {
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

export interface SecretCreate {
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

export interface SecretLease {
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

export interface SecretUpdate {
  readonly description?: string
  readonly labels?: Readonly<Record<string, string>>
  /** Ids of agents that may have it, names of secrets whose rotators may use it */
  readonly consumers?: readonly string[]
  /** How long whoever is given it may rely on it before asking again; 300 unless told */
  readonly lease_seconds?: number
}

export interface SecretVersion {
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

export interface SecretVersionCreate {
  /** At most 8192 bytes of UTF-8; never shown again here */
  readonly value: string
  /** Why; kept in the audit log */
  readonly reason?: string
}

export interface Why {
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
