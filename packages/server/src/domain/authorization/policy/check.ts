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
  const wrong = [...statements.flatMap(statement => unknownActions(statement, known)), ...wrongOf(statements)]
  return [...wrong, ...(wrong.length > 0 ? [] : validate(statements))].slice(0, mostProblems)
}

function unknownActions({ id, line, actions }: Statement, known: ReadonlySet<string>): PolicyProblem[] {
  return actions
    .filter(action => !known.has(action))
    .map(action => {
      const meant = [...known].find(one => folded(one) === folded(action))
      const hint = meant === undefined ? 'correct it' : `write ${JSON.stringify(meant)}`
      const named = JSON.stringify(action)
      const say = `No resource has the action or scope ${named}: ${hint}, or list it in the set's actions.`
      return { policy: id, line, say }
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
