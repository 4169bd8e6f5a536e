// What is wrong with policies before anybody relies on them: bounds, syntax, the schema, and the names of actions.
import { commonActions, folded } from '../spelling.ts'
import { patternLengths } from './bounds.ts'
import type { PolicyProblem } from './cedar.ts'
import { conditionStatement } from './evaluate.ts'
import { entitiesOf } from './mentioned.ts'
import { nameProblem } from './names.ts'
import { policyBytes } from './set.ts'
import { parseStatements, type Statement } from './statements.ts'
import { validate } from './validation.ts'

/** Longest text of a condition, in bytes of UTF-8. */
const conditionBytes = 4096
/** Letters and wildcards of one pattern of `like`, and of all that stand in one text. */
const longestPattern = 256
const mostPatternLetters = 4096
/** How many problems are told at once. */
const mostProblems = 20

/**
 * What is wrong with the text of a set; none where nothing is. `actions` are the names that exist beside the built-in
 * ones: those of resources, of the management API, and those that the set brings itself.
 */
export function checkPolicies(source: string, actions: Iterable<string>): readonly PolicyProblem[] {
  // Before anything looks at it: what is too long is not worth a parser (threat C44).
  if (source.length > policyBytes || Buffer.byteLength(source) > policyBytes)
    return [
      { policy: null, line: null, say: `A set has at most ${policyBytes / 1024} KiB: split or shorten it.` },
    ]
  const parsed = parseStatements(source)
  if ('problems' in parsed) return parsed.problems.slice(0, mostProblems)
  const { statements } = parsed
  const known = new Set([...commonActions, ...actions])
  const unknown = unknownActions(statements, known).map(({ id, line, say }) => ({
    policy: id,
    line,
    say: `No resource has ${say}, or list it in the set's actions.`,
  }))
  const wrong = [...unknown, ...wrongOf(statements)]
  return [...wrong, ...(wrong.length > 0 ? [] : validate(statements))].slice(0, mostProblems)
}

/**
 * The actions that nobody has, no more of them than are told. A text names thousands, and each hint that looked through
 * all that exist would make a check of seconds (threat C44).
 */
function unknownActions(statements: readonly Statement[], known: ReadonlySet<string>) {
  const unknown = statements
    .flatMap(({ id, line, actions }) => actions.map(action => ({ id, line, action })))
    .filter(({ action }) => !known.has(action))
    .slice(0, mostProblems)
  const meant = unknown.length === 0 ? undefined : new Map([...known].map(one => [folded(one), one]))
  return unknown.map(({ id, line, action }) => {
    const other = meant?.get(folded(action))
    const hint = other === undefined ? 'correct it' : `write ${JSON.stringify(other)}`
    return { id, line, say: `the action or scope ${JSON.stringify(action)}: ${hint}` }
  })
}

const wrongOf = (statements: readonly Statement[]): readonly PolicyProblem[] => [
  ...statements.flatMap(misnamed),
  ...longPatterns(statements),
]

/** Types of what a request brings with it, and their members of the context. */
const parts: Readonly<Record<string, string>> = {
  'Writ::Arguments': 'context.arguments',
  'Writ::Claims': 'context.claims',
}

function misnamed({ id, line, tree }: Statement): readonly PolicyProblem[] {
  for (const named of entitiesOf(tree)) {
    const { type } = named
    // By a name, they would be what no reading of the context tells: not handed to the engine, and unseen by a replay.
    const problem = Object.hasOwn(parts, type) ? `has no names: write ${parts[type]}` : nameProblem(named)
    if (problem !== undefined) return [{ policy: id, line, say: `A ${type} ${problem}.` }]
  }
  return []
}

/**
 * The engine compares a text with a pattern in the product of their lengths, and whoever calls chooses the text: long
 * patterns would make one decision take minutes (threat C44).
 */
function longPatterns(statements: readonly Statement[]): readonly PolicyProblem[] {
  let left = mostPatternLetters
  for (const { id, line, tree } of statements) {
    for (const letters of patternLengths(tree)) {
      left -= letters
      if (letters > longestPattern)
        return [{ policy: id, line, say: `A pattern of \`like\` has at most ${longestPattern} letters.` }]
      if (left < 0)
        return [
          { policy: id, line, say: `The patterns of \`like\` have more than ${mostPatternLetters} letters.` },
        ]
    }
  }
  return []
}

/** What is wrong with the condition of a grant; undefined where it is one Cedar expression that the schema knows. */
export function checkCondition(text: string): string | undefined {
  if (Buffer.byteLength(text) > conditionBytes) return `A condition has at most ${conditionBytes} bytes.`
  const statement = conditionStatement(text)
  if (statement === undefined) return 'The condition is not one Cedar expression.'
  return [...wrongOf([statement]), ...validate([statement])][0]?.say
}

/**
 * What is wrong with the actions that a condition names, by those of its resource: one that nothing there is called by
 * makes a limit that never binds. Undefined where nothing is.
 */
export function unknownInCondition(text: string, actions: Iterable<string>): string | undefined {
  const statement = conditionStatement(text)
  if (statement === undefined) return undefined
  const [unknown] = unknownActions([statement], new Set([...commonActions, ...actions]))
  return unknown && `The condition names what the resource has not, ${unknown.say}.`
}
