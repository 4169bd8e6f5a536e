// Grants: what an agent may ask for. An agent without one can do nothing; rights are only ever added, one by one.
import type { AuthorizationDetail } from '@writ/sdk/protocol/details/detail'
import type { AgentId, ApprovalId, ClientId, GrantId, PersonId } from '@writ/sdk/protocol/identifier'
import type { Budget } from './authorization/budget.ts'

export interface Grant {
  readonly id: GrantId
  readonly agent: AgentId
  /** The resource's canonical identifier. */
  readonly resource: string
  readonly scopes: readonly string[]
  /**
   * RFC 9396. Scopes, where there are any, and details, where there are any, must both cover what is done; a grant with
   * neither covers nothing. Absent or empty: the scopes alone say it.
   */
  readonly authorizationDetails?: readonly AuthorizationDetail[]
  /** A Cedar condition that must hold at each call; absent or null where there is none. */
  readonly condition?: string | null
  /** What may be spent under it, and under whatever is derived from it. */
  readonly budgets?: readonly Budget[]
  /** The approved activation that opened it; absent or null for one that stands by itself. */
  readonly activation?: ApprovalId | null
  readonly reason: string
  readonly expiresAt: number | null
  readonly createdAt: number
  readonly createdBy: AgentId | PersonId | ClientId
  /** Set when the grant was deleted; the row stays for the audit. */
  readonly revokedAt: number | null
}

/** A token names the grants it rests on, and readers bound that list: one token rests on no more. */
export const mostGrants = 64

export function isGrantLive(grant: Grant, now: number): boolean {
  return grant.revokedAt === null && (grant.expiresAt === null || now < grant.expiresAt)
}
