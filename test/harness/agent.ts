// An agent with an instance, a key and, where wanted, a grant, made through the management API like anybody's.
import type { AlgorithmName } from '@writ/sdk/protocol/algorithms'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import type { Authority } from './authority.ts'
import type { Party } from './party.ts'

export const api = 'https://api.example'

/** Registers the resource of the tests: two leaves, a sensitive one, and a bundle of the first two. */
export async function registerApi(
  authority: Authority,
  members: Record<string, unknown> = {},
): Promise<string> {
  const answer = await authority.operator.manage('POST', '/resources', {
    identifier: api,
    name: 'API',
    scopes: [
      { name: 'read', description: 'Reads' },
      { name: 'write', description: 'Writes' },
      { name: 'erase', description: 'Erases', sensitive: true },
      { name: 'all', description: 'Reads and writes', includes: ['read', 'write'] },
    ],
    ...members,
  })
  return expect(answer, 201).id
}

export interface NewAgent {
  readonly scopes?: readonly string[]
  readonly alg?: AlgorithmName
  readonly members?: Record<string, unknown>
}

/** An agent whose key was registered with it. */
export async function newAgent(
  authority: Authority,
  { scopes, alg = 'ES256', members }: NewAgent = {},
): Promise<Party> {
  const pair = generateKeyPair(alg)
  const answer = await authority.operator.manage('POST', '/agents', {
    name: 'reporter',
    owner: authority.operator.clientId,
    purpose: 'Weekly report',
    jwks: { keys: [pair.verify.jwk] },
    ...members,
  })
  const { id } = expect(answer, 201)
  if (scopes !== undefined) await grant(authority, id, scopes)
  return authority.party(id, pair.secret.reveal() as unknown as Record<string, unknown>)
}

/** Grants scopes of the API; answers the grant's id. */
export async function grant(
  authority: Authority,
  agent: string,
  scopes: readonly string[],
  members: Record<string, unknown> = {},
): Promise<string> {
  const answer = await authority.operator.manage('POST', '/grants', {
    agent,
    resource: api,
    scopes,
    reason: 'test',
    ...members,
  })
  return expect(answer, 201).id
}

/** The body of an answer that has to have this status. */
// biome-ignore lint/suspicious/noExplicitAny: answers are looked at member by member in assertions
export function expect(answer: { readonly status: number; readonly body: any }, status: number): any {
  if (answer.status !== status)
    throw new Error(`expected ${status}, got ${answer.status}: ${JSON.stringify(answer.body)}`)
  return answer.body
}

/** The payload of a JWT, not verified. */
export function payloadOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
}

export function headerOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString())
}
