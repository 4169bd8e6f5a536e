// Secrets of clients through the one API of rotations: two live, drained by use, a lost answer, an emergency, a straggler.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { configure, secretClient, statusOf } from '../harness/client.ts'
import { until } from '../harness/deadline.ts'

const see = async (writ: Authority, id: string) =>
  expect(await writ.operator.manage('GET', `/rotations/${id}`), 200)

const reaches = (writ: Authority, id: string, state: string) =>
  until(`the rotation is ${state}`, 30, async () => (await see(writ, id)).state === state)

const next = async (writ: Authority, id: string) =>
  expect(await writ.operator.manage('POST', `/clients/${id}/secrets`, { reason: 'routine' }), 201)

const statesOf = async (writ: Authority, id: string): Promise<string[]> => {
  const { items } = expect(await writ.operator.manage('GET', `/clients/${id}/secrets`), 200)
  return items.map(({ state }: { state: string }) => state)
}

test('the former secret works until nobody has used it for the drain window, and is retired then', async t => {
  const writ = await authority(t, { drainSeconds: 2 })
  const { id, secret } = await secretClient(writ, { contacts: ['ops@gate.example'] })
  assert.equal(await statusOf(writ, id, secret), 200)
  const made = await next(writ, id)
  const rotation = await see(writ, made.rotation)
  assert.deepEqual(
    [rotation.state, rotation.target, rotation.to, rotation.proof, rotation.reason, rotation.owner],
    ['active', id, made.id, 'last_use', 'routine', 'ops@gate.example'],
  )
  assert.equal(rotation.drain.users.length, 1)
  assert.ok(rotation.drain.users[0].caller.startsWith(`${id}@`))
  assert.deepEqual(await statesOf(writ, id), ['retiring', 'active'])
  // A straggler puts the end off.
  for (let at = 0; at < 8; at += 1) {
    assert.equal(await statusOf(writ, id, secret), 200)
    await pause(400)
  }
  assert.equal(await statusOf(writ, id, made.client_secret), 200)
  await reaches(writ, made.rotation, 'retired')
  assert.deepEqual(await statesOf(writ, id), ['retired', 'active'])
  assert.deepEqual(
    [await statusOf(writ, id, secret), await statusOf(writ, id, made.client_secret)],
    [401, 200],
  )
  const { items } = expect(await writ.operator.manage('GET', '/events?type=client_secret.retired'), 200)
  assert.deepEqual([items.length, items[0].reason, items[0].agent], [1, 'drained', id])
})

test('asking again for a secret that nobody has used replaces it, and two stay two', async t => {
  const writ = await authority(t)
  const { id, secret, registration } = await secretClient(writ)
  const update = (shown: string) =>
    configure(writ, 'PUT', registration, { client_id: id, client_secret: shown, client_name: 'gate' })
  const lost = expect(await update(secret), 200).client_secret
  const found = expect(await update(secret), 200).client_secret
  assert.notEqual(lost, found)
  assert.equal(await statusOf(writ, id, lost), 401)
  assert.deepEqual(await statesOf(writ, id), ['retiring', 'revoked', 'active'])
  const { items } = expect(await writ.operator.manage('GET', `/rotations?target=${id}`), 200)
  assert.deepEqual([items.length, items[0].state, items[0].reason], [1, 'active', 'self_service'])
  // Whoever shows the newest has it: it is used, whether or not it has proved anything yet.
  const shown = await update(found)
  assert.deepEqual([shown.status, shown.body.error], [409, 'conflict'])
  assert.deepEqual([await statusOf(writ, id, secret), await statusOf(writ, id, found)], [200, 200])
  for (const refused of [
    await update(secret),
    await writ.operator.manage('POST', `/clients/${id}/secrets`, {}),
  ]) {
    assert.equal(refused.status, 409)
  }
  assert.deepEqual(await statesOf(writ, id), ['retiring', 'revoked', 'active'])
})

