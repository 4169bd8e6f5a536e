// Secrets that rotate themselves at a real PostgreSQL: made, handed out, rotated under reads, drained, cut, given up.
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import { type Cluster, startPostgres } from '@writ/server/testing'
import pg from 'pg'
import { expect, newAgent } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'
import { grantSecret, readSecret } from './secrets.ts'

let cluster: Cluster
before(async () => {
  cluster = await startPostgres({ databases: 5, auth: 'scram-sha-256' })
})
after(() => cluster.close())

let roles = 0

/** A database with an administrator of roles, whose URL is a secret; and one secret that is rotated by it. */
async function scene(t: TestContext, options: Parameters<typeof authority>[1] = {}) {
  const writ = await authority(t, { drainSeconds: 1, ...options })
  const root = cluster.database()
  const superuser = new pg.Client({ connectionString: root })
  await superuser.connect()
  t.after(() => superuser.end())
  roles += 1
  const [rotator, readers, role] = [`rotator${roles}`, `readers${roles}`, `app${roles}`]
  await superuser.query(`create role ${rotator} login createrole password 'test-only'`)
  await superuser.query(`grant pg_monitor, pg_signal_backend to ${rotator}`)
  await superuser.query(`create role ${readers}`)
  await superuser.query(`grant ${readers} to ${rotator} with admin option`)
  const value = Object.assign(new URL(root), { username: rotator, password: 'test-only' }).href
  const agent = await newAgent(writ)
  await made(writ, { name: 'upstream', value, consumers: ['app'] })
  const rotating = { kind: 'postgres-role', options: { admin: 'upstream', role, memberOf: [readers] } }
  const app = { name: 'app', consumers: [agent.clientId], lease_seconds: 1, rotator: rotating }
  const { id } = await made(writ, app)
  await grantSecret(writ, agent.clientId, 'app')
  return { writ, agent, id, superuser, role }
}

const made = async (writ: Authority, body: object) =>
  expect(await writ.operator.manage('POST', '/secrets', body), 201)

const versionsOf = async (writ: Authority): Promise<{ id: string; state: string; handle: string }[]> =>
  expect(await writ.operator.manage('GET', '/secrets/app/versions'), 200).items

const statesAre = (writ: Authority, states: string) =>
  until(
    `the versions are ${states}`,
    40,
    async () => (await versionsOf(writ)).map(({ state }) => state).join() === states,
  )

async function userOf(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query('select current_user as who')).rows[0].who
  } finally {
    await client.end()
  }
}

const rotate = async (writ: Authority, target: string, members: object = {}) =>
  writ.operator.manage('POST', '/rotations', { kind: 'secret', target, ...members })

test('the rotator makes the first version, rotates it under reads, and withdraws the former once it is drained', async t => {
  const { writ, agent, id, superuser, role } = await scene(t)
  await statesAre(writ, 'active')
  const first = expect(await readSecret(writ, agent, 'app'), 200)
  assert.equal(await userOf(first.value), `${role}_a`)
  const begun = expect(await rotate(writ, id), 201)
  assert.deepEqual(
    [begun.state, begun.from, begun.proof],
    ['staged', (await versionsOf(writ))[0]?.id, 'live_sessions'],
  )
  // Whoever reads is never without one that works.
  let reads = 0
  await until('the rotation has ended', 40, async () => {
    const read = expect(await readSecret(writ, agent, 'app'), 200)
    await userOf(read.value)
    reads += 1
    const { state } = expect(await writ.operator.manage('GET', `/rotations/${begun.id}`), 200)
    return state === 'retired'
  })
  assert.ok(reads > 1)
  assert.deepEqual(
    (await versionsOf(writ)).map(({ state }) => state),
    ['retired', 'active'],
  )
  await assert.rejects(userOf(first.value))
  const next = expect(await readSecret(writ, agent, 'app'), 200)
  assert.deepEqual([next.version, await userOf(next.value)], [2, `${role}_b`])
  const { rows } = await superuser.query(
    `select rolname from pg_roles where rolcanlogin and rolname like '${role}%'`,
  )
  assert.deepEqual(
    rows.map(({ rolname }) => rolname),
    [`${role}_b`],
  )
})

test('the former is not withdrawn while somebody is connected with it, unless a person ends it by force', async t => {
  const { writ, agent, id } = await scene(t)
  await statesAre(writ, 'active')
  const { value } = expect(await readSecret(writ, agent, 'app'), 200)
  const straggler = new pg.Client({ connectionString: value })
  straggler.on('error', () => {})
  await straggler.connect()
  t.after(() => straggler.end())
  const begun = expect(await rotate(writ, id), 201)
  await statesAre(writ, 'retiring,active')
  await until('the session is seen', 20, async () => {
    const { drain } = expect(await writ.operator.manage('GET', `/rotations/${begun.id}`), 200)
    return drain?.remaining === 1
  })
  assert.deepEqual((await straggler.query('select 1 as one')).rows, [{ one: 1 }])
  expect(await writ.operator.manage('POST', `/rotations/${begun.id}/force`, { reason: 'now' }), 200)
  await statesAre(writ, 'retired,active')
  await assert.rejects(straggler.query('select 1'))
})

test('an emergency ends the former as soon as the next works, and says what it could reach and who had it', async t => {
  const { writ, agent, id } = await scene(t, { drainSeconds: 300 })
  await statesAre(writ, 'active')
  const { value } = expect(await readSecret(writ, agent, 'app'), 200)
  const begun = expect(await rotate(writ, id, { emergency: true, reason: 'leaked' }), 201)
  await statesAre(writ, 'retired,active')
  await assert.rejects(userOf(value))
  const radius = expect(await writ.operator.manage('GET', `/rotations/${begun.id}/blast-radius`), 200)
  assert.match(JSON.stringify(radius.reach), new RegExp(agent.clientId))
  assert.match(JSON.stringify(radius), /postgres-role/)
})

test('what the upstream refuses is blocked with a sentence; cancelled, the version in use stays, and no second begins', async t => {
  const { writ, agent, id, superuser, role } = await scene(t)
  await statesAre(writ, 'active')
  await superuser.query(`create role ${role}_b login`)
  const begun = expect(await rotate(writ, id), 201)
  await until('it is blocked', 30, async () => {
    const { state } = expect(await writ.operator.manage('GET', `/rotations/${begun.id}`), 200)
    return state === 'blocked'
  })
  assert.equal((await rotate(writ, id)).status, 409)
  expect(await writ.operator.manage('POST', `/rotations/${begun.id}/cancel`, { reason: 'not now' }), 200)
  await statesAre(writ, 'active,failed')
  await userOf(expect(await readSecret(writ, agent, 'app'), 200).value)
  const { rows } = await superuser.query(`select 1 from pg_roles where rolname = '${role}_b'`)
  assert.equal(rows.length, 1, 'the role of somebody else stays')
})

test('a rotator uses no secret that does not list it', async t => {
  const { writ } = await scene(t)
  const rotator = { kind: 'postgres-role', options: { admin: 'upstream', role: 'thief', memberOf: [] } }
  for (const options of [{}, { admin: 'nowhere' }]) {
    const body = { name: 'thief', rotator: { ...rotator, options: { ...rotator.options, ...options } } }
    assert.equal((await writ.operator.manage('POST', '/secrets', body)).status, 422)
  }
})
