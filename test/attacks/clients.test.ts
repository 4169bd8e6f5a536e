// Other OAuth clients under attack: keys that come with too much, members that are not theirs to set (C11, C20, C37).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expect, newAgent, registerApi } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { assertionType } from '../harness/party.ts'
import { newPair, partyOf } from './instances.ts'

test('a change of keys is as strict as their registration, also about those that stay', async t => {
  const { operator } = await authority(t)
  const [pair, other] = [newPair(), newPair()]
  const jwk = { ...pair.verify.jwk, kid: 'first' }
  const { id } = expect(
    await operator.manage('POST', '/clients', { client_name: 'rs', jwks: { keys: [jwk] } }),
    201,
  )
  const sets: unknown[][] = [
    [pair.secret.reveal()],
    [{ ...jwk, d: null }],
    [{ ...jwk, k: 'AAAA' }],
    [{ ...jwk, use: 'enc' }],
    [{ ...jwk, key_ops: ['sign'] }],
    [{ ...jwk, alg: 'RS256' }],
    [{ ...jwk, x5c: ['x'] }],
    [{ ...jwk, kid: '' }],
    [other.verify.jwk, pair.secret.reveal()],
    [jwk, jwk],
    [jwk, { ...jwk, kid: 'second' }],
    [{ ...jwk, x: undefined }],
    [jwk, null],
  ]
  for (const keys of sets) {
    const { status, body } = await operator.manage('PATCH', `/clients/${id}`, { jwks: { keys } })
    assert.ok(status === 422 || status === 400, `${JSON.stringify(keys)} ${status}`)
    assert.ok(!JSON.stringify(body).includes(String(pair.secret.reveal().d)))
  }
  const shown = expect(await operator.manage('GET', `/clients/${id}`), 200)
  assert.deepEqual(shown.jwks.keys, [jwk])
  expect(await operator.manage('PATCH', `/clients/${id}`, { jwks: { keys: [jwk, other.verify.jwk] } }), 200)
  expect(await operator.manage('PATCH', `/clients/${id}`, { jwks: { keys: [other.verify.jwk] } }), 200)
  // What was taken away is gone for good, also for its former holder.
  const { status } = await operator.manage('PATCH', `/clients/${id}`, { jwks: { keys: [jwk] } })
  assert.equal(status, 409)
})

test('a client is no agent: no token is its, no instance, no grant, no place in the management API', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const { operator } = writ
  const pair = newPair()
  const made = { client_name: 'rs', jwks: { keys: [pair.verify.jwk] } }
  const { id } = expect(await operator.manage('POST', '/clients', made), 201)
  const client = partyOf(writ, id, pair)
  for (const form of [
    {},
    { scope: 'read' },
    { resource: `${writ.issuer}/api/v1`, scope: 'writ:*' },
    { client_id: id },
  ]) {
    const { status, body } = await client.tokenRequest({ resource: 'https://api.example', ...form })
    assert.equal(`${status} ${body.error}`, '400 unauthorized_client')
  }
  for (const body of [
    { agent: id, resource: 'https://api.example', scopes: ['read'], reason: 'x' },
    { agent: id.replace('cli_', 'agt_'), resource: 'https://api.example', scopes: ['read'], reason: 'x' },
  ]) {
    const { status } = await operator.manage('POST', '/grants', body)
    assert.equal(status, 422)
  }
  for (const [method, path, body] of [
    ['POST', `/agents/${id}/enrollments`],
    ['POST', `/agents/${id}/keys`, { jwk: newPair().verify.jwk }],
    ['PATCH', `/agents/${id}`, { name: 'x' }],
    ['GET', `/clients/${operator.clientId}`],
  ] as const) {
    const { status } = await operator.manage(method, path, body)
    assert.equal(status, 404, path)
  }
})

test('no member makes a client more than it is', async t => {
  const { operator } = await authority(t)
  const { id } = expect(await operator.manage('POST', '/clients', { client_name: 'c' }), 201)
  const members: [string, unknown][] = [
    ['client_id', operator.clientId],
    ['id', operator.clientId],
    ['client_secret', 'x'],
    ['scope', 'writ:*'],
    ['status', 'active'],
    ['grant_types', ['client_credentials']],
    ['grant_types', ['urn:ietf:params:oauth:grant-type:token-exchange']],
    ['token_endpoint_auth_method', 'client_secret_jwt'],
    ['client_secret_expires_at', 0],
    ['registration_access_token', 'x'],
    ['token_endpoint_auth_method', 'private_key_jwt'],
    ['jwks_uri', 'http://169.254.169.254/'],
    ['jwks_uri', 'file:///etc/passwd'],
    ['redirect_uris', ['javascript:alert(1)']],
    ['redirect_uris', ['http://evil.example/']],
    ['redirect_uris', ['https://a@evil.example/']],
    ['redirect_uris', ['data:text/html,x']],
    ['redirect_uris', ['https://ok.example/#x']],
    ['logo_uri', 'javascript:alert(1)'],
    ['client_uri', 'http://evil.example/'],
    ['response_types', ['token']],
    ['owner', operator.clientId],
    ['constructor', 'x'],
    ['created_at', '2000-01-01T00:00:00Z'],
  ]
  for (const [name, value] of members) {
    for (const answer of [
      await operator.manage('POST', '/clients', { client_name: 'c', [name]: value }),
      await operator.manage('PATCH', `/clients/${id}`, { [name]: value }),
    ]) {
      assert.ok(
        answer.status === 422 || answer.status === 400,
        `${name} ${JSON.stringify(value)} ${answer.status}`,
      )
    }
  }
})

test('a suspended or deleted client authenticates nowhere, and its keys are nobody else’s', async t => {
  const writ = await authority(t)
  const { operator } = writ
  const agent = await newAgent(writ)
  const pair = newPair()
  const made = { client_name: 'rs', jwks: { keys: [pair.verify.jwk] } }
  const { id } = expect(await operator.manage('POST', '/clients', made), 201)
  const client = partyOf(writ, id, pair)
  const statuses = async (): Promise<number[]> => {
    const asked: number[] = []
    for (const path of ['/introspect', '/revoke', '/token']) {
      const evidence = { client_assertion_type: assertionType, client_assertion: client.assertion() }
      const form = { ...evidence, token: 'x', grant_type: 'client_credentials' }
      asked.push((await client.post(path, form)).status)
    }
    return asked
  }
  assert.deepEqual(await statuses(), [200, 200, 400])
  expect(await operator.manage('POST', `/clients/${id}/suspend`, { reason: 'x' }), 200)
  assert.deepEqual(await statuses(), [401, 401, 401])
  expect(await operator.manage('POST', `/clients/${id}/resume`, { reason: 'x' }), 200)
  assert.deepEqual(await statuses(), [200, 200, 400])
  expect(await operator.manage('DELETE', `/clients/${id}`), 204)
  assert.deepEqual(await statuses(), [401, 401, 401])
  const { status } = await operator.manage('POST', `/agents/${agent.clientId}/keys`, { jwk: pair.verify.jwk })
  assert.equal(status, 409)
})
