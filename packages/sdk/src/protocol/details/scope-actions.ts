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

/** A map as it is published: `{ version, actions: { <action>: { any_of, recorded } } }`. */
export function formatScopeActions({ version, actions }: ScopeActionMap): Readonly<Record<string, unknown>> {
  const rows = Object.entries(actions).map(([name, { anyOf, recorded }]) => [
    name,
    { any_of: anyOf, recorded },
  ])
  return { version, actions: Object.fromEntries(rows) }
}

/** The same map from what was published; undefined for anything else. The inverse of `formatScopeActions`. */
export function parseScopeActions(value: unknown): ScopeActionMap | undefined {
  if (!isRecord(value) || !isRecord(value['actions'])) return undefined
  const { version, actions, ...others } = value
  if (!Number.isSafeInteger(version) || (version as number) < 1 || Object.keys(others).length > 0)
    return undefined
  const rows: [string, ActionRule][] = []
  for (const [name, rule] of Object.entries(actions as object)) {
    if (!isRecord(rule) || name === '__proto__') return undefined
    const { any_of: anyOf, recorded = [], ...unknown } = rule
    if (!areNames(anyOf) || anyOf.length === 0 || !areNames(recorded) || Object.keys(unknown).length > 0)
      return undefined
    rows.push([name, { anyOf, recorded }])
  }
  return { version: version as number, actions: Object.fromEntries(rows) }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const areNames = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every(one => typeof one === 'string' && one !== '')
