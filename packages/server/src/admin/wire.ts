// The wire forms that all operations share: identifiers, names, instants, pages. Strict, bounded, and with one spelling.
import type { Id, IdPrefix } from '@writ/sdk/protocol/identifier'
import { z } from 'zod'
import { excerpt } from '../domain/audit-entry.ts'
import { checkLogin, checkName, checkProse, type NameProblem, sayProblem } from '../domain/name.ts'
import type { Page, PageRequest } from '../store/store.ts'

/** An identifier of one kind. In a path, anything else is `not_found`. */
export const id = <P extends IdPrefix>(prefix: P) =>
  z
    .string()
    .regex(new RegExp(`^${prefix}_[0-9a-hjkmnp-tv-z]{26}$`), 'is not an identifier of this kind')
    .transform(text => text as Id<P>)

const judged = (max: number, check: (text: string, max: number) => NameProblem | undefined) =>
  z
    .string()
    .min(1)
    .max(max)
    .superRefine((text, context) => {
      const problem = check(text, max)
      if (problem !== undefined) context.addIssue({ code: 'custom', message: sayProblem[problem] })
    })

export const name = judged(128, checkName)
export const login = judged(128, checkLogin)
export const prose = judged(512, checkProse)
export const reason = judged(512, checkProse).describe('Why; kept in the audit log')

/** RFC 3339 in, epoch seconds inside. */
export const instant = z.iso
  .datetime({ offset: true, error: 'is not an RFC 3339 instant' })
  .max(40)
  .transform(text => Math.floor(Date.parse(text) / 1000))

/** Epoch seconds, as answers show them. */
export const rfc3339 = (at: number): string => new Date(at * 1000).toISOString()
export const rfc3339OrNull = (at: number | null): string | null => (at === null ? null : rfc3339(at))
export const shownInstant = z.iso.datetime()

export const noParams = z.strictObject({})
export const noQuery = z.strictObject({})
/** A request that may come without a body, or with an empty object. */
export const noBody = z.strictObject({}).optional()

const maxPage = 200
const usualPage = 50

/** Members of the query of every list. */
export const paging = {
  limit: z
    .string()
    .regex(/^[1-9]\d{0,2}$/, 'is not a whole number from 1 to 200')
    .transform(Number)
    .pipe(z.number().max(maxPage))
    .optional()
    .meta({ description: 'How many items at most; 50 unless told' }),
  after: z.string().min(1).max(128).optional().meta({ description: 'The `next` of the page before' }),
}

export function pageOf(query: { limit?: number | undefined; after?: string | undefined }): PageRequest {
  return { limit: query.limit ?? usualPage, ...(query.after === undefined ? {} : { after: query.after }) }
}

export const listOf = <T extends z.ZodType>(item: T) =>
  z.strictObject({ items: z.array(item), next: z.string().nullable() })

export function shownPage<T, W>(page: Page<T>, show: (item: T) => W): { items: W[]; next: string | null } {
  return { items: page.items.map(show), next: page.next }
}

/** Leaves out what the caller did not name, so that an absent filter is none. */
export function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}

/** A caller's own text in a sentence of ours: short, no token, and nothing that turns or ends the line it stands in. */
export function shown(text: string): string {
  return excerpt(text, 128).replace(/[^\x21-\x7e]/g, '_')
}
