// The keys of the vault rotate online: nothing is left under the old one, at either level, and everything still opens.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, expect, grant, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'

const begin = (writ: Authority, kind: string, more: Record<string, unknown> = {}) =>
  writ.operator.manage('POST', '/rotations', { kind, reason: 'test', ...more })

async function ended(writ: Authority, id: string) {
  return until('the rotation has ended', 60, async () => {
    const rotation = expect(await writ.operator.manage('GET', `/rotations/${id}`), 200)
    assert.ok(!['blocked', 'failed'].includes(rotation.state), rotation.problem)
    return rotation.state === 'retired' && rotation
  })
}

test('a tenant key and then the root rotate while tokens are issued, and nothing is left under either', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ)
  await grant(writ, agent.clientId, ['read'])
  const tenant = expect(await begin(writ, 'tenant_key'), 201)
  assert.equal(tenant.proof, 'no_records')
  assert.equal((await begin(writ, 'tenant_key')).status, 409)
  const root = expect(await begin(writ, 'root_key'), 201)
  for (let call = 0; call < 20; call += 1) expect(await agent.tokenRequest({ resource: api }), 200)
  const done = await ended(writ, root.id)
  assert.notEqual(done.from, done.to)
  await ended(writ, tenant.id)
  expect(await agent.tokenRequest({ resource: api }), 200)
  const { items } = expect(await writ.operator.manage('GET', '/events?type=vault_key.retired'), 200)
  assert.deepEqual(
    items.map(({ decision }: { decision: Record<string, string> }) => decision['vault_key']),
    [tenant.from],
  )
})

test('a tenant key that is not in use yet can be given up', async t => {
  const writ = await authority(t)
  const { id } = expect(await begin(writ, 'tenant_key'), 201)
  expect(await writ.operator.manage('POST', `/rotations/${id}/cancel`, { reason: 'not now' }), 200)
  await until('it was given up', 20, async () => {
    const { state } = expect(await writ.operator.manage('GET', `/rotations/${id}`), 200)
    return state === 'failed'
  })
  await ended(writ, expect(await begin(writ, 'tenant_key', { emergency: true }), 201).id)
})

test('a key of the vault is not ended by force in any state: what is under it would be lost', async t => {
  const writ = await authority(t)
  for (const kind of ['tenant_key', 'root_key']) {
    const { id } = expect(await begin(writ, kind), 201)
    const force = () =>
      writ.operator.manage('POST', `/rotations/${id}/force`, { reason: 'will not wait for it' })
    const refused = expect(await force(), 409)
    assert.equal(refused.code, 'conflict')
    assert.match(refused.detail, /would be lost/)
    await ended(writ, id)
    assert.match(expect(await force(), 409).detail, /would be lost/)
    const { items } = expect(await writ.operator.manage('GET', '/events?type=rotation.forced'), 200)
    assert.ok(items.every(({ outcome }: { outcome: string }) => outcome === 'refused'))
    assert.ok(items.length > 0)
  }
})
