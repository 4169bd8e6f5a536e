// The names that policies give to things: one that nothing can have makes a rule that never applies (threat C44).
import { type IdPrefix, parseId } from '@writ/sdk/protocol/identifier'
import { canonicalResource } from '@writ/sdk/protocol/uri'
import { folded, targetOf } from '../spelling.ts'
import { type Named, typed, within } from './mentioned.ts'
import { typedId } from './schema.ts'

const prefixes: Readonly<Record<string, IdPrefix>> = {
  'Writ::Agent': 'agt',
  'Writ::Instance': 'ins',
  'Writ::Person': 'usr',
  'Writ::Group': 'grp',
  'Writ::Client': 'cli',
}

/** What is wrong with the name of an entity, so that a question never has it; undefined where one could. */
export function nameProblem({ type, id }: Named): string | undefined {
  const prefix = Object.hasOwn(prefixes, type) ? prefixes[type] : undefined
  if (prefix !== undefined)
    return parseId(prefix, id) === undefined
      ? `is named by its id, ${prefix}_…, not by ${quoted(id)}`
      : undefined
  switch (type) {
    case 'Writ::Resource':
      return resourceProblem(id)
    case 'Writ::Tool':
      return spellingProblem('tool', id, '<identifier>#<tool>')
    case 'Writ::Object': {
      const form = '<identifier>#<type>:<id>'
      if (!/#.+:/.test(id)) return `is written ${form}, not ${quoted(id)}`
      const object = within(id)
      if (
        typedId(object.type, id.slice(id.indexOf(':', id.indexOf('#')) + 1)) !== id.slice(id.indexOf('#') + 1)
      )
        return `is written ${form}, not ${quoted(id)}`
      // What is a tool is never an object.
      if (object.type === 'tool') return 'of the type tool is a Writ::Tool'
      return spellingProblem(object.type, object.id, form)
    }
    case 'Writ::Foreign':
    case 'Writ::Subject': {
      const named = typed(id)
      if (named.type === '' || !id.includes(':') || typedId(named.type, named.id) !== id)
        return `is written <type>:<id>, not ${quoted(id)}`
      // Who is of ours is never a subject of others, and no question makes one of it.
      return type === 'Writ::Subject' && ownTypes.includes(folded(named.type))
        ? `of the type ${named.type} is one of ours: name it by its id`
        : undefined
    }
    default:
      return undefined
  }
}

/** Types of subjects that are records of ours. */
const ownTypes: readonly string[] = ['agent', 'person', 'client']

const quoted = (text: string): string => JSON.stringify(text.slice(0, 128))

function resourceProblem(id: string): string | undefined {
  const canonical = canonicalResource(id)
  if (canonical === undefined) return `is named by its identifier, which ${quoted(id)} is not`
  return canonical === id ? undefined : `is spelt ${quoted(canonical)} in every question, not ${quoted(id)}`
}

function spellingProblem(type: string, id: string, form: string): string | undefined {
  const { object, misspelt } = targetOf(type, id)
  if (object === null || object.id === '' || type === '') return `is written ${form}, not ${quoted(id)}`
  return misspelt === undefined ? undefined : `has no such spelling as ${quoted(id)}: ${misspelt}`
}
