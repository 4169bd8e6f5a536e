// RFC 7591 and RFC 7592 from outside: what a registration answers, and how its client manages it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { expect } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { configure, secretClient, statusOf } from '../harness/client.ts'
import { verifies } from './verifies.ts'

const contacts = ['ops@gate.example']

test('a new registration shows its secret once, and never a hash of it', async t => {
  verifies('RFC7591-3.2.1-1', 'RFC7591-3.2.1-2')
  const writ = await authority(t)
  const asked = { client_name: 'gate', token_endpoint_auth_method: 'client_secret_basic', contacts }
  const made = expect(await writ.operator.manage('POST', '/clients', asked), 201)
  assert.equal(made.client_secret_expires_at, 0)
  assert.deepEqual([made.client_name, made.contacts], ['gate', contacts])
  assert.equal(made.registration_client_uri, `${writ.issuer}/register/${made.client_id}`)
  assert.match(made.registration_access_token, /^writ_rat_[\w-]{43}$/)
  const seen = [
    expect(await writ.operator.manage('GET', `/clients/${made.client_id}`), 200),
    expect(await writ.operator.manage('GET', `/clients/${made.client_id}/secrets`), 200),
    expect(await writ.operator.manage('GET', '/events?type=client.created'), 200),
  ]
  const text = JSON.stringify(seen)
  for (const secret of [made.client_secret, made.registration_access_token]) assert.ok(!text.includes(secret))
  assert.doesNotMatch(text, /hash/i)
})

test('a client reads its registration by its token, and nobody by another', async t => {
  verifies('RFC7592-2-1', 'RFC7592-2.1-1', 'RFC7592-3-1')
  const writ = await authority(t)
  const { id, secret, registration } = await secretClient(writ, { contacts })
  const other = await secretClient(writ)
  const read = expect(await configure(writ, 'GET', registration), 200)
  assert.deepEqual(read, {
    contacts,
    client_id: id,
    client_id_issued_at: read.client_id_issued_at,
    client_name: 'gate',
    token_endpoint_auth_method: 'client_secret_basic',
    registration_client_uri: registration.uri,
    registration_access_token: registration.token,
  })
  for (const token of [other.registration.token, secret, `${registration.token}x`, 'x', 'a b']) {
    const answer = await configure(writ, 'GET', { uri: registration.uri, token })
    assert.deepEqual([answer.status, answer.body.error], [401, 'invalid_token'])
    assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer realm="[^"]+", error="invalid_token"/)
  }
  const bare = await writ.fetch(registration.uri)
  assert.equal(bare.status, 401)
  assert.equal(bare.headers.get('www-authenticate'), `Bearer realm="${writ.issuer}"`)
})

test('an update replaces the registration whole, and hands out the next secret', async t => {
  verifies('RFC7591-2-1', 'RFC7592-2.2-1')
  const writ = await authority(t)
  const { id, secret, registration } = await secretClient(writ, {
    contacts,
    client_uri: 'https://gate.example',
  })
  const wanted = { client_id: id, client_secret: secret, client_name: 'door', logo_uri: null, favourite: 1 }
  const updated = expect(await configure(writ, 'PUT', registration, wanted), 200)
  assert.equal(updated.client_name, 'door')
  for (const gone of ['contacts', 'client_uri', 'logo_uri', 'favourite']) assert.ok(!(gone in updated), gone)
  assert.notEqual(updated.client_secret, secret)
  assert.equal(updated.client_secret_expires_at, 0)
  assert.deepEqual(
    [await statusOf(writ, id, secret), await statusOf(writ, id, updated.client_secret)],
    [200, 200],
  )
  const { client_secret: _, client_secret_expires_at: __, ...rest } = updated
  assert.deepEqual(expect(await configure(writ, 'GET', registration), 200), rest)
})

