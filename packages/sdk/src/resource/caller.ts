// Who is calling, as a resource sees it: the answer to "which agent, for whom, allowed to do what".

import type { AuthorizationDetail } from '../protocol/details/detail.ts'

export interface Caller {
  /** The agent or other client that holds the key and makes the call; `client_id` of the token. */
  readonly agent: string
  /** The running instance of the agent, where it has one. */
  readonly instance: string | null
  /** The session of the instance that this call belongs to, where it has one. */
  readonly session: string | null
  /** The task that the instance says it works on: a label, never evidence. */
  readonly task: string | null
  /** Whom the call is for: a person, or the agent itself. */
  readonly subject: string
  /** The person on whose behalf the agent acts; null when it acts for itself. */
  readonly person: string | null
  /** Everybody who stands between the subject and the call, the caller first. */
  readonly chain: readonly string[]
  /** The one grant that every right of the token rests on; null when it rests on several or none. */
  readonly grant: string | null
  readonly grants: readonly string[]
  /** The leaves that the token carries. */
  readonly scopes: readonly string[]
  /** RFC 9396: what the rights of the token are limited to; empty where its scopes alone say it. */
  readonly authorizationDetails: readonly AuthorizationDetail[]
  /** RFC 7638 thumbprint of the key that the token is bound to; null for a bearer token. */
  readonly key: string | null
  /** RFC 7638 thumbprint of the key that authenticated the caller when it asked for the token. */
  readonly clientKey: string
  /** The issuer's epoch at which what the token rests on was known to stand. */
  readonly epoch: number
  /** The token's id, for the resource's own log. */
  readonly tokenId: string
  /** Epoch seconds. */
  readonly expiresAt: number
  /** Whether the token carries this scope. */
  may(scope: string): boolean
  /** Whether the token is still good: not expired, not revoked, and the issuer's word on that still recent. */
  holds(): boolean
}
