// Secrets of clients under attack: other clients, dead secrets, two ways at once, encodings, lengths, names that look alike.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { expect, newAgent } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { basic, configure, postForm, secretClient, statusOf } from '../harness/client.ts'
import { assertionType } from '../harness/party.ts'
import { newPair } from './instances.ts'

const introspect = (writ: Authority, form: Record<string, string>, headers: Record<string, string> = {}) =>
  postForm(writ, '/introspect', { token: 'x', ...form }, headers)

test('the secret of one client proves no other, and a dead one proves nobody', async t => {
  const writ = await authority(t)
  const [one, other] = [await secretClient(writ), await secretClient(writ)]
  assert.deepEqual(
    [await statusOf(writ, one.id, one.secret), await statusOf(writ, one.id, other.secret)],
    [200, 401],
  )
  const next = expect(await writ.operator.manage('POST', `/clients/${one.id}/secrets`, {}), 201)
  const { items } = expect(await writ.operator.manage('GET', `/clients/${one.id}/secrets`), 200)
  assert.deepEqual(
    items.map(({ state }: { state: string }) => state),
    ['retiring', 'active'],
  )
  const revoke = `/clients/${one.id}/secrets/${items[0].id}/revoke`
  expect(await writ.operator.manage('POST', revoke, { reason: 'leaked' }), 200)
  assert.equal((await writ.operator.manage('POST', revoke, { reason: 'again' })).status, 409)
  assert.deepEqual(
    [await statusOf(writ, one.id, one.secret), await statusOf(writ, one.id, next.client_secret)],
    [401, 200],
  )
  // By the id of its secret under another client there is nothing.
  const foreign = `/clients/${other.id}/secrets/${next.id}/revoke`
  assert.equal((await writ.operator.manage('POST', foreign, { reason: 'x' })).status, 404)
})

test('a suspended client proves nothing by its secret, and a deleted one never again', async t => {
  const writ = await authority(t)
  const { id, secret } = await secretClient(writ)
  const status = () => statusOf(writ, id, secret)
  assert.equal(await status(), 200)
  expect(await writ.operator.manage('POST', `/clients/${id}/suspend`, { reason: 'x' }), 200)
  assert.equal(await status(), 401)
  expect(await writ.operator.manage('POST', `/clients/${id}/resume`, { reason: 'x' }), 200)
  assert.equal(await status(), 200)
  expect(await writ.operator.manage('DELETE', `/clients/${id}`), 204)
  assert.equal(await status(), 401)
})

test('an agent has no secret: none can be made, and its id with one is nobody', async t => {
  const writ = await authority(t)
  const agent = await newAgent(writ)
  const { id, secret } = await secretClient(writ)
  const body = { reason: 'x' }
  assert.equal((await writ.operator.manage('POST', `/clients/${agent.clientId}/secrets`, body)).status, 404)
  const begun = { kind: 'client_secret', target: agent.clientId, emergency: true }
  assert.equal((await writ.operator.manage('POST', '/rotations', begun)).status, 404)
  for (const name of [agent.clientId, writ.operator.clientId, id.replace('cli_', 'agt_')]) {
    assert.equal(await statusOf(writ, name, secret), 401)
    assert.equal((await introspect(writ, { client_id: name, client_secret: secret })).status, 401)
  }
  const members = { name: 'a', owner: writ.operator.clientId, purpose: 'x' }
  for (const extra of [{ token_endpoint_auth_method: 'client_secret_basic' }, { client_secret: 'x' }])
    assert.equal((await writ.operator.manage('POST', '/agents', { ...members, ...extra })).status, 400)
})

test('a client obtains no token by its secret', async t => {
  const writ = await authority(t)
  const { id, secret } = await secretClient(writ)
  const form = { grant_type: 'client_credentials', resource: `${writ.issuer}/api/v1`, scope: 'writ:*' }
  const { status, body } = await postForm(writ, '/token', form, { authorization: basic(id, secret) })
  assert.deepEqual([status, body.error], [400, 'unauthorized_client'])
})

