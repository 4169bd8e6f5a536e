// The roles that come to the management API, each as what it sends: from nobody to everybody, and those who lie.
import { generateKeyPair, type KeyPair } from '@writ/sdk/protocol/jwk'
import type { Authority } from '../harness/authority.ts'
import type { Answer, Party } from '../harness/party.ts'
import type { Asked } from './routes.ts'

/** An agent of the authority with its one key. */
export async function newAgent(
  authority: Authority,
  name: string,
): Promise<{ id: string; party: Party; pair: KeyPair }> {
  const pair = generateKeyPair('ES256')
  const answer = await authority.operator.manage('POST', '/agents', {
    name,
    owner: authority.operator.clientId,
    purpose: 'Tests access',
    jwks: { keys: [pair.verify.jwk] },
  })
  if (answer.status !== 201) throw new Error(`no agent: ${JSON.stringify(answer.body)}`)
  const { id } = answer.body as { id: string }
  return { id, party: authority.party(id, pair.secret.reveal() as unknown as Record<string, unknown>), pair }
}

/** An agent with a grant of these scopes of the management API, and a token for them. */
export async function administrator(
  authority: Authority,
  scopes: readonly string[],
): Promise<{ id: string; party: Party; token: string }> {
  const { id, party } = await newAgent(authority, 'administrator')
  const resource = `${authority.issuer}/api/v1`
  const grant = { agent: id, resource, scopes, reason: 'Tests access' }
  const given = await authority.operator.manage('POST', '/grants', grant)
  if (given.status !== 201) throw new Error(`no grant: ${JSON.stringify(given.body)}`)
  return { id, party, token: await party.token(resource, scopes.join(' ')) }
}

/** Asks a route with exactly these headers. */
export async function ask(
  authority: Authority,
  route: Asked,
  headers: Record<string, string>,
): Promise<Answer> {
  const response = await authority.fetch(route.url, {
    method: route.method,
    headers: { ...headers, ...(route.body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(route.body === undefined ? {} : { body: JSON.stringify(route.body) }),
  })
  const text = await response.text()
  const isJson = /^application\/(problem\+)?json$/.test(response.headers.get('content-type') ?? '')
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
}

/** Asks a route as a good client with this token does. */
export function askAs(
  authority: Authority,
  route: Asked,
  { party, token }: { party: Party; token: string },
): Promise<Answer> {
  const dpop = party.proof(route.url, { method: route.method, accessToken: token })
  return ask(authority, route, { authorization: `DPoP ${token}`, dpop })
}
