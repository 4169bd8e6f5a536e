// Instants as people give them: RFC 3339, or a distance from now such as 30d.
import { InvalidArgumentError } from 'commander'

const seconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 }

function distance(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,6})([smhdw])$/.exec(text) ?? []
  return amount === undefined || unit === undefined ? undefined : Number(amount) * (seconds[unit] ?? 0)
}

function parse(text: string, direction: 1 | -1): string {
  const away = distance(text)
  if (away !== undefined) return new Date(Date.now() + direction * away * 1000).toISOString()
  // The authority judges it; here only what is plainly something else is sent back.
  if (/^\d{4}-\d{2}-\d{2}T/.test(text) && !Number.isNaN(Date.parse(text))) return text
  throw new InvalidArgumentError(
    'must be an instant such as 2026-12-01T00:00:00Z, or a time such as 90m, 12h or 30d.',
  )
}

/** `30d` is in thirty days; `never` stays as it is. */
export const ahead = (text: string): string => (text === never ? never : parse(text, 1))
export const never = 'never'
/** `2h` was two hours ago. */
export const ago = (text: string): string => parse(text, -1)

/** `10m` is six hundred seconds. */
export function lasting(text: string): number {
  const length = distance(text)
  if (length !== undefined && length > 0) return length
  throw new InvalidArgumentError('must be a length of time such as 30s, 10m or 8h.')
}
