// Constraints on one argument: a closed vocabulary with a subset logic that fails closed (RFC 9396 §6, threat C29).
import { boundedCache } from '../bounded-cache.ts'
import type { Problem } from './detail.ts'
import { hasOneReading, isRecord, memberProblem } from './members.ts'
import { compilePattern, type Pattern } from './pattern.ts'

export type Scalar = string | number | boolean | null

/** Exactly one of the kinds. Without `optional` the argument has to be there: its default may be anything. */
export type Constraint = { readonly optional?: true } & (
  | { readonly any: true }
  | { readonly exact: Scalar }
  | { readonly one_of: readonly Scalar[] }
  | { readonly range: { readonly min?: number; readonly max?: number } }
  | { readonly prefix: string }
  | { readonly pattern: string }
  | { readonly subset: readonly Scalar[] }
)

interface Kind<T> {
  /** The value of the member as it may stand, or undefined. */
  read(given: unknown): T | undefined
  admits(limit: T, value: unknown): boolean
  /** Whether all that `inner`, of the same kind, admits is admitted. */
  contains(outer: T, inner: T): boolean
}

const maxTextLetters = 1_024
const maxScalars = 64

const kinds = {
  any: { read: given => (given === true ? true : undefined), admits: () => true, contains: () => true },
  exact: {
    read: given => (isScalar(given) ? given : undefined),
    admits: (limit, value) => limit === value,
    contains: (outer, inner) => outer === inner,
  } as Kind<Scalar>,
  one_of: {
    read: scalars,
    admits: (limit, value) => limit.includes(value as Scalar),
    contains: (outer, inner) => inner.every(one => outer.includes(one)),
  } as Kind<readonly Scalar[]>,
  range: {
    read: readRange,
    admits: (limit, value) => typeof value === 'number' && value >= lowOf(limit) && value <= highOf(limit),
    contains: (outer, inner) => lowOf(outer) <= lowOf(inner) && highOf(inner) <= highOf(outer),
  } as Kind<Range>,
  prefix: {
    read: given => (typeof given === 'string' && given !== '' && isOpenText(given) ? given : undefined),
    admits: (limit, value) => typeof value === 'string' && value.startsWith(limit) && isOpenText(value),
    contains: (outer, inner) => inner.startsWith(outer),
  } as Kind<string>,
  pattern: {
    read: given => (typeof given === 'string' && patternOf(given) !== null ? given : undefined),
    admits: (limit, value) =>
      typeof value === 'string' && isOpenText(value) && patternOf(limit)?.matches(value) === true,
    // Of two different texts it is not decided here which says more.
    contains: (outer, inner) => outer === inner,
  } as Kind<string>,
  subset: {
    read: scalars,
    // An empty list is how many interfaces say "all of them".
    admits: (limit, value) =>
      Array.isArray(value) && value.length > 0 && value.every(one => limit.includes(one)),
    contains: (outer, inner) => inner.every(one => outer.includes(one)),
  } as Kind<readonly Scalar[]>,
} as const satisfies Record<string, Kind<unknown>>

type KindName = keyof typeof kinds

/** The constraint, or what is wrong with it. */
export function parseConstraint(value: unknown): Constraint | Problem {
  if (!isRecord(value)) return { problem: 'is not an object' }
  const { optional, ...rest } = value
  const [name, ...others] = Object.keys(rest)
  if (name === undefined || others.length > 0 || !Object.hasOwn(kinds, name))
    return { problem: `is not one of ${Object.keys(kinds).join(', ')}` }
  if (Object.hasOwn(value, 'optional') && optional !== true)
    return { problem: 'has an optional that is not true' }
  const read = kindOf(name as KindName).read(rest[name])
  if (read === undefined) return { problem: `has a ${name} that is none` }
  return { [name]: read, ...(optional === true ? { optional } : {}) } as unknown as Constraint
}

/** Whether the argument may have this value; undefined where the call does not have it. */
export function admits(constraint: Constraint, value: unknown): boolean {
  if (value === undefined) return constraint.optional === true
  const { name, limit } = partsOf(constraint)
  return kindOf(name).admits(limit, value)
}

