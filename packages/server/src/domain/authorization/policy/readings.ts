// What of a request policies look at, read off their trees: whoever knows only a part of a request knows whether it is
// enough, and nobody makes and hands over what is not looked at.
import type { PolicyTree } from './cedar.ts'

/** Names of tags; `all` where the name is not written down but computed. */
export type TagNames = ReadonlySet<string> | 'all'

export interface Readings {
  /** Members of the context, such as `peer`; `all` where the context is looked at as a whole. */
  readonly context: TagNames
  /** Arguments of the call, by their pointers. */
  readonly arguments: TagNames
  /** Whether attributes are looked at that a caller may have claimed. */
  readonly attributes: boolean
  /** Whether conditions look at the parties or the resource: at what they are, hold, or are in. */
  readonly parties: boolean
}

/** Of a request that is wanted whole. */
export const everything: Readings = { context: 'all', arguments: 'all', attributes: true, parties: true }

type Node = Readonly<Record<string, unknown>>

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

interface Found {
  context: Set<string> | 'all'
  arguments: Set<string> | 'all'
  attributes: boolean
  parties: boolean
}

/** Members of the context that are parties. */
const partyMembers: readonly string[] = ['chain', 'person', 'instance']

/** What any of the policies looks at. A form that is not understood is taken to look at everything. */
export function readingsOf(statements: readonly { readonly tree: PolicyTree }[]): Readings {
  const found: Found = { context: new Set(), arguments: new Set(), attributes: false, parties: false }
  const open: unknown[] = statements.flatMap(({ tree }) => tree.conditions)
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (Array.isArray(node)) open.push(...node)
    if (isNode(node)) open.push(...look(node, found))
  }
  return found
}

/** Notes what the node itself looks at; answers what is still to be looked at. */
function look(node: Node, found: Found): readonly unknown[] {
  const tag = node['hasTag'] ?? node['getTag']
  // A record may have a member of that name, which has no sides.
  if (isNode(tag) && isNode(tag['left'])) {
    const of = memberOfContext(tag['left'])
    if (of === 'arguments') noteArgument(found, literal(tag['right']))
    else found.attributes = true
    // The arguments themselves are nothing to look at, but for their tags.
    return of === 'arguments' ? [tag['right']] : [tag['left'], tag['right']]
  }
  const member = memberOfContext(node)
  if (member !== undefined) {
    if (found.context !== 'all') found.context.add(member)
    if (member === 'arguments') found.arguments = 'all'
    if (partyMembers.includes(member)) found.parties = true
    return []
  }
  if (node['Var'] === 'context') {
    found.context = 'all'
    found.arguments = 'all'
    found.attributes = true
    found.parties = true
  }
  // By its variable, or as a literal: a policy may name who else is there.
  if (node['Var'] === 'principal' || node['Var'] === 'resource') found.parties = true
  if ('__entity' in node) noteLiteral(found, node['__entity'])
  return Object.values(node)
}

/** Whether a member of the context is looked at. */
export function readsMember({ context, arguments: names }: Readings, member: string): boolean {
  if (context === 'all' || context.has(member)) return true
  return member === 'arguments' && (names === 'all' || names.size > 0)
}

/** Entities of the request itself are there under names that a text may know. */
function noteLiteral(found: Found, entity: unknown): void {
  const type = isNode(entity) ? entity['type'] : undefined
  found.parties = true
  if (type === 'Writ::Arguments') found.arguments = 'all'
  if (type !== 'Writ::Claims') return
  found.attributes = true
  if (found.context !== 'all') found.context.add('claims')
}

function noteArgument(found: Found, name: string | undefined): void {
  if (name === undefined) found.arguments = 'all'
  else if (found.arguments !== 'all') found.arguments.add(name)
}

/** The member that `context.x` or `context has x` is about; undefined where the node is neither. */
function memberOfContext(node: unknown): string | undefined {
  if (!isNode(node)) return undefined
  const reads = node['.'] ?? node['has']
  if (!isNode(reads) || !isNode(reads['left']) || reads['left']['Var'] !== 'context') return undefined
  // `context has a.b` names the path.
  const [name] = [reads['attr']].flat()
  return typeof name === 'string' ? name : undefined
}

function literal(node: unknown): string | undefined {
  return isNode(node) && typeof node['Value'] === 'string' ? node['Value'] : undefined
}
