// The map from operations to the scopes they need: outside the agent's code, versioned, read alike by issuer and resource.

/** What one operation needs. */
export interface ActionRule {
  /** Any one of these scopes is enough; leaves or bundles of the resource. */
  readonly anyOf: readonly string[]
  /** Names of arguments whose values may be kept in the record of a decision; of the others nothing is kept. */
  readonly recorded: readonly string[]
}

/** A version of the map. An operation without a row needs the scope of its own name, and there is no other default. */
export interface ScopeActionMap {
  /** Grows with each change, from 1. */
  readonly version: number
  readonly actions: Readonly<Record<string, ActionRule>>
}

/** The scopes of which the operation needs one. */
export function scopesFor(map: ScopeActionMap | null | undefined, action: string): readonly string[] {
  const row = map != null && Object.hasOwn(map.actions, action) ? map.actions[action] : undefined
  return row === undefined ? [action] : row.anyOf
}
