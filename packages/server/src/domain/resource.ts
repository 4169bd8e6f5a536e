// Protected resources and their scopes; bundles expand to leaves here, so that tokens carry leaves only.
import type { ScopeActionMap } from '@writ/sdk/protocol/details/scope-actions'
import type { ResourceId } from '@writ/sdk/protocol/identifier'

export interface Scope {
  readonly name: string
  readonly description: string
  /** Scopes that this bundle stands for; none makes it a leaf. */
  readonly includes: readonly string[]
  /** A sensitive scope is never part of the default: a request has to name it. */
  readonly sensitive: boolean
}

export interface Resource {
  readonly id: ResourceId
  /** RFC 8707 resource indicator in its one canonical form; this goes into `aud`. */
  readonly identifier: string
  readonly name: string
  readonly scopes: readonly Scope[]
  /** Clients and agents that may introspect tokens for this resource. */
  readonly introspectionClients: readonly string[]
  /** Whether tokens without a key binding may be issued for it. */
  readonly bearerAllowed: boolean
  /** Which scopes an operation needs; absent or null where an action is the name of its scope. */
  readonly actions?: ScopeActionMap | null
  readonly createdAt: number
  readonly updatedAt: number
}

export type ScopeProblem =
  | { readonly kind: 'unknown_scope'; readonly scope: string; readonly includedBy: string }
  | { readonly kind: 'scope_cycle'; readonly scope: string }
  | { readonly kind: 'duplicate_scope'; readonly scope: string }

/** Why these scopes are not a hierarchy, or undefined when they are one: unique names, known members, no cycle. */
export function checkScopes(scopes: readonly Scope[]): ScopeProblem | undefined {
  const byName = new Map<string, Scope>()
  for (const scope of scopes) {
    if (byName.has(scope.name)) return { kind: 'duplicate_scope', scope: scope.name }
    byName.set(scope.name, scope)
  }
  for (const scope of scopes) {
    for (const member of scope.includes) {
      if (!byName.has(member)) return { kind: 'unknown_scope', scope: member, includedBy: scope.name }
    }
  }
  const state = new Map<string, 'open' | 'done'>()
  const visit = (name: string): string | undefined => {
    if (state.get(name) === 'done') return undefined
    if (state.get(name) === 'open') return name
    state.set(name, 'open')
    for (const member of byName.get(name)?.includes ?? []) {
      const cycle = visit(member)
      if (cycle !== undefined) return cycle
    }
    state.set(name, 'done')
    return undefined
  }
  for (const scope of scopes) {
    const cycle = visit(scope.name)
    if (cycle !== undefined) return { kind: 'scope_cycle', scope: cycle }
  }
  return undefined
}

/** The leaves that the named scopes stand for, in the order of the resource. Unknown names stand for nothing. */
export function leavesOf(scopes: readonly Scope[], names: Iterable<string>): readonly string[] {
  const byName = new Map(scopes.map(scope => [scope.name, scope]))
  const leaves = new Set<string>()
  const seen = new Set<string>()
  const open = [...names]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    const scope = byName.get(name)
    if (scope === undefined) continue
    if (scope.includes.length === 0) leaves.add(name)
    else open.push(...scope.includes)
  }
  return scopes.filter(scope => leaves.has(scope.name)).map(scope => scope.name)
}
