// The rotator `postgres-role` at a real PostgreSQL, administered by a role that is no superuser.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { after, type TestContext, test } from 'node:test'
import { inspect } from 'node:util'
import { type Code, isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { startPostgres } from '../../store/contract/postgres.ts'
import { rotatorContract } from './contract.ts'
import { postgresRole } from './postgres-role.ts'
import { formatPostgresUrl, parsePostgresPlace, parsePostgresUrl } from './postgres-url.ts'
import type { Held, RotatorContext } from './rotator.ts'
import {
  adminPassword,
  type PostgresUpstream,
  passwordsOf,
  startPostgresServer,
} from './testing/postgres-upstream.ts'

const server = await startPostgresServer(startPostgres, 40)
after(() => server.close())

rotatorContract('postgres-role', {
  rotator: postgresRole,
  open: through => server.open(through),
  secretsOf: passwordsOf,
  hostile: [
    { role: 'app"; drop role writ; --' },
    { role: "app'" },
    { role: 'app\u0000' },
    { role: 'app\n' },
    { role: 'App' },
    { role: 'app a' },
    { role: '' },
    { role: 'a'.repeat(62) },
    { role: 'ａｐｐ' },
    { role: 'pg_monitor' },
    { admin: '../root' },
    { memberOf: ['readers"; drop role writ; --'] },
    { memberOf: ['readers\u0000'] },
    { memberOf: ['readers\n'] },
    { memberOf: [''] },
    { memberOf: ['r'.repeat(64)] },
    { address: 'postgres://user:password@host/db' },
    { address: 'postgres://host/db?sslmode=disable&options=-c%20role=writ' },
    { address: 'https://host/db' },
    { ca: '/etc/passwd' },
    { password: 'x' },
  ],
})

type Options = ReturnType<typeof postgresRole.options.parse>

const held = (value: string, number: number, handle: string | null = null): Held => ({
  ...{ value: new Secret(value), number, handle },
})

/** A server of the test's own, reached without a wire. */
async function reached(t: TestContext): Promise<PostgresUpstream> {
  const upstream = await server.open(async port => port)
  t.after(() => upstream.close())
  return upstream
}

function contextOf(
  { options, secrets }: Pick<PostgresUpstream, 'options' | 'secrets'>,
  more: Partial<RotatorContext<Options>> & { given?: object } = {},
): RotatorContext<Options> {
  const { given = {}, ...context } = more
  return {
    options: postgresRole.options.parse({ ...options, ...given }),
    rotation: 'rot_1',
    secretName: 'app-database',
    current: null,
    next: held('postgres://nobody:nothing@127.0.0.1:1/none', 1),
    secret: async name => new Secret(secrets[name] ?? ''),
    now: 1_800_000_000,
    signal: new AbortController().signal,
    ...context,
  }
}

/** Proposes and stages the next version. */
async function staged(context: RotatorContext<Options>): Promise<RotatorContext<Options>> {
  const number = (context.current?.number ?? 0) + 1
  const next = { ...context, next: { ...(await postgresRole.propose(context)), number } }
  assert.deepEqual(await postgresRole.stage(next), {})
  return next
}

const refuses = (code: Code, pattern: RegExp) => (error: unknown) => {
  assert.ok(isFault(error), String(error))
  assert.equal(error.code, code, error.message)
  assert.match(error.message, pattern)
  assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(adminPassword))
  return true
}

test('what is logged of a rotation is a verifier, not a password', async t => {
  const upstream = await reached(t)
  const { next } = await staged(contextOf(upstream))
  await upstream.ask('select 1')
  const log = (await upstream.written?.()) ?? ''
  assert.match(log, new RegExp(`create role "${next.handle}" login password 'SCRAM-SHA-256\\$4096:`))
  assert.ok(!log.includes(new URL(next.value.reveal()).password))
})

