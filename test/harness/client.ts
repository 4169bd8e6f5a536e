// Another OAuth client that has a secret, as an administrator registers it, and what it sends.
import { expect } from './agent.ts'
import type { Authority } from './authority.ts'
import { type Answer, answerOf } from './party.ts'

export interface SecretClient {
  readonly id: string
  readonly secret: string
  readonly registration: { readonly uri: string; readonly token: string }
}

export async function secretClient(
  writ: Authority,
  members: Record<string, unknown> = {},
): Promise<SecretClient> {
  const asked = { client_name: 'gate', token_endpoint_auth_method: 'client_secret_basic', ...members }
  const made = expect(await writ.operator.manage('POST', '/clients', asked), 201)
  return {
    id: made.client_id,
    secret: made.client_secret,
    registration: { uri: made.registration_client_uri, token: made.registration_access_token },
  }
}

/** RFC 6749 §2.3.1: each form-encoded, then base64. */
export function basic(id: string, secret: string, encode: (text: string) => string = formEncode): string {
  return `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}`
}

const formEncode = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)

/** Posts a form with these headers. */
export async function postForm(
  writ: Pick<Authority, 'fetch'>,
  path: string,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return answerOf(
    await writ.fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams(form).toString(),
    }),
  )
}

/** The status of an introspection with this secret. */
export async function statusOf(writ: Authority, id: string, secret: string): Promise<number> {
  return (await postForm(writ, '/introspect', { token: 'x' }, { authorization: basic(id, secret) })).status
}

/** A call of the client configuration endpoint. */
export async function configure(
  writ: Pick<Authority, 'fetch'>,
  method: 'GET' | 'PUT' | 'DELETE',
  { uri, token }: SecretClient['registration'],
  body?: unknown,
): Promise<Answer> {
  return answerOf(
    await writ.fetch(uri, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  )
}
