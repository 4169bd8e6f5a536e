// RFC 9396 §2: the types of details, read, compared and asked as one. A type without a row is understood by nobody.
import type { AuthorizationDetail, DetailType, Operation, Problem } from './detail.ts'
import { http } from './http.ts'
import { mcpTool } from './mcp-tool.ts'
import { isRecord } from './members.ts'
import { sql } from './sql.ts'

export const detailTypes: Readonly<Record<string, DetailType>> = Object.freeze(
  Object.fromEntries([mcpTool, http, sql].map(row => [row.type, row])),
)

/** More would not fit a token. */
const maxDetails = 64
const maxLetters = 16_384
/** Steps for each letter of an operation: whoever is granted a tool may ask for details with patterns of its own. */
const maxSteps = 2_048

const typeOf = (type: unknown): DetailType | undefined =>
  typeof type === 'string' && Object.hasOwn(detailTypes, type) ? detailTypes[type] : undefined

/**
 * The details, each read by its type, or what is wrong with them: an unknown type, unknown or missing members, another
 * spelling than the canonical one, the same twice (RFC 9396 §5). Nothing is repaired.
 */
export function parseDetails(value: unknown): readonly AuthorizationDetail[] | Problem {
  if (!Array.isArray(value)) return { problem: 'is not an array' }
  if (value.length > maxDetails) return { problem: `has more than ${maxDetails} details` }
  const parsed: AuthorizationDetail[] = []
  for (const one of value as readonly unknown[]) {
    const type = isRecord(one) ? typeOf(one['type']) : undefined
    if (type === undefined) return { problem: 'has a type that is unknown here' }
    const read = type.parse(one as Readonly<Record<string, unknown>>)
    if (!isDetail(read)) return { problem: `has a detail of type ${type.type} that ${read.problem}` }
    parsed.push(read)
  }
  const steps = parsed.reduce((sum, one) => sum + (typeOf(one.type)?.steps?.(one) ?? 0), 0)
  if (steps > maxSteps) return { problem: 'has patterns that are too large together' }
  const texts = parsed.map(one => JSON.stringify(one))
  if (new Set(texts).size < texts.length) return { problem: 'has the same detail twice' }
  if (texts.reduce((sum, text) => sum + text.length, 0) > maxLetters) return { problem: 'is too long' }
  return parsed
}

const isDetail = (read: AuthorizationDetail | Problem): read is AuthorizationDetail => 'type' in read

/**
 * Whether each of `inner` is contained in one of `outer` of its type. Nothing is put together from several, so a detail
 * is never found to be permitted that no single one permits. Empty lists are not asked about: they mean no limit to some.
 */
export function containsDetails(
  outer: readonly AuthorizationDetail[],
  inner: readonly AuthorizationDetail[],
): boolean {
  return inner.every(one =>
    outer.some(two => one.type === two.type && typeOf(one.type)?.contains(two, one) === true),
  )
}

export function coversOperation(details: readonly AuthorizationDetail[], operation: Operation): boolean {
  return details.some(detail => typeOf(detail.type)?.covers(detail, operation) === true)
}

/** The first detail that permits nothing at the resource, because it names another server or host. */
export function detailElsewhere(
  details: readonly AuthorizationDetail[],
  resource: string,
): AuthorizationDetail | undefined {
  return details.find(detail => typeOf(detail.type)?.isAt(detail, resource) !== true)
}

/** The least detail that covers the operation; undefined where no type says it. */
export function leastDetail(operation: Operation): AuthorizationDetail | undefined {
  for (const type of Object.values(detailTypes)) {
    const detail = type.least(operation)
    if (detail !== undefined && type.covers(detail, operation)) return detail
  }
  return undefined
}
