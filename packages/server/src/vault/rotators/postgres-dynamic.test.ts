// The rotator `postgres-dynamic` at a real PostgreSQL, administered by a role that is no superuser.
import assert from 'node:assert/strict'
import { after, type TestContext, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import pg from 'pg'
import { startPostgres } from '../../store/contract/postgres.ts'
import { leaseRotatorContract } from './lease-contract.ts'
import { postgresDynamic } from './postgres-dynamic.ts'
import type { LeaseContext } from './rotator.ts'
import { type PostgresUpstream, passwordsOf, startPostgresServer } from './testing/postgres-upstream.ts'

const server = await startPostgresServer(startPostgres, 40)
after(() => server.close())

leaseRotatorContract('postgres-dynamic', {
  rotator: postgresDynamic,
  async open(through) {
    const upstream = await server.open(through)
    const { role: base, ...options } = upstream.options
    return { ...upstream, options: { ...options, base } }
  },
  secretsOf: passwordsOf,
  now: () => Math.floor(Date.now() / 1000),
  endsByItself: true,
  hostile: [
    { base: 'app"; drop role writ; --' },
    { base: "app'" },
    { base: 'app.*' },
    { base: 'app\u0000' },
    { base: 'app\n' },
    { base: 'App' },
    { base: '' },
    { base: 'a'.repeat(32) },
    { reassignTo: 'postgres' },
    { memberOf: ['readers"; drop role writ; --'] },
    { memberOf: ['readers\u0000'] },
    { address: 'postgres://user:password@host/db' },
    { password: 'x' },
  ],
})

type Options = ReturnType<typeof postgresDynamic.options.parse>

/** A server of the test's own, where members of its readers may make tables, and one lease. */
async function leased(
  t: TestContext,
  given: (upstream: PostgresUpstream) => object = () => ({}),
): Promise<{
  upstream: PostgresUpstream
  context: LeaseContext<Options>
  run(sql: string): Promise<unknown>
}> {
  const upstream = await server.open(async port => port)
  t.after(() => upstream.close())
  await upstream.ask(`grant create on schema public to ${upstream.readers}`)
  const { role: base, ...rest } = upstream.options
  const options = postgresDynamic.options.parse({ ...rest, base, ...given(upstream) })
  const now = Math.floor(Date.now() / 1000)
  const context: LeaseContext<Options> = {
    ...{ options, secretName: 'app-database', now, expiresAt: now + 600 },
    handle: postgresDynamic.handleOf(options, 'a'.repeat(26)),
    secret: async name => new Secret(upstream.secrets[name] ?? ''),
    signal: new AbortController().signal,
  }
  const client = new pg.Client({ connectionString: (await postgresDynamic.issue(context)).reveal() })
  client.on('error', () => undefined)
  await client.connect()
  return { upstream, context, run: sql => client.query(sql) }
}

const theirTables = `select tableowner from pg_tables where tablename = 'theirs'`

test('what a role leaves behind is dropped with it', async t => {
  const { upstream, context, run } = await leased(t)
  await run('create table theirs (id int); create temporary table passing (id int)')
  await postgresDynamic.revoke(context)
  assert.deepEqual(await upstream.ask(theirTables), [])
  assert.deepEqual(await upstream.ask(`select 1 from pg_roles where rolname = '${context.handle}'`), [])
})

test('what a role leaves behind passes to whom the options name, with no more rights than it had', async t => {
  const { upstream, context, run } = await leased(t, ({ readers }) => ({ reassignTo: readers }))
  await run('create table theirs (id int)')
  await postgresDynamic.revoke(context)
  assert.deepEqual(await upstream.ask(theirTables), [{ tableowner: upstream.readers }])
})

test('what another installation made at the same server under the same name is not found', async t => {
  const { context } = await leased(t)
  assert.deepEqual(await postgresDynamic.handles(context), [context.handle])
  assert.deepEqual(await postgresDynamic.handles({ ...context, secretName: 'other' }), [])
})

test('a node that issues what another is just issuing waits for it, and has a value that works', async t => {
  const { upstream, context } = await leased(t)
  const handle = postgresDynamic.handleOf(context.options, 'b'.repeat(26))
  const other = new pg.Client({ connectionString: upstream.secrets['postgres-root'] })
  await other.connect()
  t.after(() => other.end())
  await other.query(
    `begin; create role ${handle} login; comment on role ${handle} is 'writ lease of app-database'`,
  )
  const issuing = postgresDynamic.issue({ ...context, handle })
  const isWaiting = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%${handle}%'`
  const until = performance.now() + 5000
  while ((await upstream.ask(isWaiting)).length === 0)
    assert.ok(performance.now() < until, 'it does not wait')
  await other.query('commit')
  const client = new pg.Client({ connectionString: (await issuing).reveal() })
  await client.connect()
  await client.end()
})

test("a role that is somebody else's is not given a password of ours, whatever it is called", async t => {
  const { upstream, context } = await leased(t)
  for (const comment of ['null', "'of another'", "'writ lease of other'"]) {
    await upstream.ask(`comment on role ${context.handle} is ${comment}`)
    await assert.rejects(postgresDynamic.issue(context), (error: unknown) => {
      assert.ok(isFault(error))
      assert.deepEqual([error.code, error.why?.kind], ['conflict', 'role_foreign'])
      return true
    })
  }
})

test('the longest name is one that PostgreSQL takes whole', () => {
  const options = postgresDynamic.options.parse({ admin: 'root', base: 'b'.repeat(31) })
  assert.equal(postgresDynamic.handleOf(options, 'z'.repeat(26)).length, 63)
  for (const wrong of ['', 'a'.repeat(25), 'A'.repeat(26), `${'a'.repeat(25)}"`])
    assert.throws(() => postgresDynamic.handleOf(options, wrong))
})