test('two ways in one request are refused, in every pair and whichever is right', async t => {
  const writ = await authority(t)
  const { id, secret } = await secretClient(writ)
  const agent = await newAgent(writ)
  const header = { authorization: basic(id, secret) }
  const posted = { client_id: id, client_secret: secret }
  const signed = () => ({ client_assertion_type: assertionType, client_assertion: agent.assertion() })
  for (const [form, headers] of [
    [posted, header],
    [{ client_secret: 'x' }, header],
    [signed(), header],
    [{ ...signed(), client_secret: secret }, {}],
    [posted, { authorization: 'Bearer x' }],
    [posted, { authorization: 'Digest x' }],
    [signed(), { authorization: 'Basic' }],
    [{ client_assertion_type: assertionType }, header],
  ] as const) {
    const { status, body } = await introspect(writ, form, headers)
    assert.deepEqual([status, body.error], [400, 'invalid_request'], JSON.stringify([form, headers]))
  }
  // A client_id beside the header must be the same client.
  assert.equal((await introspect(writ, { client_id: agent.clientId }, header)).status, 401)
})

test('a client proves itself in its registered way alone, also with what it had before', async t => {
  const writ = await authority(t)
  const pair = newPair()
  const jwks = { keys: [pair.verify.jwk] }
  const { id, secret } = await secretClient(writ)
  const path = `/clients/${id}`
  const keyed = { token_endpoint_auth_method: 'private_key_jwt', jwks }
  expect(await writ.operator.manage('PATCH', path, keyed), 200)
  assert.equal(await statusOf(writ, id, secret), 401)
  assert.equal((await writ.operator.manage('POST', `${path}/secrets`, {})).status, 409)
  expect(
    await writ.operator.manage('PATCH', path, { token_endpoint_auth_method: 'client_secret_basic' }),
    200,
  )
  // What ended with the move does not come back with it.
  assert.equal(await statusOf(writ, id, secret), 401)
  const party = writ.party(id, pair.secret.reveal() as unknown as Record<string, unknown>)
  const signed = { client_assertion_type: assertionType, client_assertion: party.assertion() }
  assert.equal((await introspect(writ, signed)).status, 401)
  const next = expect(await writ.operator.manage('POST', `${path}/secrets`, {}), 201)
  assert.deepEqual([next.rotation, await statusOf(writ, id, next.client_secret)], [null, 200])
})

test('no encoding, length or look-alike makes a credential of what is none', async t => {
  const writ = await authority(t)
  const { id, secret } = await secretClient(writ)
  const raw = (bytes: string | Uint8Array) => `Basic ${Buffer.from(bytes).toString('base64')}`
  const good = basic(id, secret)
  const twice = (text: string) => text.replaceAll('_', '%255F')
  const bad = [
    raw(`${twice(id)}:${twice(secret)}`),
    raw(`${id}%:${secret}`),
    raw(`${id}%0:${secret}`),
    raw(`${id}%GG:${secret}`),
    raw(`${id}%00:${secret}`),
    raw(`${id}%ff:${secret}`),
    raw(`${id}%C0%80:${secret}`),
    raw(`${id}+:${secret}`),
    raw(`${id}:${secret}+`),
    raw(`${id} :${secret}`),
    raw(`${id}:${secret}:`),
    raw(`${id}%3A${secret}`),
    raw(`${id}\0:${secret}`),
    raw(`\ufeff${id}:${secret}`),
    raw(`${id}:${secret}\n`),
    raw(Buffer.concat([Buffer.from(`${id}:`), Buffer.from([0xff, 0xfe]), Buffer.from(secret)])),
    raw(`${id.toUpperCase()}:${secret}`),
    raw(`${id.replace('cli_', 'сli_')}:${secret}`),
    raw(`${id.replace('_', '\uff3f')}:${secret}`),
    raw(`${id}:`),
    raw(`:${secret}`),
    raw(':'),
    raw(`${id}:${'x'.repeat(257)}`),
    raw(`${'c'.repeat(1500)}:${secret}`),
    raw(`${id}:${'%41'.repeat(400)}`),
    good.replace(/=*$/, ''),
    `${good}=`,
    `${good} `,
    good.replace('Basic ', 'Basic  '),
    good.replace('Basic ', 'Basic\t'),
    `Basic ${Buffer.from(`${id}:${secret}x`).toString('base64url')}`,
    `Basic ${'A'.repeat(9000)}`,
    `Basic ${good.slice('Basic '.length)}, ${good}`,
  ]
  for (const authorization of bad) {
    // Headers of bytes beyond ASCII do not reach us as text; what the runtime lets through is refused.
    const answer = await introspect(writ, {}, { authorization })
    const isSame = authorization === good || authorization.trimEnd() === good
    assert.equal(answer.status, isSame ? 200 : 401, JSON.stringify(authorization))
  }
  for (const form of [
    { client_id: id },
    { client_secret: secret },
    { client_id: id, client_secret: `${secret} ` },
    { client_id: id, client_secret: 'x'.repeat(5000) },
    { client_id: `${id}\0`, client_secret: secret },
    { client_id: '__proto__', client_secret: secret },
  ]) {
    assert.equal((await introspect(writ, form)).status, 401, JSON.stringify(form))
  }
})

