// Grants: what an agent may ask for. An agent without one can do nothing; rights are only ever added, one by one.
import type { AuthorizationDetail } from '@writ/sdk/protocol/details/detail'
import type { AgentId, ApprovalId, ClientId, GrantId, PersonId } from '@writ/sdk/protocol/identifier'
import type { Budget } from './authorization/budget.ts'
import { leavesOf, type Resource } from './resource.ts'

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

export type Narrowed =
  | {
      readonly scopes: readonly string[]
      /** The grants these scopes rest on; when one of them ends, so does what was issued from it. */
      readonly grants: readonly Grant[]
      /** The earliest end among those grants. */
      readonly expiresAt: number | null
    }
  | { readonly refused: string }

/**
 * The leaves to issue: what is asked for, never more than what is granted (properties 1 and 17).
 * Nothing asked for means the default: every granted leaf that is not sensitive, possibly none.
 * Asking for one scope that is not granted refuses the whole request, so that nothing is narrowed silently.
 */
export function narrow(
  resource: Resource,
  grants: readonly Grant[],
  asked: readonly string[] | undefined,
  now: number,
): Narrowed {
  const source = new Map<string, Grant>()
  for (const grant of grants) {
    if (grant.resource !== resource.identifier || !isGrantLive(grant, now)) continue
    for (const leaf of leavesOf(resource.scopes, grant.scopes)) {
      // The longest-lived grant answers for a leaf, so that an expiring second one does not shorten the token.
      const other = source.get(leaf)
      if (other === undefined || endOf(grant) > endOf(other)) source.set(leaf, grant)
    }
  }
  const sensitive = new Set(resource.scopes.filter(scope => scope.sensitive).map(scope => scope.name))
  let leaves: readonly string[]
  if (asked === undefined) {
    leaves = [...source.keys()].filter(leaf => !sensitive.has(leaf))
  } else {
    for (const name of asked) {
      const wanted = leavesOf(resource.scopes, [name])
      if (wanted.length === 0 || wanted.some(leaf => !source.has(leaf))) return { refused: name }
    }
    leaves = leavesOf(resource.scopes, asked)
  }
  const used = new Set(leaves.map(leaf => source.get(leaf) as Grant))
  const ends = [...used].map(endOf)
  const end = Math.min(...ends)
  return { scopes: leaves, grants: [...used], expiresAt: Number.isFinite(end) ? end : null }
}

function endOf(grant: Grant): number {
  return grant.expiresAt ?? Number.POSITIVE_INFINITY
}
