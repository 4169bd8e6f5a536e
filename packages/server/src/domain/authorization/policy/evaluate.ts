// What policies say of one party: the engine asked about the slice that can matter. An engine that fails says no.
import { hashParts } from '../../hash.ts'
import { ask, type EngineRequest, type PolicyProblem, type Prepared, prepare } from './cedar.ts'
import { type Asked, requestOf, type Sides, sidesOf } from './entities.ts'
import { type Readings, readingsOf } from './readings.ts'
import type { PolicySet } from './set.ts'
import { indexed, type Sliced, sliceOf } from './slice.ts'
import { parseStatements, type Statement } from './statements.ts'

/**
 * Rights come from grants: a granted agent is permitted what policies do not forbid, and no permit of a set helps one
 * without a grant. People, clients and others are permitted by the permits of the set alone.
 */
export const builtIns: Readonly<Record<string, string>> = {
  'writ.granted': 'permit (principal is Writ::Agent, action, resource) when { context.granted };',
  'writ.ungranted': 'forbid (principal is Writ::Agent, action, resource) unless { context.granted };',
}

/** The rule that refuses where the engine could not be asked at all. */
const engineRule = 'writ.engine'

/** A set ready to be asked. `broken` is one that does not parse, which stored ones do: everything is refused. */
export interface CompiledPolicies {
  readonly sliced: Sliced
  readonly broken: readonly PolicyProblem[]
  readonly slices: Map<string, Slice>
}

interface Slice {
  readonly statements: readonly Statement[]
  readonly prepared: Prepared
  /** What of a request its policies look at: nothing else is made for it. */
  readonly readings: Readings
  readonly readsClock: boolean
}

export interface PolicyAnswer {
  readonly allowed: boolean
  /** The policies that decided, sorted. */
  readonly reasons: readonly string[]
  /** The policies that failed, sorted: one is enough to refuse. */
  readonly errors: readonly string[]
  /** Whether another instant may make another answer of it. */
  readonly readsClock: boolean
}

const mostCompiled = 64
const mostSlices = 256
const compiled = new Map<string, CompiledPolicies>()

/** The value of the key, made once; with too many of them the oldest goes, and costs its making again if it is asked for. */
function remembered<V>(map: Map<string, V>, most: number, key: string, make: () => V): V {
  let value = map.get(key)
  if (value !== undefined) return value
  value = make()
  const [oldest] = map.keys()
  if (map.size >= most && oldest !== undefined) map.delete(oldest)
  map.set(key, value)
  return value
}

/** The set in a form that is asked fast, the same one for the same text. Undefined is the tenant without policies. */
export function compilePolicies(set: Pick<PolicySet, 'source' | 'digest'> | undefined): CompiledPolicies {
  return remembered(compiled, mostCompiled, set?.digest ?? '', () => compile(set?.source ?? ''))
}

function compile(source: string): CompiledPolicies {
  const own = parseStatements(source)
  const statements = 'statements' in own ? own.statements : []
  return {
    sliced: indexed([...builtInStatements(), ...statements]),
    broken: 'problems' in own ? own.problems : [],
    slices: new Map(),
  }
}

function builtInStatements(): readonly Statement[] {
  const parsed = parseStatements(Object.values(builtIns).join('\n'))
  if ('problems' in parsed) throw new Error('the built-in policies do not parse')
  return parsed.statements.map((statement, at) => ({ ...statement, id: Object.keys(builtIns)[at] as string }))
}

/** What the set says of one party of the question. `granted`: whether a grant of the agent covers the operation. */
export function evaluate(policies: CompiledPolicies, asked: Asked, granted: boolean): PolicyAnswer {
  if (policies.broken.length > 0) return unanswered
  const sides = sidesOf(asked)
  const { prepared, readings, readsClock } = sliceFor(policies, sides)
  const request = requestOf(asked, granted, { sides, readings })
  return request === undefined ? unanswered : { ...answered(prepared, request), readsClock }
}

const unanswered: PolicyAnswer = { allowed: false, reasons: [], errors: [engineRule], readsClock: false }

function sliceFor({ sliced, slices }: CompiledPolicies, sides: Sides): Slice {
  const at = sliceOf(sliced, sides)
  return remembered(slices, mostSlices, at.join(), () => {
    const statements = at.map(index => sliced.statements[index] as Statement)
    return sliceWith(statements, Object.fromEntries(statements.map(({ id, text }) => [id, text])))
  })
}

function sliceWith(statements: readonly Statement[], texts: Readonly<Record<string, string>>): Slice {
  const readsClock = statements.some(statement => statement.readsClock)
  return { statements, prepared: prepare(texts), readings: readingsOf(statements), readsClock }
}

function answered(prepared: Prepared, request: EngineRequest): Omit<PolicyAnswer, 'readsClock'> {
  const answer = ask(prepared, request)
  if (answer === undefined) return { allowed: false, reasons: [], errors: [engineRule] }
  const { reasons, errors } = answer
  // Cedar goes on without a policy that fails, so a forbid that fails would forbid nothing (threat C44): here it refuses.
  const allowed = answer.allowed && errors.length === 0
  return { allowed, reasons: [...reasons].sort(), errors: [...errors].sort() }
}

/** The condition of a grant as a policy: what stands in it is one expression and nothing that ends it. */
function conditionPolicy(condition: string): string {
  return `permit (principal is Writ::Agent, action, resource) when {\n${condition}\n};`
}

/** The one policy that a condition makes; undefined where its text makes anything else. */
export function conditionStatement(condition: string): Statement | undefined {
  const parsed = parseStatements(conditionPolicy(condition))
  if ('problems' in parsed || parsed.statements.length !== 1) return undefined
  const [statement] = parsed.statements as [Statement]
  const { effect, principal, action, resource, conditions, annotations } = statement.tree
  // `true } when { false` would be read as two conditions, and `true }; permit (…) when { true` as two policies.
  const isOne =
    conditions.length === 1 &&
    conditions[0]?.kind === 'when' &&
    effect === 'permit' &&
    [principal, action, resource].map(({ op }) => op).join() === 'is,All,All' &&
    Object.keys(annotations ?? {}).length === 0
  return isOne ? statement : undefined
}

const conditions = new Map<string, Slice | null>()

function sliceOfCondition(condition: string): Slice | null {
  const key = hashParts(condition).toString('base64url')
  return remembered(conditions, 4 * mostSlices, key, () => {
    const statement = conditionStatement(condition)
    if (statement === undefined) return null
    return sliceWith([statement], { condition: statement.text })
  })
}

/** Whether the condition of a grant holds for the agent; `error` where it cannot be said, which is no yes. */
export function conditionHolds(condition: string, asked: Asked): true | false | 'error' {
  const slice = sliceOfCondition(condition)
  const request =
    slice === null ? undefined : requestOf(asked, true, { sides: sidesOf(asked), readings: slice.readings })
  if (slice === null || request === undefined) return 'error'
  const { allowed, errors } = answered(slice.prepared, request)
  return errors.length > 0 ? 'error' : allowed
}

/** Whether another instant may make another answer of the condition. */
export function conditionReadsClock(condition: string): boolean {
  return sliceOfCondition(condition)?.readsClock ?? true
}

/** The policy that the condition is, the same one for the same text; none where it makes none. */
export function statementsOfCondition(condition: string): readonly Statement[] {
  return sliceOfCondition(condition)?.statements ?? []
}
