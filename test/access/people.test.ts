// People and other clients through the management API: one login for one person, no secret comes back, allow-lists hold.
import assert from 'node:assert/strict'
import { scryptSync } from 'node:crypto'
import { test } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { authority } from '../harness/authority.ts'
import { newAgent } from './roles.ts'

test('a person is created, changed, suspended, resumed and deleted', async t => {
  const { operator, issuer } = await authority(t)
  const made = await operator.manage('POST', '/people', { login: 'ada@example.com', name: 'Ada Lovelace' })
  assert.deepEqual([made.status, made.body.status, made.body.has_password], [201, 'active', false])
  const path = `/people/${made.body.id}`
  assert.equal(made.headers.get('location'), `${issuer}/api/v1${path}`)
  assert.equal((await operator.manage('PATCH', path, { name: null, login: 'ada' })).body.login, 'ada')
  const found = await operator.manage('GET', '/people?login=ADA')
  assert.deepEqual(
    found.body.items.map((person: { id: string }) => person.id),
    [made.body.id],
  )
  assert.equal((await operator.manage('POST', `${path}/resume`, { reason: 'x' })).status, 409)
  assert.equal(
    (await operator.manage('POST', `${path}/suspend`, { reason: 'left' })).body.status,
    'suspended',
  )
  assert.equal((await operator.manage('POST', `${path}/resume`, { reason: 'back' })).body.status, 'active')
  assert.equal((await operator.manage('DELETE', path)).status, 204)
  assert.equal((await operator.manage('GET', path)).status, 404)
  const again = await operator.manage('POST', '/people', { login: 'ada' })
  assert.equal(again.status, 201)
  assert.notEqual(again.body.id, made.body.id)
})

test('two spellings of a login are one login, and a confusable one is none (threat C40)', async t => {
  const { operator } = await authority(t)
  await operator.manage('POST', '/people', { login: 'Ada' })
  const second = await operator.manage('POST', '/people', { login: 'Bob' })
  for (const login of ['ada', 'ADA', 'Ada']) {
    assert.equal((await operator.manage('POST', '/people', { login })).status, 409, login)
    assert.equal((await operator.manage('PATCH', `/people/${second.body.id}`, { login })).status, 409, login)
  }
  for (const login of ['аda', 'ａda', 'ada\u200b', 'a da', 'usr_ada', '', 'x'.repeat(129)]) {
    assert.equal((await operator.manage('POST', '/people', { login })).status, 422, JSON.stringify(login))
  }
  assert.equal((await operator.manage('PATCH', `/people/${second.body.id}`, { login: 'BOB' })).status, 200)
})

test('twenty who create one login at once make one person', async t => {
  const { operator } = await authority(t)
  await operator.manage('GET', '/people')
  const racers = Array.from({ length: 20 }, () => operator.manage('POST', '/people', { login: 'ada' }))
  const statuses = (await Promise.all(racers)).map(({ status }) => status).sort()
  assert.deepEqual(statuses, [201, ...Array(19).fill(409)])
  assert.equal((await operator.manage('GET', '/people')).body.items.length, 1)
})

test('a password is kept as scrypt, and is in no answer and no entry', async t => {
  const writ = await authority(t)
  const { operator } = writ
  const password = 'correct horse battery staple'
  const made = await operator.manage(
    'POST',
    '/people',
    { login: 'ada', password },
    { 'idempotency-key': 'once' },
  )
  assert.deepEqual([made.status, made.body.has_password], [201, true])
  const repeated = await operator.manage(
    'POST',
    '/people',
    { login: 'ada', password },
    { 'idempotency-key': 'once' },
  )
  assert.deepEqual(repeated.body, made.body)
  const other = await operator.manage(
    'POST',
    '/people',
    { login: 'ada', password: `${password}!` },
    { 'idempotency-key': 'once' },
  )
  assert.equal(other.status, 422)
  const events = await operator.manage('GET', '/events?limit=200')
  const stored = await writ.server.store.people.get({ tenant: 'default' as never }, made.body.id)
  const [, algorithm, cost, salt = '', hash = ''] = stored?.passwordHash?.split('$') ?? []
  assert.deepEqual([algorithm, cost], ['scrypt', 'ln=15,r=8,p=3'])
  const options = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 * 1024 * 1024 }
  const expected = scryptSync(password, Buffer.from(salt, 'base64'), 32, options)
  assert.deepEqual(Buffer.from(hash, 'base64'), expected)
  for (const spelling of [
    password,
    Buffer.from(password).toString('base64').slice(0, -4),
    Buffer.from(password).toString('hex'),
  ]) {
    assert.equal(JSON.stringify(events.body).includes(spelling), false)
  }
  for (const short of ['', 'short', 'x'.repeat(257), 7]) {
    const answer = await operator.manage('POST', '/people', { login: 'bob', password: short })
    assert.ok([400, 422].includes(answer.status))
  }
})