test('an update is refused whole, by the name of what is wrong', async t => {
  verifies('RFC7591-3.2.2-1', 'RFC7592-2.2-1', 'RFC7592-2.2-2', 'RFC7592-2.2-3')
  const writ = await authority(t)
  const { id, secret, registration } = await secretClient(writ)
  const other = await secretClient(writ)
  const good = { client_id: id, client_secret: secret, client_name: 'door' }
  const wrong: [Record<string, unknown>, string][] = [
    [{ client_id: other.id }, 'invalid_client_metadata'],
    [{ client_id: undefined }, 'invalid_client_metadata'],
    [{ client_id: id.toUpperCase() }, 'invalid_client_metadata'],
    [{ client_secret: 'mine' }, 'invalid_client_metadata'],
    [{ client_secret: other.secret }, 'invalid_client_metadata'],
    [{ client_secret: 1 }, 'invalid_client_metadata'],
    [{ registration_access_token: registration.token }, 'invalid_client_metadata'],
    [{ registration_client_uri: registration.uri }, 'invalid_client_metadata'],
    [{ client_secret_expires_at: 0 }, 'invalid_client_metadata'],
    [{ client_id_issued_at: 0 }, 'invalid_client_metadata'],
    [{ client_name: undefined }, 'invalid_client_metadata'],
    [{ client_name: '' }, 'invalid_client_metadata'],
    [{ token_endpoint_auth_method: 'client_secret_jwt' }, 'invalid_client_metadata'],
    [{ token_endpoint_auth_method: 'private_key_jwt' }, 'invalid_client_metadata'],
    [{ jwks_uri: 'https://gate.example/jwks' }, 'invalid_client_metadata'],
    [{ redirect_uris: ['http://gate.example/cb'] }, 'invalid_redirect_uri'],
    [{ redirect_uris: ['javascript:alert(1)'] }, 'invalid_redirect_uri'],
  ]
  for (const [members, error] of wrong) {
    const answer = await configure(writ, 'PUT', registration, { ...good, ...members })
    assert.deepEqual([answer.status, answer.body.error], [400, error], JSON.stringify(members))
  }
  assert.equal(expect(await configure(writ, 'GET', registration), 200).client_name, 'gate')
  const { items } = expect(await writ.operator.manage('GET', `/clients/${id}/secrets`), 200)
  assert.equal(items.length, 1)
  const { items: told } = expect(
    await writ.operator.manage('GET', `/events?agent=${id}&type=client.updated`),
    200,
  )
  assert.deepEqual(
    [told.length, new Set(told.map((one: { outcome: string }) => one.outcome))],
    [wrong.length, new Set(['refused'])],
  )
})

test('a client that moves to a key has no secret any more', async t => {
  verifies('RFC7592-2.2-1')
  const writ = await authority(t)
  const { id, secret, registration } = await secretClient(writ)
  const jwks = { keys: [generateKeyPair('ES256').verify.jwk] }
  const moved = expect(
    await configure(writ, 'PUT', registration, { client_id: id, client_name: 'gate', jwks }),
    200,
  )
  assert.deepEqual(
    [moved.token_endpoint_auth_method, moved.jwks, moved.client_secret],
    ['private_key_jwt', jwks, undefined],
  )
  assert.equal(await statusOf(writ, id, secret), 401)
})

test('a deleted client is gone with its secret and its token', async t => {
  verifies('RFC7592-2-2', 'RFC7592-2.3-1')
  const writ = await authority(t)
  const { id, secret, registration } = await secretClient(writ)
  assert.equal((await configure(writ, 'DELETE', registration)).status, 204)
  assert.equal(await statusOf(writ, id, secret), 401)
  for (const method of ['GET', 'PUT', 'DELETE'] as const) {
    const answer = await configure(
      writ,
      method,
      registration,
      method === 'PUT' ? { client_id: id } : undefined,
    )
    assert.deepEqual([answer.status, answer.body.error], [401, 'invalid_token'])
  }
  assert.equal((await writ.operator.manage('GET', `/clients/${id}`)).status, 404)
})

test('a suspended client manages nothing, and a replaced token is dead at once', async t => {
  verifies('RFC7592-2-1')
  const writ = await authority(t)
  const { id, registration } = await secretClient(writ)
  const reason = { reason: 'leaked' }
  expect(await writ.operator.manage('POST', `/clients/${id}/suspend`, reason), 200)
  for (const method of ['GET', 'DELETE'] as const)
    assert.equal((await configure(writ, method, registration)).status, 403)
  expect(await writ.operator.manage('POST', `/clients/${id}/resume`, reason), 200)
  const next = expect(await writ.operator.manage('POST', `/clients/${id}/registration-token`, reason), 201)
  assert.equal((await configure(writ, 'GET', registration)).status, 401)
  assert.equal(next.registration_client_uri, registration.uri)
  expect(await configure(writ, 'GET', { uri: registration.uri, token: next.registration_access_token }), 200)
})
