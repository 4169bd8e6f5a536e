// RFC 9396 §5: the members of a detail, all known and none missing. What is not understood could be a limit.
import type { Problem } from './detail.ts'

/** What is wrong with the names of the members; undefined where they are exactly those. */
export function memberProblem(
  value: Readonly<Record<string, unknown>>,
  required: readonly string[],
  optional: readonly string[] = [],
): Problem | undefined {
  const missing = required.find(name => !Object.hasOwn(value, name))
  if (missing !== undefined) return { problem: `has no member ${missing}` }
  const isKnown = (name: string) => required.includes(name) || optional.includes(name)
  // The name is another's text: it is not repeated where it may be anything.
  return Object.keys(value).every(isKnown) ? undefined : { problem: 'has a member that is unknown here' }
}

/** A list of at least one text that `isOne` accepts, none twice; or undefined. */
export function textList(
  value: unknown,
  most: number,
  isOne: (text: string) => boolean,
): readonly string[] | undefined {
  if (!Array.isArray(value) || value.length === 0 || value.length > most) return undefined
  if (!value.every(one => typeof one === 'string' && isOne(one))) return undefined
  return new Set(value).size === value.length ? [...value] : undefined
}

/**
 * Whether a text has one reading: in Unicode form NFC, without controls, marks that turn a line around, lone
 * surrogates, and backslashes, which are slashes to some (threat C44).
 */
export function hasOneReading(text: string): boolean {
  return text === text.normalize('NFC') && !/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\\]/u.test(text)
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
