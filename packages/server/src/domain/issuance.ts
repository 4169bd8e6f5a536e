// What has been decided, before anything is minted: inert data that names who, what, for how long, bound to which key.
import type { AuthorizationDetail } from '@writ/sdk/protocol/details/detail'
import type { AgentId, ClientId, GrantId, InstanceId, SessionId } from '@writ/sdk/protocol/identifier'
import type { Basis, Claim, Take } from './change.ts'

/** Who the token speaks for, and the OIDC-A members that describe the agent. */
export interface Holder {
  readonly client: AgentId | ClientId
  readonly subject: string
  readonly instance: InstanceId | null
  /** Thumbprint of the key that authenticated the client; when it is revoked, the token is dead. */
  readonly key: string
  readonly agentClaims: Readonly<Record<string, string>> | null
}

export interface Issuance {
  readonly grantType: string
  readonly holder: Holder
  /** The one audience, canonical. */
  readonly audience: string
  readonly scopes: readonly string[]
  /** RFC 9396: what the rights are limited to; empty where the scopes alone say it. */
  readonly authorizationDetails: readonly AuthorizationDetail[]
  /** Whether it may be accepted only where each operation is decided: it rests on limits that no token can carry. */
  readonly needsDecision: boolean
  readonly grants: readonly GrantId[]
  readonly lifetimeSeconds: number
  /** Thumbprint the token is bound to (RFC 9449 §6), or null for a bearer token. */
  readonly boundTo: string | null
  readonly claims: readonly Claim[]
  readonly takes: readonly Take[]
  readonly bases: readonly Basis[]
  readonly rule: string
  /** The session that it belongs to and ends with; absent or null for one that belongs to none. */
  readonly session?: { readonly id: SessionId; readonly task: string | null } | null
  /** Whether the holder is asked to replace its key, which the answer tells it. */
  readonly isKeyRotationAsked: boolean
}

/** The life of a token: the configured one, cut by every end it depends on. Never negative. */
export function lifetime(wanted: number, now: number, ends: readonly (number | null)[]): number {
  let end = now + wanted
  for (const other of ends) if (other !== null && other < end) end = other
  return Math.max(0, end - now)
}
