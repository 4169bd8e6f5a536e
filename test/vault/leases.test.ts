// Values that are made for one holder at a real PostgreSQL: nobody else has them, and they end with their lease.
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { type Cluster, startPostgres } from '@writ/server/testing'
import pg from 'pg'
import { expect, newAgent } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'
import type { Answer, Party } from '../harness/party.ts'
import { allOf, grantSecret } from './secrets.ts'

let cluster: Cluster
before(async () => {
  cluster = await startPostgres({ databases: 16, auth: 'scram-sha-256' })
})
after(() => cluster.close())

let scenes = 0

interface Scene {
  readonly writ: Authority
  readonly agent: Party
  readonly superuser: pg.Client
  /** Of the roles that leases make. */
  readonly base: string
}

async function scene(t: TestContext): Promise<Scene> {
  const writ = await authority(t)
  const root = cluster.database()
  const superuser = new pg.Client({ connectionString: root })
  await superuser.connect()
  t.after(() => superuser.end())
  scenes += 1
  const [maker, readers, base] = [`maker${scenes}`, `lreaders${scenes}`, `task${scenes}`]
  await superuser.query(`create role ${maker} login createrole password 'test-only'`)
  await superuser.query(`grant pg_monitor, pg_signal_backend to ${maker}`)
  await superuser.query(`create role ${readers}`)
  await superuser.query(`grant ${readers} to ${maker} with admin option`)
  const value = Object.assign(new URL(root), { username: maker, password: 'test-only' }).href
  const agent = await newAgent(writ)
  const make = async (body: object) => expect(await writ.operator.manage('POST', '/secrets', body), 201)
  await make({ name: 'upstream', value, consumers: ['task'] })
  const rotator = { kind: 'postgres-dynamic', options: { admin: 'upstream', base, memberOf: [readers] } }
  await make({ name: 'task', consumers: [agent.clientId], lease_seconds: 120, rotator })
  await grantSecret(writ, agent.clientId, 'task')
  return { writ, agent, superuser, base }
}

async function ask(writ: Authority, agent: Party, body: object = {}): Promise<Answer> {
  const url = `${writ.issuer}/vault/task`
  return agent.call('POST', url, { token: await agent.token(url, 'secret:read'), body })
}

async function works(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url })
  try {
    await client.connect()
    await client.query('select 1')
    return true
  } catch {
    return false
  } finally {
    await client.end()
  }
}

const rolesOf = async ({ superuser, base }: Scene): Promise<number> =>
  (await superuser.query(`select 1 from pg_roles where rolname like 'writ_${base}_%'`)).rows.length

const isGone = (known: Scene, url: string) =>
  until('the role is gone', 20, async () => (await rolesOf(known)) === 0 && !(await works(url)))

test('a lease is a role of its own that works, and ends when its time is over', async t => {
  const known = await scene(t)
  const { writ, agent } = known
  const [one, two] = await Promise.all([ask(writ, agent, { ttl_seconds: 3 }), ask(writ, agent)])
  const short = expect(one, 201)
  const long = expect(two, 201)
  assert.equal(one.headers.get('cache-control'), 'no-store')
  assert.deepEqual([await works(short.value), await works(long.value)], [true, true])
  assert.notEqual(short.value, long.value)
  await until('the short one is gone', 20, async () => (await rolesOf(known)) === 1)
  assert.deepEqual([await works(short.value), await works(long.value)], [false, true])
  const { items } = expect(await writ.operator.manage('GET', '/secrets/task/leases'), 200)
  const states = Object.fromEntries(
    items.map((lease: Record<string, string>) => [lease['id'], lease['state']]),
  )
  assert.deepEqual([states[short.lease], states[long.lease]], ['ended', 'live'])
  const password = new URL(long.value).password
  const shown = JSON.stringify([items, await allOf(writ, '/events')])
  assert.doesNotMatch(shown, new RegExp(password))
})

test('a lease is asked for within bounds, and a secret of leases is not read', async t => {
  const known = await scene(t)
  const { writ, agent } = known
  const url = `${writ.issuer}/vault/task`
  const token = await agent.token(url, 'secret:read')
  const answers = [
    await ask(writ, agent, { ttl_seconds: 121 }),
    await ask(writ, agent, { ttl_seconds: 0 }),
    await ask(writ, agent, { ttl_seconds: '5' }),
    await ask(writ, agent, { ttl: 5 }),
    await agent.call('GET', url, { token }),
  ]
  assert.deepEqual(
    answers.map(({ status }) => status),
    [422, 400, 400, 400, 409],
  )
  const leased = expect(await writ.operator.manage('GET', '/events?type=secret.leased'), 200).items
  assert.deepEqual(
    leased.map(({ decision }: { decision: { rule: string } }) => decision.rule),
    ['ttl', 'ttl', 'ttl', 'unknown_member'],
    'each is an entry, also where its body is malformed',
  )
  assert.equal(await rolesOf(known), 0)
  const other = await newAgent(writ)
  await grantSecret(writ, other.clientId, 'task')
  assert.equal((await ask(writ, other)).status, 403)
  assert.equal(await rolesOf(known), 0)
})

