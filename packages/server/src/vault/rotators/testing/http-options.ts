// What the tests of `http` ask for: an API that chooses its keys, one that is given them, and what a refusal may show.
import assert from 'node:assert/strict'
import { type Code, isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { http } from '../http.ts'
import type { HttpOptions } from '../http-calls.ts'
import type { RotatorContext } from '../rotator.ts'
import { adminKey } from './key-api.ts'

export type Context = RotatorContext<HttpOptions>

const admin = { authorization: 'Bearer {{admin}}' }
/** The upstream chooses the value and its name. */
export const chosenThere = {
  admin: 'api-admin',
  stage: { method: 'POST', path: '/keys', headers: admin, body: { for: '{{secret.name}}' } },
  verify: { method: 'GET', path: '/me', headers: { authorization: 'Bearer {{next.value}}' } },
  retire: { method: 'DELETE', path: '/keys/{{next.handle}}', headers: admin },
  value: '/data/key',
  handle: '/data/id',
  timeoutSeconds: 1,
}
/** We choose both. */
const { value: _, handle: __, ...rest } = chosenThere
export const chosenHere = {
  ...rest,
  stage: {
    method: 'POST',
    path: '/keys',
    headers: admin,
    body: { name: '{{next.handle}}', key: '{{next.value}}' },
  },
}

export function contextOf(base: string, given: object, more: Partial<Context> = {}): Context {
  return {
    options: http.options.parse({ base, ...given }),
    rotation: 'rot_1',
    secretName: 'api-key',
    current: null,
    next: { value: new Secret('not yet'), handle: null, number: 1 },
    secret: async () => new Secret(adminKey),
    now: 1_800_000_000,
    signal: new AbortController().signal,
    ...more,
  }
}

/** Whether an error is this refusal, with no secret anywhere in it. */
export const refuses =
  (code: Code, pattern: RegExp, ...secrets: string[]) =>
  (error: unknown): boolean => {
    assert.ok(isFault(error), String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, pattern)
    const shown = `${error.message} ${JSON.stringify(error.why)} ${error.cause ?? ''} ${error.stack}`
    for (const secret of [adminKey, ...secrets]) assert.ok(!shown.includes(secret), shown)
    return true
  }
