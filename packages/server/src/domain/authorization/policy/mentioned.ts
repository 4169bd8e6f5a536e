// What the policies of a set name: the only things that are not records of ours which anybody could be asking about.
import type { Statement } from './statements.ts'

/** The entities that the policies name, and nobody else keeps: subjects and objects of others, actions. */
export interface Mentioned {
  readonly subjects: readonly Named[]
  readonly objects: readonly Named[]
  readonly actions: readonly string[]
}

export interface Named {
  readonly type: string
  readonly id: string
}

/** In the order of the policies, each once. */
export function mentionedIn(statements: readonly Statement[]): Mentioned {
  const subjects = new Map<string, Named>()
  const objects = new Map<string, Named>()
  for (const { tree } of statements) {
    for (const { type, id } of entitiesOf(tree)) {
      if (type === 'Writ::Subject') subjects.set(id, typed(id))
      if (type === 'Writ::Foreign') objects.set(id, typed(id))
      if (type === 'Writ::Tool') objects.set(`tool:${id}`, { type: 'tool', id })
      if (type === 'Writ::Object') objects.set(`object:${id}`, within(id))
    }
  }
  const actions = new Set(statements.flatMap(statement => statement.actions))
  return { subjects: [...subjects.values()], objects: [...objects.values()], actions: [...actions] }
}

/** Every entity that stands in a parsed policy by its name. */
export function* entitiesOf(tree: unknown): Generator<Named> {
  const open: unknown[] = [tree]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (typeof node !== 'object' || node === null) continue
    const { type, id } = node as Record<string, unknown>
    if (typeof type === 'string' && typeof id === 'string') yield { type, id }
    open.push(...Object.values(node).reverse())
  }
}

/** The way back from `typedId` of the schema. */
export function typed(name: string): Named {
  const at = name.indexOf(':')
  return { type: name.slice(0, at).replaceAll('%3A', ':').replaceAll('%25', '%'), id: name.slice(at + 1) }
}

/** `<identifier>#<type>:<id>` in a policy is `<identifier>#<id>` of that type on the wire. */
export function within(name: string): Named {
  const at = name.indexOf('#')
  const { type, id } = typed(name.slice(at + 1))
  return { type, id: `${name.slice(0, at)}#${id}` }
}
