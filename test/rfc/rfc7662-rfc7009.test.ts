// RFC 7662 and RFC 7009 from outside: who learns of a token, and who ends it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { api, expect, newAgent, payloadOf, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { type Answer, assertionType, type Party } from '../harness/party.ts'
import { verifies } from './verifies.ts'

const ask = (party: Party, path: string, form: Record<string, string>): Promise<Answer> =>
  party.post(path, { client_assertion_type: assertionType, client_assertion: party.assertion(), ...form })

/** A resource server that is listed for the API. */
async function resourceServer(a: Authority): Promise<Party> {
  const pair = generateKeyPair('ES256')
  const client = expect(
    await a.operator.manage('POST', '/clients', {
      client_name: 'API server',
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [pair.verify.jwk] },
    }),
    201,
  )
  return a.party(client.client_id ?? client.id, pair.secret.reveal() as unknown as Record<string, unknown>)
}

test('introspection takes POST from authenticated callers only', async t => {
  verifies('RFC7662-2.1-1')
  const a = await authority(t)
  assert.equal((await a.fetch('/introspect?token=x')).status, 405)
  const answer = await a.operator.post('/introspect', { token: 'x' })
  assert.equal(answer.status, 401)
  assert.equal(answer.body.error, 'invalid_client')
})

test('a live token is told to listed clients and the operator, and to nobody else', async t => {
  verifies('RFC7662-2.2-1', 'RFC7662-2.2-2')
  const a = await authority(t)
  const server = await resourceServer(a)
  await registerApi(a, { introspection_clients: [server.clientId] })
  const agent = await newAgent(a, { scopes: ['read'] })
  const stranger = await newAgent(a, { scopes: ['read'] })
  const token = await agent.token(api, 'read')
  for (const caller of [server, a.operator]) {
    const { status, body } = await ask(caller, '/introspect', { token })
    assert.equal(status, 200)
    assert.equal(body.active, true)
    assert.equal(body.sub, agent.clientId)
    assert.equal(body.client_id, agent.clientId)
    assert.equal(body.scope, 'read')
    assert.equal(body.token_type, 'DPoP')
    assert.equal(body.cnf.jkt, agent.key.jkt)
  }
  for (const caller of [stranger, agent])
    assert.deepEqual((await ask(caller, '/introspect', { token })).body, { active: false })
  for (const bad of ['x', `${token}x`, agent.assertion(), token.slice(0, -4)]) {
    assert.deepEqual((await ask(server, '/introspect', { token: bad })).body, { active: false })
  }
})

test('a token is inactive once it expired, was revoked, or what it rests on ended', async t => {
  verifies('RFC7662-2.2-1')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a)
  const active = async (token: string) => (await ask(a.operator, '/introspect', { token })).body.active
  const grantOf = async () =>
    expect(
      await a.operator.manage('POST', '/grants', {
        agent: agent.clientId,
        resource: api,
        scopes: ['read'],
        reason: 'test',
      }),
      201,
    ).id
  const first = await grantOf()
  let token = await agent.token(api, 'read')
  assert.equal(await active(token), true)
  await a.operator.manage('DELETE', `/grants/${first}`)
  assert.equal(await active(token), false)
  await grantOf()
  token = await agent.token(api, 'read')
  await a.operator.manage('POST', `/agents/${agent.clientId}/suspend`, { reason: 'test' })
  assert.equal(await active(token), false)
  await a.operator.manage('POST', `/agents/${agent.clientId}/resume`, { reason: 'test' })
  // What is dead stays dead: resuming the agent brings no token back.
  assert.equal(await active(token), false)
  token = await agent.token(api, 'read')
  assert.equal(await active(token), true)
  a.advance(301)
  assert.equal(await active(token), false)
})

test('a client ends its own token, and hears the same however often and whatever it sends', async t => {
  verifies('RFC7009-2.1-1', 'RFC7009-2.1-2', 'RFC7009-2.2-1')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a, { scopes: ['read'] })
  const other = await newAgent(a, { scopes: ['read'] })
  const token = await agent.token(api, 'read')
  const active = async () => (await ask(a.operator, '/introspect', { token })).body.active
  for (const form of [{ token: 'x' }, { token: other.assertion() }]) {
    assert.deepEqual([(await ask(agent, '/revoke', form)).status], [200])
  }
  const foreign = await ask(other, '/revoke', { token })
  assert.equal(foreign.status, 200)
  assert.deepEqual(foreign.body, {})
  assert.equal(await active(), true)
  const own = await ask(agent, '/revoke', { token, token_type_hint: 'refresh_token' })
  assert.equal(own.status, 200)
  assert.deepEqual(own.body, {})
  assert.equal(await active(), false)
  assert.equal((await ask(agent, '/revoke', { token })).status, 200)
  assert.equal((await agent.post('/revoke', { token })).status, 401)
})

test('a revoked token is refused at the management API at once', async t => {
  verifies('RFC7009-2.1-1')
  const a = await authority(t)
  const token = await a.operator.token(`${a.issuer}/api/v1`, 'writ:agents:read')
  const url = `${a.issuer}/api/v1/agents`
  assert.equal((await a.operator.call('GET', url, { token })).status, 200)
  await ask(a.operator, '/revoke', { token })
  const answer = await a.operator.call('GET', url, { token })
  assert.equal(answer.status, 401)
  assert.equal(answer.body.code, 'invalid_token')
  assert.equal(typeof payloadOf(token)['jti'], 'string')
})
