// AuthZEN Authorization API 1.0 §8: searches, which are questions with one part left out, and the page that is wanted.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Search, Sought } from '../../decision/search.ts'
import { actionOf, circumstancesOf, entityOf, membersOf, soughtOf } from './request.ts'

type Members = Readonly<Record<string, unknown>>

/** Candidates looked at for one page. */
const mostOfPage = 100

/** Throws `invalid_request` with the member that is missing or wrong. */
export function searchOf(sought: Sought, body: Members): Search {
  const page = membersOf(body, 'page')
  return {
    sought,
    asked: {
      // What is searched for is known by its type alone; an id that came along is ignored.
      subject: sought === 'subject' ? { ...soughtOf(body, 'subject'), id: '' } : entityOf(body, 'subject'),
      action: sought === 'action' ? { name: '', properties: {} } : actionOf(body),
      resource:
        sought === 'resource' ? { ...soughtOf(body, 'resource'), id: '' } : entityOf(body, 'resource'),
      ...circumstancesOf(body),
    },
    page: { limit: limitOf(page['limit']), token: tokenOf(page['token']) },
  }
}

/** AuthZEN §8.2: more than we give at once is no error. */
function limitOf(value: unknown): number {
  if (value === undefined) return mostOfPage
  if (!Number.isSafeInteger(value) || (value as number) < 1)
    throw new Fault('invalid_request', 'page.limit must be a whole number, at least 1.', { kind: 'page' })
  return Math.min(value as number, mostOfPage)
}

function tokenOf(value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string' || value.length > 256)
    throw new Fault('invalid_request', 'page.token must be one of ours.', { kind: 'page' })
  return value
}