/** Whether each value that `inner` admits, and its absence if that, is admitted by `outer`. False in doubt. */
export function containsConstraint(outer: Constraint, inner: Constraint): boolean {
  if (inner.optional === true && outer.optional !== true) return false
  const [wide, tight] = [partsOf(outer), partsOf(inner)]
  if (wide.name === 'any') return true
  // Values that can be counted are asked about one by one, whatever the kind they are asked of.
  if ('exact' in inner) return kindOf(wide.name).admits(wide.limit, inner.exact)
  if ('one_of' in inner) return inner.one_of.every(one => kindOf(wide.name).admits(wide.limit, one))
  return wide.name === tight.name && kindOf(wide.name).contains(wide.limit, tight.limit)
}

/** How many steps the constraint takes at most for each letter of a value, beyond looking at it. */
export function stepsOf(constraint: Constraint): number {
  return 'pattern' in constraint ? (patternOf(constraint.pattern)?.states ?? 0) : 0
}

/** The constraint that admits this value and, but for the order and number of a list, no other; undefined if none. */
export function constraintOf(value: unknown): Constraint | undefined {
  const given = Array.isArray(value) ? { subset: [...new Set(value)] } : { exact: value }
  const parsed = parseConstraint(given)
  return 'problem' in parsed ? undefined : parsed
}

function partsOf(constraint: Constraint): { readonly name: KindName; readonly limit: unknown } {
  const name = Object.keys(constraint).find(member => member !== 'optional') as KindName
  return { name, limit: (constraint as Record<string, unknown>)[name] }
}

const kindOf = (name: KindName): Kind<unknown> => kinds[name]

function isScalar(value: unknown): value is Scalar {
  if (typeof value === 'string') return value.length <= maxTextLetters && value.isWellFormed()
  if (typeof value === 'number') return isNumber(value)
  return typeof value === 'boolean' || value === null
}

/** RFC 7493 §2.2: a number that every reader reads alike. Minus zero would be printed as another one. */
function isNumber(value: unknown): value is number {
  if (typeof value !== 'number' || !Number.isFinite(value) || Object.is(value, -0)) return false
  return !Number.isInteger(value) || Number.isSafeInteger(value)
}

function scalars(given: unknown): readonly Scalar[] | undefined {
  if (!Array.isArray(given) || given.length === 0 || given.length > maxScalars) return undefined
  return given.every(isScalar) && new Set(given).size === given.length ? [...given] : undefined
}

interface Range {
  readonly min?: number
  readonly max?: number
}

const lowOf = ({ min }: Range): number => min ?? Number.NEGATIVE_INFINITY
const highOf = ({ max }: Range): number => max ?? Number.POSITIVE_INFINITY

function readRange(given: unknown): Range | undefined {
  if (!isRecord(given) || memberProblem(given, [], ['min', 'max']) !== undefined) return undefined
  const ends = Object.values(given)
  if (ends.length === 0 || !ends.every(isNumber)) return undefined
  return lowOf(given) <= highOf(given) ? { ...given } : undefined
}

/**
 * What a prefix or a pattern may admit: a text without dot segments and encodings of separators, for behind a prefix
 * `/reports/` stands `/reports/../keys` as well. Who means such a text names it with `exact`.
 */
function isOpenText(text: string): boolean {
  if (text.length > maxTextLetters || !hasOneReading(text)) return false
  return !/(?:^|\/)\.{1,2}(?:\/|$)/.test(text) && !/%(?:2e|2f|5c|25|00)/i.test(text)
}

// The hot path asks the same few patterns again and again.
const compiled = boundedCache<{ readonly pattern: Pattern | null }>(1_000)

function patternOf(text: string): Pattern | null {
  const known = compiled.get(text)
  if (known !== undefined) return known.pattern
  const pattern = compilePattern(text) ?? null
  compiled.set(text, { pattern })
  return pattern
}
