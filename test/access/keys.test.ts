// Keys of agents through the management API: one holder for ever, revoked at once, states that say what a key proves.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { authority } from '../harness/authority.ts'
import { newAgent } from './roles.ts'

const privately = (pair: ReturnType<typeof generateKeyPair>) =>
  pair.secret.reveal() as unknown as Record<string, unknown>

test('a registered key makes an instance of its own, and is shown with its window and last use', async t => {
  const writ = await authority(t)
  const { id } = await newAgent(writ, 'worker')
  const pair = generateKeyPair('Ed25519')
  const made = await writ.operator.manage('POST', `/agents/${id}/keys`, {
    jwk: { ...pair.verify.jwk, kid: 'second key/1' },
  })
  assert.equal(made.status, 201)
  assert.equal(made.headers.get('location'), `${writ.issuer}/api/v1/agents/${id}/keys/second%20key%2F1`)
  const keys = (await writ.operator.manage('GET', `/agents/${id}/keys`)).body.items
  assert.equal(new Set(keys.map((key: { instance: string }) => key.instance)).size, 2)
  assert.deepEqual(
    keys.map((key: { state: string }) => key.state),
    ['active', 'active'],
  )
  for (const key of keys) {
    assert.equal(key.last_used_at, null)
    assert.ok(Date.parse(key.expires_at) > writ.nowMs())
    assert.equal('d' in key.jwk, false)
  }
  const used = await writ.operator.manage('GET', `/agents/${writ.operator.clientId}/keys`)
  assert.ok(Math.abs(Date.parse(used.body.items[0].last_used_at) - writ.nowMs()) < 60_000)
})

test('weak, private, symmetric and foreign keys are refused, and the caller is told why', async t => {
  const writ = await authority(t)
  const { id } = await newAgent(writ, 'worker')
  const good = generateKeyPair('ES256').verify.jwk
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' })
  const bad: unknown[] = [
    privately(generateKeyPair('ES256')),
    { kty: 'oct', k: 'AAAA' },
    rsa,
    p384,
    { ...good, use: 'enc' },
    { ...good, alg: 'RS256' },
    { ...good, x: `${good.x}=` },
    { ...good, y: good.x },
    { ...good, kid: '' },
    {},
  ]
  for (const jwk of bad) {
    const answer = await writ.operator.manage('POST', `/agents/${id}/keys`, { jwk })
    assert.deepEqual([answer.status, answer.body.code], [422, 'invalid_key'], JSON.stringify(jwk))
  }
  for (const body of [
    {},
    { jwk: 'x' },
    { jwk: null },
    { jwk: good, instance: 'x' },
    { jwk: good, state: 'active' },
  ]) {
    assert.equal(
      (await writ.operator.manage('POST', `/agents/${id}/keys`, body)).status,
      400,
      JSON.stringify(body),
    )
  }
  assert.equal((await writ.operator.manage('GET', `/agents/${id}/keys`)).body.items.length, 1)
})

test('a key that somebody holds or held is nobody else’s, not even after its end', async t => {
  const writ = await authority(t)
  const first = await newAgent(writ, 'first')
  const second = await newAgent(writ, 'second')
  const { jwk, jkt } = first.pair.verify
  const taken = async (id: string) =>
    (await writ.operator.manage('POST', `/agents/${id}/keys`, { jwk })).status
  assert.deepEqual([await taken(first.id), await taken(second.id)], [409, 409])
  await writ.operator.manage('POST', `/agents/${first.id}/keys/${jkt}/revoke`, { reason: 'lost' })
  assert.deepEqual([await taken(first.id), await taken(second.id)], [409, 409])
  const twice = generateKeyPair('ES256').verify.jwk
  const both = await writ.operator.manage('POST', '/agents', {
    name: 'both',
    owner: writ.operator.clientId,
    purpose: 'x',
    jwks: { keys: [twice, twice] },
  })
  assert.equal(both.status, 409)
})

test('a name of a key is used once for an agent, and never the thumbprint of another key', async t => {
  const writ = await authority(t)
  const { id, pair } = await newAgent(writ, 'worker')
  const register = async (kid: string) =>
    (
      await writ.operator.manage('POST', `/agents/${id}/keys`, {
        jwk: { ...generateKeyPair('ES256').verify.jwk, kid },
      })
    ).status
  assert.deepEqual(
    [await register('a'), await register('a'), await register(pair.verify.jkt)],
    [201, 409, 409],
  )
})

test('a revoked key obtains nothing more, its tokens are dead, and the other instance goes on', async t => {
  const writ = await authority(t)
  const resource = `${writ.issuer}/api/v1`
  const { id, party, pair } = await newAgent(writ, 'worker')
  const other = generateKeyPair('ES256')
  await writ.operator.manage('POST', `/agents/${id}/keys`, { jwk: other.verify.jwk })
  const brother = writ.party(id, privately(other))
  await writ.operator.manage('POST', '/grants', {
    agent: id,
    resource,
    scopes: ['writ:agents:read'],
    reason: 'x',
  })
  const tokens = [await party.token(resource), await brother.token(resource)] as const
  const revoked = await writ.operator.manage('POST', `/agents/${id}/keys/${pair.verify.jkt}/revoke`, {
    reason: 'stolen',
  })
  assert.deepEqual(
    [revoked.status, revoked.body.state, revoked.body.state_reason],
    [200, 'revoked', 'stolen'],
  )
  assert.equal((await party.call('GET', `${resource}/agents`, { token: tokens[0] })).status, 401)
  assert.equal((await brother.call('GET', `${resource}/agents`, { token: tokens[1] })).status, 200)
  await assert.rejects(party.token(resource), /invalid_client/)
  const again = await writ.operator.manage('POST', `/agents/${id}/keys/${pair.verify.jkt}/revoke`, {
    reason: 'again',
  })
  assert.equal(again.status, 409)
})

test('a key past its end is shown as retired and proves nothing', async t => {
  const writ = await authority(t, { agentKeySeconds: 60 })
  const { id, party } = await newAgent(writ, 'worker')
  const forever = await writ.operator.manage('POST', `/agents/${id}/keys`, {
    jwk: generateKeyPair('ES256').verify.jwk,
    expires_at: null,
  })
  assert.equal(forever.body.expires_at, null)
  writ.advance(61)
  const keys = (await writ.operator.manage('GET', `/agents/${id}/keys`)).body.items
  assert.deepEqual(
    keys.map((key: { state: string }) => key.state),
    ['retired', 'active'],
  )
  await assert.rejects(party.token(`${writ.issuer}/api/v1`), /invalid_client/)
})

test('the keys of one agent are not found under another', async t => {
  const writ = await authority(t)
  const first = await newAgent(writ, 'first')
  const second = await newAgent(writ, 'second')
  const path = `/agents/${second.id}/keys/${first.pair.verify.jkt}`
  assert.equal((await writ.operator.manage('GET', path)).status, 404)
  assert.equal((await writ.operator.manage('POST', `${path}/revoke`, { reason: 'x' })).status, 404)
  assert.equal(
    (await writ.operator.manage('GET', `/agents/${first.id}/keys/${first.pair.verify.jkt}`)).body.state,
    'active',
  )
})
