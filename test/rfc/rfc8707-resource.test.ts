// RFC 8707 from outside: one resource a token, in one spelling.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, newAgent, payloadOf, registerApi } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { verifies } from './verifies.ts'

test('a resource that is no absolute URI, unknown, or one of several is refused', async t => {
  verifies('RFC8707-2-1', 'RFC8707-2-2')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a, { scopes: ['read'] })
  const wrong: (string | string[])[] = [
    '/invoices',
    'api.example',
    `${api}#part`,
    'https://user@api.example',
    'https://api.example/other',
    'https://api.example.evil.example',
    'https://api.example:8443',
    'http://api.example',
    [api, `${a.issuer}/api/v1`],
    [api, 'https://other.example'],
  ]
  for (const resource of wrong) {
    const answer = await agent.tokenRequest({ resource })
    assert.equal(answer.status, 400, String(resource))
    assert.equal(answer.body.error, 'invalid_target', String(resource))
  }
})

test('every spelling of one resource yields one audience', async t => {
  verifies('RFC8707-2-3')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a, { scopes: ['read'] })
  for (const resource of [
    api,
    `${api}/`,
    'HTTPS://API.example',
    'https://api.example:443',
    [api, `${api}/`],
  ]) {
    const answer = await agent.tokenRequest({ resource })
    assert.equal(answer.status, 200, String(resource))
    assert.equal(payloadOf(answer.body.access_token)['aud'], api)
  }
})

test('without a resource the only one granted is meant, and none where there are several', async t => {
  verifies('RFC8707-2-2')
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a, { scopes: ['read'] })
  assert.equal(payloadOf((await agent.tokenRequest()).body.access_token)['aud'], api)
  await a.operator.manage('POST', '/grants', {
    agent: agent.clientId,
    resource: `${a.issuer}/api/v1`,
    scopes: ['writ:events:read'],
    reason: 'test',
  })
  assert.equal((await agent.tokenRequest()).body.error, 'invalid_target')
})