test('a former secret that is still used at the limit blocks the rotation, and a person ends it', async t => {
  const writ = await authority(t, { drainSeconds: 2, drainLimitSeconds: 10 })
  const { id, secret } = await secretClient(writ)
  const made = await next(writ, id)
  await until('it is blocked', 60, async () => {
    assert.equal(await statusOf(writ, id, secret), 200)
    await pause(200)
    return (await see(writ, made.rotation)).state === 'blocked'
  })
  assert.equal(await statusOf(writ, id, made.client_secret), 200)
  const force = `/rotations/${made.rotation}/force`
  expect(await writ.operator.manage('POST', force, { reason: 'known straggler' }), 200)
  await reaches(writ, made.rotation, 'retired')
  assert.deepEqual(
    [await statusOf(writ, id, secret), await statusOf(writ, id, made.client_secret)],
    [401, 200],
  )
})

test('a new secret that is revoked leaves the former in use', async t => {
  const writ = await authority(t, { drainSeconds: 1 })
  const { id, secret } = await secretClient(writ)
  const made = await next(writ, id)
  const revoke = `/clients/${id}/secrets/${made.id}/revoke`
  expect(await writ.operator.manage('POST', revoke, { reason: 'leaked on its way' }), 200)
  const { state, problem } = await see(writ, made.rotation)
  assert.deepEqual([state, problem], ['failed', 'The new secret was revoked.'])
  assert.deepEqual(await statesOf(writ, id), ['active', 'revoked'])
  assert.equal(await statusOf(writ, id, secret), 200)
  const again = await next(writ, id)
  await reaches(writ, again.rotation, 'retired')
  assert.equal(await statusOf(writ, id, again.client_secret), 200)
})

test('nobody receives a secret that a schedule or a batch would make: it says where to ask', async t => {
  const writ = await authority(t)
  const { id } = await secretClient(writ)
  const refused = await writ.operator.manage('POST', '/rotations', { kind: 'client_secret', target: id })
  assert.equal(refused.status, 409)
  assert.match(refused.body.detail, new RegExp(`POST /clients/${id}/secrets`))
  const batch = expect(
    await writ.operator.manage('POST', '/rotations/batch', { kind: 'client_secret', reason: 'all' }),
    200,
  )
  assert.deepEqual([batch.items, batch.skipped.map(({ target }: { target: string }) => target)], [[], [id]])
  assert.deepEqual(await statesOf(writ, id), ['active'])
})

test('an emergency cuts the older secret at once, and lists what it could see and what was done with it', async t => {
  const writ = await authority(t)
  const { id, secret } = await secretClient(writ)
  await registerApi(writ, { introspection_clients: [id] })
  assert.equal(await statusOf(writ, id, secret), 200)
  const made = await next(writ, id)
  const asked = { kind: 'client_secret', target: id, reason: 'leaked', emergency: true }
  const cut = expect(await writ.operator.manage('POST', '/rotations', asked), 201)
  assert.deepEqual(
    [cut.state, cut.emergency, cut.proof, cut.to, cut.problem],
    ['retired', true, 'none', made.id, null],
  )
  assert.equal((await see(writ, made.rotation)).state, 'failed')
  assert.deepEqual(
    [await statusOf(writ, id, secret), await statusOf(writ, id, made.client_secret)],
    [401, 200],
  )
  const radius = expect(await writ.operator.manage('GET', `/rotations/${cut.id}/blast-radius`), 200)
  assert.deepEqual(radius.reach, [
    { kind: 'resource', name: 'https://api.example', detail: 'introspects its tokens' },
  ])
  const deeds = radius.deeds.map(({ type }: { type: string }) => type)
  assert.ok(deeds.includes('token.introspected'), String(deeds))
  // The only one that is left can be cut too; then an administrator makes the next.
  const last = expect(await writ.operator.manage('POST', '/rotations', asked), 201)
  assert.match(last.problem, /make the next/)
  assert.equal(await statusOf(writ, id, made.client_secret), 401)
  assert.equal((await writ.operator.manage('POST', '/rotations', asked)).status, 409)
  const fresh = await next(writ, id)
  assert.deepEqual([fresh.rotation, await statusOf(writ, id, fresh.client_secret)], [null, 200])
})
