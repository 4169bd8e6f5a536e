// The agent SDK begins sessions at the authority itself: what belongs to one is told apart, and ends with it at once.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Agent, type ObtainedToken } from '@writ/sdk/agent'
import type { Code } from '@writ/sdk/protocol/fault'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { api, expect, grant, payloadOf, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { assertionType } from '../harness/party.ts'
import { type Enrolled, enrolled } from './enrolled.ts'
import { fault } from './refusals.ts'

interface World extends Enrolled {
  readonly writ: Authority
  /** The management API, which takes the tokens of a session like any resource, and knows at once of its end. */
  readonly management: string
}

async function world(t: TestContext): Promise<World> {
  const writ = await authority(t)
  await registerApi(writ)
  const found = await enrolled(t, writ)
  const management = `${writ.issuer}/api/v1`
  await grant(writ, found.agent.clientId, ['read', 'write'])
  const scopes = ['writ:agents:read', 'writ:halts:read']
  await grant(writ, found.agent.clientId, scopes, { resource: management })
  return { ...found, writ, management }
}

interface Issued {
  readonly action: string
  readonly decision: Record<string, unknown>
}

const claimsOf = ({ accessToken }: ObtainedToken) => payloadOf(accessToken.reveal())
const sidOf = (token: ObtainedToken) => claimsOf(token)['sid']

async function isLive({ operator }: Authority, { accessToken }: ObtainedToken): Promise<boolean> {
  const client = { client_assertion_type: assertionType, client_assertion: operator.assertion() }
  return expect(await operator.post('/introspect', { token: accessToken.reveal(), ...client }), 200).active
}

async function refuses(asked: Promise<unknown>, code: Code, says = /./): Promise<void> {
  await assert.rejects(asked, error => fault(code)(error) && says.test((error as Error).message))
}

const onApi = { resource: api, scope: 'read' }

test('what is called in a session names it and its task, and what is called beside it does not', async t => {
  const { agent, writ, management } = await world(t)
  const session = await agent.session({ task: 'sort the post', seconds: 600 })
  assert.equal(session.task, 'sort the post')
  const seen = expect(await writ.operator.manage('GET', `/sessions/${session.id}`), 200)
  assert.deepEqual(
    [seen.agent, seen.status, seen.task, Date.parse(seen.expires_at)],
    [agent.clientId, 'live', 'sort the post', session.expiresAt * 1000],
  )
  const { sid, agent_context_id: task } = claimsOf(await session.token(onApi))
  assert.deepEqual([sid, task], [session.id, 'sort the post'])
  assert.equal(sidOf(await agent.token(onApi)), undefined)
  const reading = { resource: management, scope: 'writ:agents:read' }
  assert.equal((await session.fetch(`${management}/agents`, reading)).status, 200)
  assert.equal((await session.fetchFor(reading)(`${management}/agents`)).status, 200)
  assert.equal((await agent.fetch(`${management}/agents`, reading)).status, 200)
  const path = `/events?agent=${agent.clientId}&type=token.issued`
  const { items } = expect(await writ.operator.manage('GET', path), 200)
  const sessions = items.map(({ decision }: Issued) => decision['session'])
  assert.deepEqual(sessions, [session.id, undefined, session.id, undefined])
})

test('the tokens of two sessions are never mixed, whoever asks first and whatever was asked for on top', async t => {
  const { agent, writ, management } = await world(t)
  const [one, two] = [await agent.session(), await agent.session()]
  assert.deepEqual([one.task, two.task], [null, null])
  assert.notEqual(one.id, two.id)
  const callers = [agent, one, two, one, agent, two]
  const tokens = await Promise.all(callers.map(each => each.token(onApi)))
  assert.deepEqual(tokens.map(sidOf), [undefined, one.id, two.id, one.id, undefined, two.id])
  assert.equal(new Set(tokens.map(({ accessToken }) => accessToken.reveal())).size, 3, 'each is kept')
  // The rights that this call lacks are asked for in the session that makes it, and wanted in no other.
  const narrow = { resource: management, scope: 'writ:agents:read' }
  for (const each of [one, two, agent])
    assert.equal((await each.fetch(`${management}/halts`, narrow)).status, 200)
  const path = `/events?agent=${agent.clientId}&type=token.issued`
  const { items } = expect(await writ.operator.manage('GET', path), 200)
  const issued = items.map(({ action, decision }: Issued) => `${decision['session']} ${action}`).slice(3)
  const expected = [one.id, two.id, undefined].flatMap(sid =>
    [narrow.scope, both].map(scope => `${sid} ${scope}`),
  )
  assert.deepEqual(issued, expected)
  const widened = await Promise.all([one, two, agent].map(each => each.token({ ...narrow, scope: both })))
  assert.deepEqual(widened.map(sidOf), [one.id, two.id, undefined])
})
const both = 'writ:agents:read writ:halts:read'

test('its end kills its tokens at once, those of others live on, and nothing more is called in its name', async t => {
  const { agent, writ, asked } = await world(t)
  const [session, other] = [await agent.session(), await agent.session()]
  const [dead, live, free] = [await session.token(onApi), await other.token(onApi), await agent.token(onApi)]
  await session.end()
  assert.deepEqual(
    [await isLive(writ, dead), await isLive(writ, live), await isLive(writ, free)],
    [false, true, true],
  )
  asked.length = 0
  await refuses(session.token(onApi), 'conflict', /session ses_\w+ is over/)
  await refuses(session.fetch(`${api}/invoices`, onApi), 'conflict', /is over/)
  await refuses(session.fetchFor(onApi)(`${api}/invoices`), 'conflict', /is over/)
  assert.deepEqual(asked, [], 'nobody had to be asked')
  await session.end()
  assert.equal(sidOf(await other.token(onApi)), other.id)
  assert.equal(sidOf(await agent.token(onApi)), undefined)
})

test('one that an operator ended, or whose time is over, is told from every other refusal', async t => {
  const { agent, writ, management } = await world(t)
  const session = await agent.session()
  const reading = { resource: management, scope: 'writ:agents:read' }
  const call = () => session.fetch(`${management}/agents`, reading)
  assert.equal((await call()).status, 200)
  const end = await writ.operator.manage('POST', `/sessions/${session.id}/end`, { reason: 'odd' })
  expect(end, 200)
  assert.equal((await call()).status, 401, 'the resource has answered')
  await refuses(call(), 'conflict', /session ses_\w+ is over/)
  await refuses(session.token(onApi), 'conflict', /is over/)
  await session.end()
  const brief = await agent.session({ seconds: 60 })
  await brief.token(onApi)
  await refuses(brief.token({ resource: api, scope: 'erase' }), 'invalid_scope')
  await refuses(brief.token({ resource: 'https://other.example' }), 'invalid_target')
  writ.advance(60)
  await refuses(brief.token(onApi), 'conflict', /is over/)
  assert.equal(sidOf(await agent.token(onApi)), undefined)
})

test('a token that arrives after the end is handed to nobody', async t => {
  const { agent, meanwhile } = await world(t)
  const session = await agent.session()
  await session.token({ resource: api })
  meanwhile.set('/token', () => session.end())
  await refuses(session.token(onApi), 'conflict', /is over/)
  assert.equal(meanwhile.size, 0)
})

test('an end that the issuer did not hear of is one here, and is told to it again', async t => {
  const { agent, writ, lost } = await world(t)
  const session = await agent.session()
  const token = await session.token(onApi)
  lost.add('/sessions/end')
  await session.end()
  assert.equal(await isLive(writ, token), false, 'told twice')
  const second = await agent.session()
  expect(await writ.operator.manage('POST', `/agents/${agent.clientId}/suspend`, { reason: 'odd' }), 200)
  await refuses(second.end(), 'invalid_client')
  await refuses(second.token(onApi), 'conflict', /is over/)
  expect(await writ.operator.manage('POST', `/agents/${agent.clientId}/resume`, { reason: 'fine' }), 200)
  await second.end()
  const { status } = expect(await writ.operator.manage('GET', `/sessions/${second.id}`), 200)
  assert.equal(status, 'ended')
})

test('a session outlives the key that began it, also where another process has replaced it', async t => {
  const { agent, writ, sibling } = await world(t)
  const session = await agent.session({ task: 'a long one' })
  await session.token(onApi)
  const before = agent.key().thumbprint
  await agent.rotateKey()
  assert.notEqual(agent.key().thumbprint, before)
  const wider = await session.token({ resource: api, scope: 'read write' })
  assert.deepEqual([sidOf(wider), claimsOf(wider)['cnf']], [session.id, { jkt: agent.key().thumbprint }])
  const other = await sibling()
  await other.rotateKey()
  const known = agent.key().thumbprint
  expect(await writ.operator.manage('POST', `/agents/${agent.clientId}/keys/${known}/revoke`, end), 200)
  const next = await agent.session()
  assert.equal(agent.key().thumbprint, other.key().thumbprint)
  assert.equal(sidOf(await next.token(onApi)), next.id)
  assert.equal(sidOf(await session.token(onApi)), session.id)
  await other.rotateKey()
  const again = agent.key().thumbprint
  expect(await writ.operator.manage('POST', `/agents/${agent.clientId}/keys/${again}/revoke`, end), 200)
  await session.end()
  const { status } = expect(await writ.operator.manage('GET', `/sessions/${session.id}`), 200)
  assert.equal(status, 'ended')
})
const end = { reason: 'replaced' }

test('nobody but an instance of a live agent begins one, and each refusal says why', async t => {
  const { agent, writ } = await world(t)
  for (const seconds of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
    await refuses(agent.session({ seconds }), 'invalid_request', /whole number/)
  await refuses(agent.session({ seconds: 86_401 }), 'invalid_request', /1 to 86400/)
  for (const task of ['x'.repeat(257), 'two\nlines', '\u202eturned'])
    await refuses(agent.session({ task }), 'invalid_request', /task must be a line/)
  const halt = { kind: 'agent', target: agent.clientId, reason: 'odd' }
  const session = await agent.session()
  const { id } = expect(await writ.operator.manage('POST', '/halts', halt), 201)
  await refuses(agent.session(), 'access_denied')
  await refuses(session.token(onApi), 'invalid_grant')
  expect(await writ.operator.manage('POST', `/halts/${id}/lift`, { reason: 'over' }), 200)
  assert.equal(sidOf(await session.token(onApi)), session.id, 'a halt is no end')
  const reach = (async (input, init) => writ.server.fetch(new Request(input, init))) as typeof fetch
  const { secret, verify } = generateKeyPair('ES256')
  const made = {
    client_name: 'portal',
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [verify.jwk] },
  }
  const { client_id } = expect(await writ.operator.manage('POST', '/clients', made), 201)
  const credentials = { issuer: writ.issuer, client_id, jwk: secret.reveal() }
  const client = Agent.fromCredentials(credentials, { fetch: reach, clock: writ.nowMs })
  await refuses(client.session(), 'access_denied')
})
