// What every caller may count on, whatever breaks behind the server: an answer of the table of errors, with a request id.
import assert from 'node:assert/strict'
import { codes } from '@writ/sdk/protocol/fault'
import type { Answer } from '../harness/party.ts'

type Body = Readonly<Record<string, unknown>>

/** The JSON body, where it is one. Throws where the answer is a refusal that is not registered (invariant I15). */
export async function mustBeRegistered(answer: Response): Promise<Body | undefined> {
  const isJson = /^application\/(problem\+)?json/.test(answer.headers.get('content-type') ?? '')
  const body = isJson ? ((await answer.clone().json()) as Body) : undefined
  if (answer.status < 400) return body
  const said = `${answer.status} ${JSON.stringify(body)}`
  assert.ok(body, said)
  const code = String(body['code'] ?? body['error'])
  assert.ok(Object.hasOwn(codes, code), `not a registered code: ${said}`)
  const { status } = codes[code as keyof typeof codes]
  // RFC 9449 §7.1: at a protected resource a bad proof is a 401.
  const here = body['code'] !== undefined && /dpop/.test(code) ? 401 : status
  assert.equal(answer.status, here, said)
  const requestId = answer.headers.get('x-request-id')
  assert.match(requestId ?? '', /^[0-9a-f-]{36}$/, `no request id: ${said}`)
  if (body['code'] !== undefined) assert.equal(body['request_id'], requestId)
  return body
}

/** Whether the server said that it cannot decide now. */
export function isAway({ status, body }: Pick<Answer, 'status' | 'body'>): boolean {
  return status === 503 && (body.code ?? body.error) === 'temporarily_unavailable'
}