test('whoever guesses is nobody: counted by address, never a line of the client’s', async t => {
  const writ = await authority(t, { noiseSeconds: 1 })
  const { id, secret } = await secretClient(writ)
  for (let at = 0; at < 5; at += 1) await statusOf(writ, id, `writ_cs_${'A'.repeat(42)}${at}`)
  const { items } = expect(await writ.operator.manage('GET', '/events?type=token.introspected'), 200)
  assert.deepEqual(items, [])
  // Who has the secret and is refused stands in the log by its name, with the secret that it showed.
  expect(await writ.operator.manage('POST', `/clients/${id}/suspend`, { reason: 'x' }), 200)
  await statusOf(writ, id, secret)
  const { items: known } = expect(await writ.operator.manage('GET', `/events?agent=${id}`), 200)
  const refused = known.filter((one: { outcome: string }) => one.outcome === 'refused')
  assert.equal(refused.length, 1)
  assert.match(refused[0].decision.client_secret, /^csc_/)
  assert.ok(!JSON.stringify(known).includes(secret))
})

test('an unknown client, a wrong secret and a client without one cost the same reads of the store', async t => {
  const reads: string[] = []
  const writ = await authority(t, {
    around: {
      wrapStore: store => ({
        ...store,
        facts: {
          ...store.facts,
          caller: (...asked) => {
            reads.push('facts')
            return store.facts.caller(...asked)
          },
        },
      }),
    },
  })
  const { id } = await secretClient(writ)
  const keyed = { client_name: 'k', jwks: { keys: [generateKeyPair('ES256').verify.jwk] } }
  const bare = expect(await writ.operator.manage('POST', '/clients', keyed), 201).id
  const wrong = `writ_cs_${'A'.repeat(43)}`
  const costs = new Set<number>()
  for (const name of [id, bare, `cli_${'0'.repeat(26)}`]) {
    reads.length = 0
    assert.equal(await statusOf(writ, name, wrong), 401)
    costs.add(reads.length)
  }
  assert.deepEqual(costs, new Set([1]))
})

test('twenty who ask for the next secret at once leave two that live', async t => {
  const writ = await authority(t)
  const { id, secret, registration } = await secretClient(writ)
  const update = { client_id: id, client_secret: secret, client_name: 'gate' }
  const asked = await Promise.all(
    Array.from({ length: 20 }, (_, at) =>
      at % 2 === 0
        ? writ.operator.manage('POST', `/clients/${id}/secrets`, {})
        : configure(writ, 'PUT', registration, update),
    ),
  )
  const made = asked.filter(({ status }) => status === 200 || status === 201)
  assert.ok(made.length > 0)
  for (const { status } of asked) assert.ok([200, 201, 409, 503].includes(status), String(status))
  const statuses = await Promise.all(made.map(({ body }) => statusOf(writ, id, body.client_secret)))
  assert.equal(statuses.filter(status => status === 200).length, 1)
  assert.equal(await statusOf(writ, id, secret), 200)
  const { items } = expect(await writ.operator.manage('GET', `/clients/${id}/secrets`), 200)
  const live = items.filter(({ state }: { state: string }) => state === 'active' || state === 'retiring')
  assert.equal(live.length, 2)
})
