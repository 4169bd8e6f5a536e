// The policies of a text: each with its id, its line, its scope, and what of the request its answer may depend on.
import { lineAt, mostLevels, tooDeep } from './bounds.ts'
import { type PolicyProblem, type PolicyTree, parsePolicy, splitPolicies, type Uid } from './cedar.ts'
import { readingsOf, readsMember } from './readings.ts'

export interface Statement {
  readonly id: string
  readonly text: string
  /** From 1, in the text of the set. */
  readonly line: number
  readonly tree: PolicyTree
  /** Ids of the actions that it names anywhere. */
  readonly actions: readonly string[]
  /** Whether another instant may make another answer of it. */
  readonly readsClock: boolean
}

/** Ids of ours begin with this; a policy of somebody else's could pass for a built-in one in a record. */
const reservedPrefix = 'writ.'

const idShape = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/

export type Statements =
  | { readonly statements: readonly Statement[] }
  | { readonly problems: readonly PolicyProblem[] }

/** The policies of a text in their order. Nothing of a text with a problem is kept. */
export function parseStatements(source: string): Statements {
  const deep = tooDeep(source)
  if (deep !== undefined) return { problems: [{ policy: null, ...deep }] }
  const parts = splitPolicies(source)
  if ('problems' in parts) return parts
  const placed = placedIn(source, parts.value)
  if (placed === undefined)
    return { problems: [{ policy: null, line: null, say: 'The text does not fall into policies.' }] }
  const statements: Statement[] = []
  const problems: PolicyProblem[] = []
  const ids = new Set<string>()
  for (const [index, { text, line }] of placed.entries()) {
    const read = parsePolicy(text)
    if ('problems' in read) {
      problems.push(...read.problems.map(problem => ({ ...problem, line })))
      continue
    }
    const tree = read.value
    const id = tree.annotations?.['id'] ?? `policy${index}`
    const say = wrongId(id, ids) ?? (isTooDeep(tree) ? 'Its conditions nest too deep: split it.' : undefined)
    if (say !== undefined) problems.push({ policy: id, line, say })
    ids.add(id)
    if (say === undefined) statements.push({ id, text, line, tree, ...traitsOf(tree) })
  }
  return problems.length > 0 ? { problems } : { statements }
}

function wrongId(id: string, others: ReadonlySet<string>): string | undefined {
  if (others.has(id)) return 'Another policy has this id: ids are unique in a set.'
  if (id.toLowerCase().startsWith(reservedPrefix))
    return `Ids that begin with \`${reservedPrefix}\` are built in.`
  return idShape.test(id)
    ? undefined
    : 'An id is up to 128 letters, digits, dots, colons, dashes or underscores.'
}

const word = /"(?:[^"\\]|\\[\s\S])*"|\/\/[^\n]*|[;]|[^\s"/;]+|\//g

/**
 * Where each policy stands. The engine hands them out in the order of their names and without their places, so the text
 * is cut here as well; undefined where the two do not agree, and nobody knows what the text says.
 */
function placedIn(
  source: string,
  parts: readonly string[],
): readonly { readonly text: string; readonly line: number }[] | undefined {
  const placed: { readonly text: string; readonly line: number }[] = []
  let start: number | undefined
  for (const { 0: token, index } of source.matchAll(word)) {
    if (token.startsWith('//')) continue
    start ??= index
    if (token !== ';') continue
    placed.push({ text: source.slice(start, index + 1), line: lineAt(source, start) })
    start = undefined
  }
  const ours = placed.map(({ text }) => text).sort()
  const theirs = [...parts].sort()
  const isSame = ours.length === theirs.length && ours.every((text, at) => text === theirs[at])
  return isSame && start === undefined ? placed : undefined
}

type Node = Readonly<Record<string, unknown>>

const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function childrenOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  return isNode(value) ? Object.values(value) : []
}

/** Counts by a list of its own: a tree that is too deep for the engine must not exhaust the stack here. */
function isTooDeep(tree: PolicyTree): boolean {
  let level: readonly unknown[] = tree.conditions.map(({ body }) => body)
  // Every operator is two levels of JSON: its name, and its sides.
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > 2 * mostLevels) return true
    level = level.flatMap(childrenOf)
  }
  return false
}

/** Members of the context that the clock alone changes. */
const clockwork: readonly string[] = ['now', 'keyAge', 'authenticationAge']

function traitsOf(tree: PolicyTree): Pick<Statement, 'actions' | 'readsClock'> {
  const actions = new Set<string>()
  const open: unknown[] = [tree.action, ...tree.conditions]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (isUid(node) && node.type === actionType) actions.add(node.id)
    open.push(...childrenOf(node))
  }
  const readings = readingsOf([{ tree }])
  return { actions: [...actions], readsClock: clockwork.some(member => readsMember(readings, member)) }
}

export const actionType = 'Writ::Action'

function isUid(node: unknown): node is Uid {
  return isNode(node) && typeof node['type'] === 'string' && typeof node['id'] === 'string'
}
