// Slices: of a set, the policies whose scope the request is in. The others cannot matter, so the engine never sees them.
import type { PolicyTree, Uid } from './cedar.ts'
import type { Statement } from './statements.ts'

/** What is found by the keys of principal, action and resource, in this order. */
type Index = Map<string, Map<string, Map<string, number[]>>>

export interface Sliced {
  readonly statements: readonly Statement[]
  readonly index: Index
}

const anything = '*'
const equals = (uid: Uid): string => `= ${uid.type} ${uid.id}`
const within = (uid: Uid): string => `in ${uid.type} ${uid.id}`
const is = (type: string): string => `is ${type}`
const isWithin = (type: string, uid: Uid): string => `is ${type} in ${uid.type} ${uid.id}`

/**
 * The index of a set by the scopes of its policies. A request is in a scope exactly where one of its keys is the
 * scope's, so a lookup costs the same for ten policies and for a thousand.
 */
export function indexed(statements: readonly Statement[]): Sliced {
  const index: Index = new Map()
  for (const [at, { tree }] of statements.entries()) {
    const byAction = entry(index, scopeKey(tree.principal), () => new Map<string, Map<string, number[]>>())
    for (const key of actionKeys(tree)) {
      const byResource = entry(byAction, key, () => new Map<string, number[]>())
      entry(byResource, scopeKey(tree.resource), (): number[] => []).push(at)
    }
  }
  return { statements, index }
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = make()
  map.set(key, made)
  return made
}

type Scope = PolicyTree['principal'] | PolicyTree['resource']

function scopeKey(scope: Scope): string {
  if (scope.op === 'All') return anything
  if (scope.op === 'is')
    return scope.in === undefined ? is(scope.entity_type) : isWithin(scope.entity_type, named(scope.in))
  return scope.op === '==' ? equals(named(scope)) : within(named(scope))
}

/** The entity of a scope. Slots are of templates, and a set has none. */
function named(scope: object): Uid {
  const { entity } = scope as { readonly entity: Uid | { readonly __entity: Uid } }
  return '__entity' in entity ? entity.__entity : entity
}

function actionKeys({ action }: PolicyTree): readonly string[] {
  if (action.op === 'All') return [anything]
  // Our actions have no groups: to be in one is to be it.
  const entities = 'entities' in action ? action.entities.map(entity => named({ entity })) : [named(action)]
  return [...new Set(entities.map(equals))]
}

/** One side of a request, and what it is in. Our hierarchies have one level. */
export interface Placed {
  readonly uid: Uid
  readonly parents: readonly Uid[]
}

/** The keys of one side of a request: itself, its type, and everything that it is in. */
function keysOf({ uid, parents }: Placed): readonly string[] {
  const keys = [anything, equals(uid), within(uid), is(uid.type), isWithin(uid.type, uid)]
  for (const parent of parents) keys.push(within(parent), isWithin(uid.type, parent))
  return keys
}

/** Where in the set the policies stand whose scope the request is in, in their order. */
export function sliceOf(
  { index }: Sliced,
  sides: { readonly principal: Placed; readonly action: Uid; readonly resource: Placed },
): readonly number[] {
  const found: number[] = []
  const resources = keysOf(sides.resource)
  const actions = [anything, equals(sides.action)]
  for (const principal of keysOf(sides.principal)) {
    const byAction = index.get(principal)
    if (byAction === undefined) continue
    for (const action of actions) {
      const byResource = byAction.get(action)
      if (byResource === undefined) continue
      for (const resource of resources) {
        const at = byResource.get(resource)
        if (at !== undefined) found.push(...at)
      }
    }
  }
  return found.sort((a, b) => a - b)
}
