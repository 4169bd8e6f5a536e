// Secrets through the management API: put in, listed, changed, given anew and retired; their values never come back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expect, newAgent } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'
import { allOf, canary, grantSecret, newSecret } from './secrets.ts'

test('a secret goes in with its value, and nothing that is answered has it', async t => {
  const writ = await authority(t)
  const value = canary()
  const made = await writ.operator.manage('POST', '/secrets', {
    name: 'mail-key',
    description: 'The key of the mail service',
    labels: { env: 'prod' },
    lease_seconds: 60,
    value,
  })
  const secret = expect(made, 201)
  assert.deepEqual(
    [secret.uri, secret.owner, secret.status, secret.rotator, secret.consumers],
    [`${writ.issuer}/vault/mail-key`, writ.operator.clientId, 'active', null, []],
  )
  const seen = await Promise.all(
    ['', '/mail-key', `/${secret.id}`, '/mail-key/versions', '/mail-key/leases'].map(path =>
      writ.operator.manage('GET', `/secrets${path}`),
    ),
  )
  for (const answer of [made, ...seen]) {
    assert.ok(answer.status < 300, JSON.stringify(answer.body))
    assert.doesNotMatch(JSON.stringify(answer.body), new RegExp(value))
  }
  assert.equal(seen[1]?.body.id, secret.id)
  const [version] = seen[3]?.body.items ?? []
  assert.deepEqual([version.number, version.state, version.last_used_at], [1, 'active', null])
  assert.doesNotMatch(JSON.stringify(await allOf(writ, '/events')), new RegExp(value))
})

test('a name is taken for ever, also by a secret that is retired, and an identifier is no name', async t => {
  const writ = await authority(t)
  await newSecret(writ, { name: 'one' })
  const again = () => writ.operator.manage('POST', '/secrets', { name: 'one', value: 'x' })
  assert.equal((await again()).status, 409)
  expect(await writ.operator.manage('POST', '/secrets/one/retire', { reason: 'over' }), 200)
  assert.equal((await again()).status, 409)
  const refused = [
    'One',
    '..',
    'a..b',
    '-a',
    'a/b',
    'a%2fb',
    'é',
    'ａ',
    '',
    'a'.repeat(65),
    `sec_${'0'.repeat(26)}`,
    `agt_${'0'.repeat(26)}`,
  ]
  for (const name of refused) {
    const answer = await writ.operator.manage('POST', '/secrets', { name, value: 'x' })
    assert.equal(answer.status, 422, name)
  }
})

test('a value that is refused is not told: too long, none, or for a rotator that is not there', async t => {
  const writ = await authority(t)
  const value = canary()
  const bodies = [
    { name: 'a', value: value.padEnd(8193, 'x') },
    { name: 'a', value: value + 'é'.repeat(4090) },
    { name: 'a' },
    { name: 'a', value, rotator: { kind: value, options: {} } },
    {
      name: 'a',
      value,
      rotator: { kind: 'redis-acl', options: { admin: value, user: value, rules: [value] } },
    },
    { name: 'a', value, lease_seconds: 0 },
    { name: 'a', value, consumers: ['agt_nobody!'] },
    { name: 'a', value, extra: value },
  ]
  for (const body of bodies) {
    const answer = await writ.operator.manage('POST', '/secrets', body)
    assert.ok(answer.status === 400 || answer.status === 422, JSON.stringify(answer.body))
    assert.doesNotMatch(JSON.stringify(answer.body), new RegExp(value))
  }
  assert.doesNotMatch(JSON.stringify(await allOf(writ, '/events')), new RegExp(value))
})

test('the resource of a secret is changed and deleted with the secret alone, and no other takes its place', async t => {
  const writ = await authority(t)
  const { uri } = await newSecret(writ, { name: 'one' })
  const { items } = expect(
    await writ.operator.manage('GET', `/resources?identifier=${encodeURIComponent(uri)}`),
    200,
  )
  const [resource] = items
  assert.deepEqual([resource.bearer_allowed, resource.scopes[0].name], [false, 'secret:read'])
  const path = `/resources/${resource.id}`
  const attempts = [
    await writ.operator.manage('PATCH', path, { bearer_allowed: true }),
    await writ.operator.manage('DELETE', path),
    await writ.operator.manage('POST', '/resources', {
      identifier: `${writ.issuer}/vault/two`,
      name: 'Mine',
      scopes: [{ name: 'secret:read', description: 'x' }],
      bearer_allowed: true,
    }),
  ]
  assert.deepEqual(
    attempts.map(({ status, body }) => [status, body.code]),
    attempts.map(() => [403, 'access_denied']),
  )
})

test('a person gives the next version: it is in use at once, and the former drains', async t => {
  const writ = await authority(t, { drainSeconds: 1 })
  await newSecret(writ, { name: 'one' })
  const next = expect(await writ.operator.manage('POST', '/secrets/one/versions', { value: canary() }), 201)
  assert.deepEqual([next.number, next.state], [2, 'active'])
  const rotation = expect(await writ.operator.manage('GET', `/rotations/${next.rotation}`), 200)
  assert.deepEqual([rotation.kind, rotation.state, rotation.to], ['secret', 'active', next.id])
  await until('the former is retired', 20, async () => {
    const { items } = expect(await writ.operator.manage('GET', '/secrets/one/versions'), 200)
    return items.map(({ state }: { state: string }) => state).join() === 'retired,active'
  })
  const begun = await writ.operator.manage('POST', '/rotations', { kind: 'secret', target: next.secret })
  assert.deepEqual([begun.status, begun.body.code], [409, 'conflict'])
})

test('a retired secret takes its grants and versions with it, and is changed no more', async t => {
  const writ = await authority(t)
  const { id } = await newSecret(writ, { name: 'one' })
  const agent = await newAgent(writ)
  const grant = await grantSecret(writ, agent.clientId, 'one')
  const retired = expect(await writ.operator.manage('POST', '/secrets/one/retire', { reason: 'over' }), 200)
  assert.deepEqual([retired.id, retired.status], [id, 'retired'])
  assert.equal(expect(await writ.operator.manage('GET', `/grants/${grant}`), 200).status, 'revoked')
  const { items } = expect(await writ.operator.manage('GET', '/secrets/one/versions'), 200)
  assert.deepEqual(
    items.map(({ state }: { state: string }) => state),
    ['retired'],
  )
  const attempts = [
    await writ.operator.manage('PATCH', '/secrets/one', { description: 'x' }),
    await writ.operator.manage('POST', '/secrets/one/versions', { value: 'x' }),
    await writ.operator.manage('POST', '/secrets/one/retire', { reason: 'x' }),
    await writ.operator.manage('POST', '/rotations', { kind: 'secret', target: id }),
  ]
  for (const { status } of attempts) assert.equal(status, 409)
})