test('its holder gives a lease back, and nobody else does', async t => {
  const known = await scene(t)
  const { writ, agent } = known
  const { value, lease } = expect(await ask(writ, agent), 201)
  const other = await newAgent(writ)
  const consumers = [agent.clientId, other.clientId]
  expect(await writ.operator.manage('PATCH', '/secrets/task', { consumers }), 200)
  await grantSecret(writ, other.clientId, 'task')
  const resource = `${writ.issuer}/vault/task`
  const end = async (who: Party) =>
    who.call('DELETE', `${resource}/leases/${lease}`, { token: await who.token(resource, 'secret:read') })
  assert.equal((await end(other)).status, 404)
  assert.equal(await works(value), true)
  assert.equal((await end(agent)).status, 204)
  await isGone(known, value)
  assert.equal((await end(agent)).status, 204)
})

const endings: Record<string, (known: Scene, lease: string) => Promise<Answer>> = {
  'its agent is suspended': ({ writ, agent }) =>
    writ.operator.manage('POST', `/agents/${agent.clientId}/suspend`, { reason: 'x' }),
  'its agent is retired': ({ writ, agent }) =>
    writ.operator.manage('POST', `/agents/${agent.clientId}/retire`, { reason: 'x' }),
  'the grant is taken back': async ({ writ, agent }) => {
    const { items } = expect(await writ.operator.manage('GET', `/grants?agent=${agent.clientId}`), 200)
    return writ.operator.manage('DELETE', `/grants/${items[0].id}`)
  },
  'its agent is no consumer any more': ({ writ }) =>
    writ.operator.manage('PATCH', '/secrets/task', { consumers: [] }),
  'the secret is retired': ({ writ }) =>
    writ.operator.manage('POST', '/secrets/task/retire', { reason: 'x' }),
  'its key is halted': async ({ writ, agent }) => {
    const body = { kind: 'key', target: agent.key.jkt, reason: 'x' }
    return { ...(await writ.operator.manage('POST', '/halts', body)), status: 200 }
  },
  'it is revoked': ({ writ }, lease) =>
    writ.operator.manage('POST', `/secrets/task/leases/${lease}/revoke`, { reason: 'x' }),
}

for (const [what, end] of Object.entries(endings)) {
  test(`a lease ends upstream within seconds when ${what}, sessions included`, async t => {
    const known = await scene(t)
    const { value, lease } = expect(await ask(known.writ, known.agent), 201)
    const session = new pg.Client({ connectionString: value })
    session.on('error', () => {})
    await session.connect()
    t.after(() => session.end())
    // Another that has nothing to do with it stays.
    const ended = await end(known, lease)
    assert.ok(ended.status === 200 || ended.status === 204, JSON.stringify(ended.body))
    await isGone(known, value)
    await assert.rejects(session.query('select 1'))
  })
}

test('an upstream that refuses gives no value and leaves no role, and the log says so', async t => {
  const known = await scene(t)
  const { writ, agent, superuser } = known
  await superuser.query(`alter role maker${scenes} nocreaterole`)
  const answer = await ask(writ, agent)
  assert.ok(answer.status === 409 || answer.status === 503, JSON.stringify(answer.body))
  assert.equal(await rolesOf(known), 0)
  const { items } = expect(await writ.operator.manage('GET', '/secrets/task/leases'), 200)
  assert.equal(items.length, 1)
  assert.ok(['ending', 'ended'].includes(items[0].state))
  assert.equal(
    expect(await writ.operator.manage('GET', '/events?type=secret.lease_failed'), 200).items.length,
    1,
  )
})

test('twenty leases at once are twenty roles, and all of them end with their agent', async t => {
  const known = await scene(t)
  const { writ, agent } = known
  const url = `${writ.issuer}/vault/task`
  const token = await agent.token(url, 'secret:read')
  const many = Array.from({ length: 20 }, () => agent.call('POST', url, { token, body: {} }))
  const values = (await Promise.all(many)).map(answer => expect(answer, 201).value)
  assert.equal(new Set(values).size, 20)
  assert.equal(await rolesOf(known), 20)
  expect(await writ.operator.manage('POST', `/agents/${agent.clientId}/suspend`, { reason: 'x' }), 200)
  await until('all are gone', 30, async () => (await rolesOf(known)) === 0)
})
