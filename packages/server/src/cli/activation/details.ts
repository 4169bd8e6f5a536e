// Authorization details on a command line: a JSON array, as the API takes it (RFC 9396 §2).
import { InvalidArgumentError } from 'commander'

/** One detail of whatever type; the authority judges it. */
export interface Detail {
  readonly type: string
  readonly [member: string]: unknown
}

export function detailsIn(text: string): Detail[] {
  try {
    const value: unknown = JSON.parse(text)
    if (Array.isArray(value)) return value as Detail[]
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new InvalidArgumentError('must be a JSON array of objects, each with a type.')
}

/** Several lists of scopes, separated by spaces. */
export function scopesIn(text: string, before: readonly string[] = []): string[] {
  const scopes = text.split(/\s+/).filter(Boolean)
  if (scopes.length === 0) throw new InvalidArgumentError('must name a scope.')
  return [...before, ...scopes]
}

export const shownDetails = (details: readonly object[]): string | undefined =>
  details.length === 0 ? undefined : details.map(detail => JSON.stringify(detail)).join(' ')
