// Generated from docs/openapi.json by tools/openapi.ts; never edited. What the operations below /clients take and answer.

import type { Reason } from './shared.ts'

interface Client {
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
  /** RFC 9396 §10: the types of authorization details that the client uses */
  readonly authorization_details_types?: readonly ('mcp_tool' | 'http' | 'sql')[]
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

interface ClientCreate {
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
  /** RFC 9396 §10: the types of authorization details that the client uses */
  readonly authorization_details_types?: readonly ('mcp_tool' | 'http' | 'sql')[]
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

interface ClientCreated {
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
  /** RFC 9396 §10: the types of authorization details that the client uses */
  readonly authorization_details_types?: readonly ('mcp_tool' | 'http' | 'sql')[]
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

interface ClientRegistrationToken {
  readonly registration_client_uri: string
  readonly registration_access_token: string
}

interface ClientSecret {
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

interface ClientSecretCreate {
  /** Why; kept in the audit log */
  readonly reason?: string
}

interface ClientSecretCreated {
  readonly id: string
  readonly client_id: string
  /** Shown once; only its hash is kept */
  readonly client_secret: string
  readonly client_secret_expires_at: 0
  /** Null where it is the first secret */
  readonly rotation: string | null
}

interface ClientUpdate {
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
  /** RFC 9396 §10: the types of authorization details that the client uses */
  readonly authorization_details_types?: readonly ('mcp_tool' | 'http' | 'sql')[]
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

export interface ClientsOperations {
  /** Make the next secret of a client; the former works until nobody has used it for the drain window. One that was never used is replaced. */
  'client-secrets.create': {
    readonly input: { readonly params: { readonly id: string }; readonly body: ClientSecretCreate }
    readonly answer: ClientSecretCreated
  }
  /** List the secrets of a client with their states and last use, the oldest first. */
  'client-secrets.list': {
    readonly input: {
      readonly params: { readonly id: string }
      readonly query?: { readonly limit?: string | number; readonly after?: string | number }
    }
    readonly answer: {
      readonly items: readonly ClientSecret[]
      readonly next: string | null
    }
  }
  /** Revoke a secret at once; where its predecessor still drains, that one stays in use. */
  'client-secrets.revoke': {
    readonly input: { readonly params: { readonly id: string; readonly sid: string }; readonly body: Reason }
    readonly answer: ClientSecret
  }
  /** Register another OAuth client. */
  'clients.create': { readonly input: { readonly body: ClientCreate }; readonly answer: ClientCreated }
  /** Delete another OAuth client; its keys and secrets are revoked and its id is never used again. */
  'clients.delete': {
    readonly input: { readonly params: { readonly id: string } }
    readonly answer: undefined
  }
  /** See another OAuth client with its keys. */
  'clients.get': { readonly input: { readonly params: { readonly id: string } }; readonly answer: Client }
  /** List other OAuth clients in the order of their registration, without their keys. */
  'clients.list': {
    readonly input: {
      readonly query?: { readonly limit?: string | number; readonly after?: string | number }
    }
    readonly answer: {
      readonly items: readonly Client[]
      readonly next: string | null
    }
  }
  /** Replace the token by which a client manages its registration; the former is dead at once. */
  'clients.registration-token': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: ClientRegistrationToken
  }
  /** Let a suspended client act again. */
  'clients.resume': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Client
  }
  /** Suspend another OAuth client at once. */
  'clients.suspend': {
    readonly input: { readonly params: { readonly id: string }; readonly body: Reason }
    readonly answer: Client
  }
  /** Change another OAuth client; a new jwks replaces its keys, and another way of authenticating ends its secrets. */
  'clients.update': {
    readonly input: { readonly params: { readonly id: string }; readonly body: ClientUpdate }
    readonly answer: Client
  }
}
