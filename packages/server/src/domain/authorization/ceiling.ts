// What covers an operation: scopes through the map of the resource's actions, details by their types (RFC 9396), both.
import type { AuthorizationDetail, Operation } from '@writ/sdk/protocol/details/detail'
import { scopesFor } from '@writ/sdk/protocol/details/scope-actions'
import { leavesOf, type Resource } from '../resource.ts'

/** A grant, or the rights of a token. */
export interface Reach {
  readonly scopes: readonly string[]
  readonly authorizationDetails?: readonly AuthorizationDetail[]
}

export type Covers = (details: readonly AuthorizationDetail[], operation: Operation) => boolean

/** What of the reach does not cover the operation; undefined where all of it does. */
export type Uncovered = 'grant' | 'details' | undefined

/**
 * Scopes, where there are any, and details, where there are any, must both cover the operation; without either nothing
 * is covered. Of the scopes that the action needs any one is enough, a bundle through all of its leaves.
 */
export function uncovered(reach: Reach, resource: Resource, operation: Operation, covers: Covers): Uncovered {
  const { scopes, authorizationDetails: details = [] } = reach
  if (scopes.length === 0 && details.length === 0) return 'grant'
  if (scopes.length > 0 && !areScopesEnough(scopes, resource, operation.action)) return 'grant'
  return details.length > 0 && !covers(details, operation) ? 'details' : undefined
}

function areScopesEnough(scopes: readonly string[], resource: Resource, action: string): boolean {
  const had = new Set(leavesOf(resource.scopes, scopes))
  return scopesFor(resource.actions, action).some(name => {
    const leaves = had.has(name) ? [name] : leavesOf(resource.scopes, [name])
    return leaves.length > 0 && leaves.every(leaf => had.has(leaf))
  })
}

/**
 * The least scope that is enough for the action: the one with the fewest leaves, and of those the first of the map.
 * Undefined where the resource has none for it, so that nothing that could be granted would help.
 */
export function leastScope(resource: Resource, action: string): string | undefined {
  let least: { readonly name: string; readonly leaves: number } | undefined
  for (const name of scopesFor(resource.actions, action)) {
    const leaves = leavesOf(resource.scopes, [name]).length
    if (leaves > 0 && (least === undefined || leaves < least.leaves)) least = { name, leaves }
  }
  return least?.name
}
