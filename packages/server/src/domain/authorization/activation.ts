// Activations: what of an eligibility may be opened for how long, and the grant that opens it. Narrower or not at all.
import type { AuthorizationDetail } from '@writ/sdk/protocol/details/detail'
import { containsDetails } from '@writ/sdk/protocol/details/index'
import type { GrantId } from '@writ/sdk/protocol/identifier'
import type { Grant } from '../grant.ts'
import { leavesOf, type Resource } from '../resource.ts'
import type { Approval } from './approval.ts'
import type { Budget } from './budget.ts'
import type { Eligibility } from './eligibility.ts'

/** Scopes, where there are any, and details, where there are any, must both cover an operation. */
export interface Reach {
  readonly scopes: readonly string[]
  readonly authorizationDetails: readonly AuthorizationDetail[]
}

/**
 * Whether the inner reach is one that the outer has (threat C29). A kind of limit that the outer has is never dropped:
 * without any scope named, or without any detail, more would be permitted and not less.
 */
export function isWithin(resource: Pick<Resource, 'scopes'>, outer: Reach, inner: Reach): boolean {
  if (inner.scopes.length === 0 && inner.authorizationDetails.length === 0) return false
  if (outer.scopes.length > 0 && !areScopesWithin(resource, outer.scopes, inner.scopes)) return false
  if (outer.authorizationDetails.length === 0) return true
  return (
    inner.authorizationDetails.length > 0 &&
    containsDetails(outer.authorizationDetails, inner.authorizationDetails)
  )
}

function areScopesWithin(
  { scopes }: Pick<Resource, 'scopes'>,
  outer: readonly string[],
  inner: readonly string[],
): boolean {
  const had = new Set(leavesOf(scopes, outer))
  return (
    inner.length > 0 &&
    inner.every(name => {
      const leaves = leavesOf(scopes, [name])
      return leaves.length > 0 && leaves.every(leaf => had.has(leaf))
    })
  )
}

/** The end of a grant opened now: never beyond what was approved, nor beyond the eligibility. */
export function endOf(
  seconds: number,
  eligibility: Pick<Eligibility, 'expiresAt'> | null,
  now: number,
): number {
  return Math.min(now + seconds, eligibility?.expiresAt ?? Number.POSITIVE_INFINITY)
}

/**
 * The grant of an approval that was approved, or needs nobody: what was approved, until then, and nothing beside it.
 * Whoever approves gives its budgets once more; what opens by itself spends what everything opened so has left.
 */
export function grantOpenedBy(
  approval: Approval & { readonly approved: Reach; readonly approvedUntil: number },
  eligibility: Eligibility | null,
  opening: { readonly id: GrantId; readonly by: Grant['createdBy']; readonly at: number },
): Grant {
  const { scopes, authorizationDetails } = approval.approved
  return {
    id: opening.id,
    agent: approval.asked.agent,
    resource: approval.asked.resource,
    scopes,
    authorizationDetails,
    condition: eligibility?.condition ?? null,
    budgets: approval.decidedBy === null ? sharedBudgets(eligibility) : (eligibility?.budgets ?? []),
    activation: approval.id,
    reason: approval.reason,
    expiresAt: approval.approvedUntil,
    createdAt: opening.at,
    createdBy: opening.by,
    revokedAt: null,
  }
}

function sharedBudgets(eligibility: Eligibility | null): readonly Budget[] {
  if (eligibility === null) return []
  return eligibility.budgets.map(budget => ({ ...budget, sharedBy: eligibility.id }))
}