test('nobody who owns a living agent is deleted', async t => {
  const { operator } = await authority(t)
  const ada = await operator.manage('POST', '/people', { login: 'ada' })
  const agent = await operator.manage('POST', '/agents', { name: 'a', owner: ada.body.id, purpose: 'x' })
  const path = `/people/${ada.body.id}`
  assert.equal((await operator.manage('DELETE', path)).status, 409)
  await operator.manage('POST', `/agents/${agent.body.id}/suspend`, { reason: 'x' })
  assert.equal((await operator.manage('DELETE', path)).status, 409)
  await operator.manage('POST', `/agents/${agent.body.id}/retire`, { reason: 'x' })
  assert.equal((await operator.manage('DELETE', path)).status, 204)
})

test('a client has the members of RFC 7591 that mean something here, and no others (threat C37)', async t => {
  const { operator } = await authority(t)
  const key = generateKeyPair('ES256').verify.jwk
  const create = (members: Record<string, unknown>) =>
    operator.manage('POST', '/clients', { client_name: 'app', ...members })
  const made = await create({ jwks: { keys: [key] }, client_uri: 'https://app.example', contacts: ['Ada'] })
  assert.equal(made.status, 201)
  assert.deepEqual(
    [made.body.client_id, made.body.token_endpoint_auth_method],
    [made.body.id, 'private_key_jwt'],
  )
  assert.deepEqual(made.body.jwks.keys, [key])
  const wrong: Record<string, unknown>[] = [
    { client_id: 'cli_00000000000000000000000000' },
    { client_secret: 'x' },
    { scope: 'writ:*' },
    { grant_types: ['client_credentials'] },
    { token_endpoint_auth_method: 'client_secret_jwt' },
    {
      token_endpoint_auth_method: 'client_secret_basic',
      jwks: { keys: [generateKeyPair('ES256').verify.jwk] },
    },
    { token_endpoint_auth_method: 'private_key_jwt' },
    { token_endpoint_auth_method: 'none', jwks: { keys: [generateKeyPair('ES256').verify.jwk] } },
    { jwks_uri: 'https://app.example/jwks' },
    { jwks: { keys: [generateKeyPair('ES256').secret.reveal()] } },
    { grant_types: ['authorization_code'] },
    { response_types: ['code'] },
    { response_types: ['token'] },
    { client_uri: 'http://app.example' },
    { logo_uri: 'javascript:alert(1)' },
    { status: 'active' },
  ]
  for (const members of wrong) {
    const answer = await create(members)
    assert.ok([400, 422].includes(answer.status), `${JSON.stringify(members)}: ${answer.status}`)
  }
  for (const uri of [
    'http://app.example/cb',
    'https://app.example/cb#x',
    '/cb',
    'app:/cb',
    'javascript:alert(1)',
    'https://a@b.example/',
    'data:x',
  ]) {
    assert.equal((await create({ redirect_uris: [uri] })).status, 422, uri)
  }
  for (const uri of [
    'https://app.example/cb?x=1',
    'http://127.0.0.1:7/cb',
    'http://[::1]/cb',
    'http://localhost/cb',
    'com.example.app:/cb',
  ]) {
    const answer = await create({ redirect_uris: [uri] })
    assert.deepEqual([answer.status, answer.body.redirect_uris], [201, [uri]], uri)
  }
})

test('a new set of keys replaces the old one at once, and the rules of registration hold for every change', async t => {
  const writ = await authority(t)
  const { operator } = writ
  const [old, next] = [generateKeyPair('ES256'), generateKeyPair('ES256')]
  const made = await operator.manage('POST', '/clients', {
    client_name: 'rs',
    jwks: { keys: [old.verify.jwk] },
  })
  const path = `/clients/${made.body.id}`
  const { id } = await newAgent(writ, 'nobody')
  const asks = async (pair: typeof old) => {
    const party = writ.party(made.body.id, pair.secret.reveal() as unknown as Record<string, unknown>)
    const form = {
      token: id,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: party.assertion(),
    }
    return (await party.post('/introspect', form)).status
  }
  assert.deepEqual([await asks(old), await asks(next)], [200, 401])
  const both = await operator.manage('PATCH', path, { jwks: { keys: [old.verify.jwk, next.verify.jwk] } })
  assert.equal(both.body.jwks.keys.length, 2)
  assert.deepEqual([await asks(old), await asks(next)], [200, 200])
  await operator.manage('PATCH', path, { jwks: { keys: [next.verify.jwk] } })
  assert.deepEqual([await asks(old), await asks(next)], [401, 200])
  assert.equal((await operator.manage('PATCH', path, { jwks: { keys: [old.verify.jwk] } })).status, 409)
  assert.equal((await operator.manage('PATCH', path, { grant_types: ['authorization_code'] })).status, 422)
  await operator.manage('POST', `${path}/suspend`, { reason: 'x' })
  assert.equal(await asks(next), 401)
  await operator.manage('POST', `${path}/resume`, { reason: 'x' })
  assert.equal(await asks(next), 200)
  assert.equal((await operator.manage('DELETE', path)).status, 204)
  assert.deepEqual([await asks(next), (await operator.manage('GET', path)).status], [401, 404])
  const reused = await operator.manage('POST', '/clients', {
    client_name: 'rs',
    jwks: { keys: [next.verify.jwk] },
  })
  assert.equal(reused.status, 409)
})
