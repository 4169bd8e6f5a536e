// RFC 9396 §2: the types of details, read, compared and asked as one. A type without a row is understood by nobody.
import type { AuthorizationDetail, DetailType, Operation } from './detail.ts'

export const detailTypes: Readonly<Record<string, DetailType>> = {}

const typeOf = (detail: AuthorizationDetail): DetailType | undefined =>
  Object.hasOwn(detailTypes, detail.type) ? detailTypes[detail.type] : undefined

export function parseDetails(value: unknown): readonly AuthorizationDetail[] | { readonly problem: string } {
  if (!Array.isArray(value)) return { problem: 'is not an array' }
  const parsed: AuthorizationDetail[] = []
  for (const one of value as readonly AuthorizationDetail[]) {
    const read = typeOf(one)?.parse(one) ?? { problem: 'has a type that is unknown here' }
    if (!('type' in read)) return read as { problem: string }
    parsed.push(read as AuthorizationDetail)
  }
  return parsed
}

export function containsDetails(
  outer: readonly AuthorizationDetail[],
  inner: readonly AuthorizationDetail[],
): boolean {
  return inner.every(one => outer.some(two => one.type === two.type && typeOf(two)?.contains(two, one)))
}

export function coversOperation(details: readonly AuthorizationDetail[], operation: Operation): boolean {
  return details.some(detail => typeOf(detail)?.covers(detail, operation))
}