test("a role that is somebody else's is neither taken over nor locked", async t => {
  const upstream = await reached(t)
  const context = contextOf(upstream)
  const role = `${context.options.role}_a`
  await upstream.ask(`create role ${role} login password 'theirs'; grant ${upstream.readers} to ${role}`)
  const next = { ...(await postgresRole.propose(context)), number: 1 }
  await assert.rejects(postgresRole.stage({ ...context, next }), refuses('conflict', /exists already/))
  await postgresRole.retire({ ...context, next })
  const theirs = Object.assign(new URL(upstream.root), { username: role, password: 'theirs' }).href
  assert.ok(await upstream.worksWith(new Secret(theirs), null))
})

test('a role that a person gave is left to that person, and then it goes on', async t => {
  const upstream = await reached(t)
  const role = `legacy_${upstream.readers}`
  await upstream.ask(`create role "${role}" login password 'theirs'; grant ${upstream.readers} to "${role}"`)
  const given = held(Object.assign(new URL(upstream.root), { username: role, password: 'theirs' }).href, 1)
  const second = await staged(contextOf(upstream, { current: given }))
  await postgresRole.verify(second)
  const about = contextOf(upstream, { current: second.next, next: given })
  const isOpen = await upstream.enter?.(given.value)
  assert.equal((await postgresRole.sessions?.(about))?.length, 1)
  await assert.rejects(postgresRole.retire(about), refuses('conflict', /NOLOGIN by hand/))
  assert.ok(await isOpen?.())
  await upstream.ask(`alter role "${role}" nologin`)
  await postgresRole.retire(about)
})

test('what the options no longer name, the role is no longer a member of', async t => {
  const upstream = await reached(t)
  const first = await staged(contextOf(upstream))
  const second = await staged(contextOf(upstream, { current: first.next }))
  await postgresRole.retire(contextOf(upstream, { current: second.next, next: first.next }))
  const third = await staged(contextOf(upstream, { current: second.next, given: { memberOf: [] } }))
  assert.equal(third.next.handle, first.next.handle)
  await postgresRole.verify(third)
  await assert.rejects(upstream.worksWith(third.next.value, null), /permission denied/)
})

test('an older version that still drains is not overwritten', async t => {
  const upstream = await reached(t)
  const first = await staged(contextOf(upstream))
  const second = await staged(contextOf(upstream, { current: first.next }))
  const next = { ...(await postgresRole.propose(contextOf(upstream, { current: second.next }))), number: 3 }
  const third = contextOf(upstream, { current: second.next, next })
  await assert.rejects(postgresRole.stage(third), refuses('conflict', /still drains/))
  assert.ok(await upstream.worksWith(first.next.value, null))
})

test('an administrator that may not, is not let in, or is none, is told what to do', async t => {
  const upstream = await reached(t)
  const admin = upstream.secrets['postgres-root'] ?? ''
  const { next } = await staged(contextOf(upstream))
  const wrong: [url: string, pattern: RegExp][] = [
    [admin.replace(adminPassword, 'wrong'), /no role rotator\d+ with this password/],
    [admin.replace(/\/writ\d+$/, '/nowhere'), /no database nowhere/],
    [`${admin}?options=-crole%3Dwrit`, /is no URL/],
    ['', /is no URL/],
    [adminPassword, /is no URL/],
  ]
  for (const [url, pattern] of wrong) {
    const context = contextOf({ ...upstream, secrets: { 'postgres-root': url } }, { next })
    await assert.rejects(postgresRole.stage(context), refuses('conflict', pattern))
  }
  const unknown = contextOf(upstream, { given: { memberOf: ['nobody_there'] }, next })
  await assert.rejects(postgresRole.stage(unknown), refuses('conflict', /no such role/))
  const foreign = contextOf(upstream, { given: { memberOf: ['pg_write_all_data'] }, next })
  await assert.rejects(postgresRole.stage(foreign), refuses('conflict', /may not do it/))
})

