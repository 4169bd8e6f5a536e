// RFC 9068 from outside, with other people's verifier: what an access token is.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { api, headerOf, newAgent, payloadOf, registerApi } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { verifies } from './verifies.ts'

test('an access token is verified by jose with the published keys', async t => {
  verifies('RFC9068-2.1-1', 'RFC9068-2.2-1', 'RFC9068-4-1')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a, {
    scopes: ['read'],
    members: { kind: 'retrieval', model: 'm-1', provider: 'acme.example', version: '2' },
  })
  const token = await agent.token(api, 'read')
  const jwks = createLocalJWKSet(await (await a.fetch('/jwks')).json())
  const { payload, protectedHeader } = await jwtVerify(token, jwks, {
    issuer: a.issuer,
    audience: api,
    typ: 'at+jwt',
    requiredClaims: ['exp', 'iat', 'jti', 'sub', 'client_id'],
  })
  assert.equal(protectedHeader.alg, 'ES256')
  assert.equal(payload.sub, agent.clientId)
  assert.equal(payload['client_id'], agent.clientId)
  assert.equal(payload['scope'], 'read')
  assert.equal(payload['agent_type'], 'retrieval')
  assert.equal(payload['agent_model'], 'm-1')
  assert.equal(payload['agent_provider'], 'acme.example')
  assert.equal(payload['agent_version'], '2')
  assert.match(String(payload['agent_instance_id']), /^ins_/)
  assert.equal('delegator_sub' in payload, false)
  assert.equal((payload.exp ?? 0) - (payload.iat ?? 0), 300)
})

test('two tokens never share an identifier', async t => {
  verifies('RFC9068-2.2-1')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a, { scopes: ['read'] })
  const tokens = await Promise.all(Array.from({ length: 10 }, () => agent.token(api)))
  assert.equal(new Set(tokens.map(token => payloadOf(token)['jti'])).size, 10)
})

test('a token never outlives the grant or the agent that it rests on', async t => {
  verifies('RFC9068-2.2-1')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a)
  const expiresAt = new Date(a.nowMs() + 100_000).toISOString()
  await a.operator.manage('POST', '/grants', {
    agent: agent.clientId,
    resource: api,
    scopes: ['read'],
    reason: 'test',
    expires_at: expiresAt,
  })
  const claims = payloadOf(await agent.token(api, 'read'))
  assert.ok((claims['exp'] as number) * 1000 <= Date.parse(expiresAt) + 999)
  a.advance(101)
  assert.equal((await agent.tokenRequest({ resource: api, scope: 'read' })).body.error, 'invalid_scope')
})

test('the signing key is named by its thumbprint and nothing private is published', async t => {
  verifies('RFC9068-4-1')
  const a = await authority(t)
  const { keys } = (await (await a.fetch('/jwks')).json()) as { keys: Record<string, unknown>[] }
  assert.equal(keys.length, 1)
  for (const name of ['d', 'p', 'q', 'k']) assert.equal(name in (keys[0] ?? {}), false)
  const token = await a.operator.token(`${a.issuer}/api/v1`)
  assert.equal(headerOf(token)['kid'], keys[0]?.['kid'])
  assert.equal(headerOf(token)['typ'], 'at+jwt')
})
