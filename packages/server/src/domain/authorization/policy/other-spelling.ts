// Another spelling of what policies name: a rule about `/admin` must not be passed by `/Admin` or `/admin/` (threat C44).
import type { Question } from '../question.ts'
import { folded } from '../spelling.ts'
import { mentionedIn } from './mentioned.ts'
import type { Statement } from './statements.ts'

/** The rule that refuses, as decisions name it. */
export const spellingRule = 'writ.spelling'

/** What the policies name by the form in which spellings fall together. */
type Spellings = ReadonlyMap<string, ReadonlySet<string>>

// As long as the policies are kept ready: names are folded once, not with each decision.
const known = new WeakMap<readonly Statement[], Spellings>()

/**
 * Whether the action, or what it is done to within a resource, is one that the policies name, in other letters. Names
 * that differ in nothing else are one to many servers; whoever means both names both.
 */
export function isOtherSpelling(
  policies: readonly Statement[],
  { operation, foreign }: Pick<Question, 'operation' | 'foreign'>,
): boolean {
  const spellings = known.get(policies) ?? spellingsOf(policies)
  known.set(policies, spellings)
  if (spellings.size === 0) return false
  const { action, resource, object } = operation
  const isOther = (name: string, id: string): boolean => {
    const named = spellings.get(name)
    return named !== undefined && !named.has(id)
  }
  if (isOther(foldedAction(action), action)) return true
  if (foreign !== null || object === null) return false
  const id = `${resource}#${object.id}`
  return isOther(foldedObject(object.type, id), id)
}

function spellingsOf(policies: readonly Statement[]): Spellings {
  const { actions, objects } = mentionedIn(policies)
  const spellings = new Map<string, Set<string>>()
  const add = (name: string, id: string): void => {
    const named = spellings.get(name) ?? new Set()
    spellings.set(name, named.add(id))
  }
  for (const action of actions) add(foldedAction(action), action)
  for (const { type, id } of objects) if (id.includes('#')) add(foldedObject(type, id), id)
  return spellings
}

const foldedAction = (action: string): string => `action ${folded(action)}`

function foldedObject(type: string, id: string): string {
  const at = id.indexOf('#')
  const within = id.slice(at + 1)
  return `${type} ${id.slice(0, at)}#${type === 'http' ? foldedPath(within) : folded(within)}`
}

/** Letters as they are decoded, and no slash at the end: most servers take it for none. */
function foldedPath(path: string): string {
  try {
    return folded(decodeURIComponent(path)).replace(/(?<=.)\/$/, '')
  } catch {
    // No path that a question may have; it is in no other spelling.
    return path
  }
}