test('credentials do not cross a network unencrypted, unless that was said', async () => {
  const options = { admin: 'postgres-root', role: 'app' }
  const at = (query: string) => ({
    ...{ options, secrets: { 'postgres-root': `postgres://root:${adminPassword}@db.example/app${query}` } },
  })
  for (const query of ['', '?sslmode=disable'])
    await assert.rejects(postgresRole.propose(contextOf(at(query))), refuses('conflict', /unencrypted/))
  const open = await postgresRole.propose(contextOf(at(''), { given: { plaintext: true } }))
  assert.match(open.value.reveal(), /^postgres:\/\/app_a:[\w-]{43}@db\.example:5432\/app$/)
  const secure = await postgresRole.propose(contextOf(at('?sslmode=verify-full')))
  assert.match(secure.value.reveal(), /@db\.example:5432\/app\?sslmode=verify-full$/)
  const address = 'postgres://pool.example:6432/app?sslmode=require'
  const pooled = await postgresRole.propose(contextOf(at('?sslmode=require'), { given: { address } }))
  assert.match(pooled.value.reveal(), /@pool\.example:6432\/app\?sslmode=require$/)
})

test('a PostgreSQL URL has one reading, or none', () => {
  const wrong = [
    ...['postgres://u:p@good@evil/d', 'postgres://u:p@good\\@evil/d', 'postgres://u:p@h,evil/d'],
    ...['postgres://u:p@h/d?sslmode=no-verify', 'postgres://u:p@h/d?sslmode=prefer', 'postgres://u:p@h/d#f'],
    ...['postgres://u:p@h/d?host=evil', 'postgres://u:p@h/d?sslmode=require&host=evil', 'postgres://u:p@h/'],
    ...['postgres://u:p@h:0/d', 'postgres://u:p@h:70000/d', 'postgres://u:%zz@h/d', 'postgres://u:%00@h/d'],
    ...['postgres://u:p@[::g]/d', 'postgres://u:p@%2Ftmp/d', 'postgres://u:@h/d', 'postgres://:p@h/d'],
    ...[
      'postgres://u:p@h/d\n',
      ' postgres://u:p@h/d',
      'mysql://u:p@h/d',
      `postgres://${'u'.repeat(64)}:p@h/d`,
    ],
  ]
  for (const url of wrong) assert.equal(parsePostgresUrl(url), undefined, url)
  assert.equal(parsePostgresPlace('postgres://u:p@h/d'), undefined)
  const access = {
    ...{ host: '::1', port: 1, database: 'a/b c', sslmode: 'require' as const },
    ...{ username: 'a:/@%', password: '%:/@\u00e9 ' },
  }
  assert.deepEqual(parsePostgresUrl(formatPostgresUrl(access)), access)
})

test('an upstream that hangs, breaks off or speaks another protocol ends in a refusal, not in a wait', async t => {
  const sockets: Socket[] = []
  t.after(() => {
    for (const socket of sockets) socket.destroy()
  })
  const garbage = ['HTTP/1.1 400 Bad Request\r\n\r\n', 'R\0\0\0\u0004', 'R\x7f\xff\xff\xff\0\0\0\n']
  for (const said of [undefined, '', ...garbage]) {
    const upstream = createServer(socket => {
      sockets.push(socket)
      socket.on('error', () => undefined)
      if (said === '') socket.destroy()
      else if (said !== undefined) socket.write(Buffer.from(said, 'latin1'))
    }).listen(0, '127.0.0.1')
    t.after(() => upstream.close())
    await once(upstream, 'listening')
    const { port } = upstream.address() as { port: number }
    const secrets = { 'postgres-root': `postgres://root:${adminPassword}@127.0.0.1:${port}/app` }
    const options = { admin: 'postgres-root', role: 'app' }
    const context = contextOf({ options, secrets }, { signal: AbortSignal.timeout(300) })
    const next = { ...(await postgresRole.propose(context)), number: 1 }
    await assert.rejects(
      postgresRole.stage({ ...context, next }),
      refuses('temporarily_unavailable', /no answer|cannot do this now/),
      JSON.stringify(said),
    )
  }
})
