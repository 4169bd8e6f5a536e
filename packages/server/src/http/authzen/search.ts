// AuthZEN Authorization API 1.0 §8: searches, which are questions with one part left out, and the page that is wanted.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Search, Sought } from '../../decision/search.ts'
import { actionOf, circumstancesOf, entityOf, membersOf, soughtOf } from './request.ts'

type Members = Readonly<Record<string, unknown>>

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

/** AuthZEN §8.2.1. More than we give at once is no error, and nothing at all is a number as well. */
function limitOf(value: unknown): number | undefined {
  if (value === undefined) return undefined
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw new Fault('invalid_request', 'page.limit must be a whole number, at least 0.', { kind: 'page' })
  return value as number
}

function tokenOf(value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string' || value.length > 256)
    throw new Fault('invalid_request', 'page.token must be one of ours.', { kind: 'page' })
  return value
}
