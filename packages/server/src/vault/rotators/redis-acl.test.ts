// The rotator of Redis users, against a real Redis.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { createClient } from '@redis/client'
import { type Code, isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { rotatorContract } from './contract.ts'
import { redisAcl } from './redis-acl.ts'
import { formatRedisUrl, parseRedisPlace, parseRedisUrl } from './redis-url.ts'
import type { Held, RotatorContext } from './rotator.ts'
import { type RedisServer, redisMissing, startRedis } from './testing/redis-server.ts'

type Options = ReturnType<typeof redisAcl.options.parse>
type Context = RotatorContext<Options>

const skip = redisMissing() ?? false
const base = { admin: 'redis-root', user: 'app', rules: ['~app:*', '+get', '+set', '+ping'] }
const held = (value: string, number: number, handle: string | null = null): Held => ({
  ...{ value: new Secret(value), number, handle },
})

function contextOf(admin: string, more: Partial<Context> & { given?: object } = {}): Context {
  const { given = {}, ...context } = more
  return {
    options: redisAcl.options.parse({ ...base, ...given }),
    rotation: 'rot_1',
    secretName: 'app-redis',
    current: null,
    next: held('redis://nobody:nothing@127.0.0.1:1', 1),
    secret: async name => {
      assert.equal(name, 'redis-root')
      return new Secret(admin)
    },
    now: 1_800_000_000,
    signal: new AbortController().signal,
    ...context,
  }
}

/** Proposes and stages the next version. */
async function staged(context: Context): Promise<Context> {
  const proposed = await redisAcl.propose(context)
  const number = (context.current?.number ?? 0) + 1
  const next = { ...context, next: { ...proposed, number } }
  assert.deepEqual(await redisAcl.stage(next), {})
  return next
}

async function connected(url: string): Promise<ReturnType<typeof createClient>> {
  const client = createClient({ url, RESP: 2, disableClientInfo: true, socket: { reconnectStrategy: false } })
  client.on('error', () => undefined)
  await client.connect()
  return client as unknown as ReturnType<typeof createClient>
}

const refuses = (code: Code, pattern: RegExp) => (error: unknown) => {
  assert.ok(isFault(error), String(error))
  assert.equal(error.code, code, error.message)
  assert.match(error.message, pattern)
  const shown = `${error.message} ${JSON.stringify(error.why)} ${error.cause ?? ''}`
  assert.ok(!shown.includes('root-password'), shown)
  return true
}

const withServer = (
  title: string,
  body: (redis: RedisServer) => Promise<void>,
  users: 'aclfile' | 'config' | 'nowhere' = 'aclfile',
): void =>
  void test(title, { skip }, async t => {
    const redis = await startRedis(users)
    t.after(() => redis.close())
    await body(redis)
  })

if (!skip)
  rotatorContract('redis-acl', {
    rotator: redisAcl,
    async open(through) {
      const redis = await startRedis()
      // No more than the guide says that the administrator needs.
      const rights = ['+acl|getuser', '+acl|setuser', '+acl|deluser', '+acl|save', '+client|list']
      await redis.ask('ACL', 'SETUSER', 'rotator', 'on', '>root-password', ...rights)
      const port = await through(redis.port)
      const pastTheWire = (value: Secret<string>): string =>
        value.reveal().replace(`:${port}/`, `:${redis.port}/`)
      return {
        options: { ...base },
        secrets: { 'redis-root': `redis://rotator:root-password@127.0.0.1:${port}` },
        async worksWith(value) {
          try {
            const client = await connected(pastTheWire(value))
            client.destroy()
            return true
          } catch (error) {
            assert.match(String(error), /WRONGPASS/)
            return false
          }
        },
        async refuse(isRefusing) {
          const sign = isRefusing ? '-' : '+'
          await redis.ask('ACL', 'SETUSER', 'rotator', `${sign}acl|setuser`, `${sign}acl|deluser`)
        },
        written: async () => JSON.stringify([await redis.ask('ACL', 'LIST'), await redis.ask('ACL', 'LOG')]),
        async enter(value) {
          const client = await connected(pastTheWire(value))
          return async () =>
            client.ping().then(
              () => true,
              () => false,
            )
        },
        close: () => redis.close(),
      }
    },
    hostile: [
      { rules: ['nopass'] },
      { rules: ['+@all', '>known'] },
      { user: 'default on nopass' },
      { address: 'redis://user:password@evil.example' },
      { admin: '../root' },
    ],
    secretsOf: text => [parseRedisUrl(text)?.password ?? text],
  })

test('a rule that opens without a password, gives one, or forgets the rules before it is none', () => {
  const wrong = [
    ...['nopass', 'NOPASS', 'resetpass', 'reset', 'on', 'off', '>pw', '<pw', '#hash', '!hash', 'resetkeys'],
    ...['sanitize-payload', '+get >pw', '~a nopass', '(+get nopass)', '(+get) >pw', '(', '()', '+', '~', ''],
    ...['+get\r\nACL', '~a\n', '+@', '+config|', 'clearselectors', '+GET\u0000', '(+get (+set))'],
  ]
  for (const rule of wrong)
    assert.equal(redisAcl.options.safeParse({ ...base, rules: [rule] }).success, false, JSON.stringify(rule))
  const right = [
    '~*',
    '&news:*',
    '%R~cache:*',
    'allkeys',
    '+@all',
    '-@dangerous',
    '+config|get',
    '(+get ~b:*)',
  ]
  for (const rule of right) assert.ok(redisAcl.options.safeParse({ ...base, rules: [rule] }).success, rule)
})

test('a user, an address or a member that is not of the form is refused', () => {
  const wrong = [
    { user: 'app a' },
    { user: '' },
    { user: 'app\nuser' },
    { rules: [] },
    { address: 'redis://user:password@host' },
    { address: 'http://host' },
    { keep: 'somewhere' },
    { password: 'x' },
  ]
  for (const one of wrong)
    assert.equal(redisAcl.options.safeParse({ ...base, ...one }).success, false, JSON.stringify(one))
})

test('a Redis URL has one reading, or none', () => {
  const wrong = [
    ...[
      'redis://h@evil',
      'redis://u:p@good@evil',
      'redis://u:p@good\\@evil',
      'redis://u:p@h/0?x=1',
      'redis://u:p@h#f',
    ],
    ...[
      'redis://u:p@h:0',
      'redis://u:p@h:70000',
      'redis://u:%zz@h',
      'redis://u:p@[::g]',
      'REDIS://u:p@h',
      'redis://u:p@h/a',
    ],
    ...['redis://u:p@h\n', ' redis://u:p@h', 'redis://u:@h', 'redis://u:p@-h', 'redis://:p@'],
  ]
  for (const url of wrong) assert.equal(parseRedisUrl(url), undefined, url)
  assert.equal(parseRedisPlace('redis://u:p@h'), undefined)
  const access = { tls: true, host: '::1', port: 1, database: 3, username: 'a:/@%', password: '%:/@\u00e9 ' }
  assert.deepEqual(parseRedisUrl(formatRedisUrl(access)), access)
  assert.equal(parseRedisUrl('redis://:p@h')?.username, 'default')
})

test('a password does not cross a network unencrypted, unless that was said', async () => {
  const remote = 'redis://root:root-password@redis.example'
  await assert.rejects(redisAcl.propose(contextOf(remote)), refuses('conflict', /unencrypted/))
  const open = contextOf(remote, { given: { plaintext: true } })
  assert.match(
    (await redisAcl.propose(open)).value.reveal(),
    /^redis:\/\/app_a:[\w-]{43}@redis\.example:6379\/0$/,
  )
})

withServer('two users take turns, and the old one ends with its sessions', async redis => {
  const first = await staged(contextOf(redis.admin))
  assert.equal(first.next.handle, 'app_a')
  await redisAcl.verify(first)
  const old = await connected(first.next.value.reveal())
  assert.equal(await old.set('app:1', 'x'), 'OK')
  await assert.rejects(old.set('other', 'x'), /NOPERM/)

  const second = await staged(contextOf(redis.admin, { current: first.next }))
  assert.equal(second.next.handle, 'app_b')
  await redisAcl.verify(second)
  await redisAcl.promote(second)
  const fresh = await connected(second.next.value.reveal())
  // Both work while the old one drains, and what is seen of it says who needs it.
  assert.equal(await old.get('app:1'), 'x')
  const about = contextOf(redis.admin, { current: second.next, next: first.next })
  const [session, ...others] = (await redisAcl.sessions?.(about)) ?? []
  assert.deepEqual(others, [])
  assert.match(session?.caller ?? '', /^session \d+ of app_a$/)
  assert.match(session?.from ?? '', /^127\.0\.0\.1:\d+$/)

  const ended = once(old, 'error')
  for (const _ of [1, 2]) await redisAcl.retire(about)
  await ended
  assert.deepEqual(await redisAcl.sessions?.(about), [])
  await assert.rejects(connected(first.next.value.reveal()), /WRONGPASS/)
  await assert.rejects(redisAcl.verify({ ...about }), refuses('conflict', /no user app_a with this password/))
  assert.equal(await fresh.get('app:1'), 'x')
  const third = await staged(contextOf(redis.admin, { current: second.next }))
  assert.equal(third.next.handle, 'app_a')
  // A late repetition about the first version must not end the third, which has its name.
  await redisAcl.retire(about)
  await redisAcl.verify(third)
  fresh.destroy()
})

withServer('only the hash of a password is sent, and staging twice is staging once', async redis => {
  const first = await staged(contextOf(redis.admin))
  await redisAcl.stage(first)
  const [line] = ((await redis.ask('ACL', 'LIST')) as string[]).filter(text => text.startsWith('user app_a'))
  assert.match(line ?? '', /^user app_a on (?:sanitize-payload )?#[0-9a-f]{64} ~app:\*/)
  assert.equal((line?.match(/#/g) ?? []).length, 1)
})

withServer("a user that is somebody else's is neither taken over nor deleted", async redis => {
  await redis.ask('ACL', 'SETUSER', 'app_a', 'on', '>theirs', '+ping')
  const context = contextOf(redis.admin)
  const proposed = { ...(await redisAcl.propose(context)), number: 1 }
  await assert.rejects(
    redisAcl.stage({ ...context, next: proposed }),
    refuses('conflict', /app_a exists already/),
  )
  await redisAcl.retire({ ...context, next: proposed })
  const theirs = `redis://app_a:theirs@127.0.0.1:${redis.port}`
  const client = await connected(theirs)
  client.destroy()
  await redis.ask('ACL', 'SETUSER', 'app_a', '>another')
  const shared = contextOf(redis.admin, { next: held(theirs, 1) })
  await assert.rejects(redisAcl.retire(shared), refuses('conflict', /somebody else/))
  const itself = contextOf(redis.admin, { next: held(redis.admin, 1) })
  await assert.rejects(redisAcl.retire(itself), refuses('conflict', /somebody else/))
})

withServer('a rule that this Redis does not know is named, and nothing half-made is left', async redis => {
  const context = contextOf(redis.admin, { given: { rules: ['~app:*', '+nosuchcommand'] } })
  const next = { ...(await redisAcl.propose(context)), number: 1 }
  await assert.rejects(redisAcl.stage({ ...context, next }), refuses('conflict', /no rule \+nosuchcommand/))
  assert.deepEqual(await redis.ask('ACL', 'USERS'), ['default', 'root'])
})

withServer('an administrator that may not, or is not let in, is told what to do', async redis => {
  await redis.ask('ACL', 'SETUSER', 'little', 'on', '>root-password', '+acl|getuser', '+acl|save')
  const little = contextOf(`redis://little:root-password@127.0.0.1:${redis.port}`)
  const next = { ...(await redisAcl.propose(little)), number: 1 }
  await assert.rejects(redisAcl.stage({ ...little, next }), refuses('conflict', /little may not use it/))
  const wrong = contextOf(`redis://root:wrong@127.0.0.1:${redis.port}`)
  await assert.rejects(
    redisAcl.stage({ ...wrong, next }),
    refuses('conflict', /no user root with this password/),
  )
  for (const value of ['', 'root-password', '{"url":"root-password"}'])
    await assert.rejects(redisAcl.stage({ ...contextOf(value), next }), refuses('conflict', /no Redis URL/))
})

for (const users of ['aclfile', 'config'] as const)
  withServer(
    `users that were made, and users that ended, outlive a restart: ${users}`,
    async redis => {
      const given = { keep: users }
      const first = await staged(contextOf(redis.admin, { given }))
      const second = await staged(contextOf(redis.admin, { given, current: first.next }))
      await redisAcl.retire(contextOf(redis.admin, { given, current: second.next, next: first.next }))
      await redis.restart()
      await redisAcl.verify(second)
      await assert.rejects(redisAcl.verify(first), refuses('conflict', /app_a/))
    },
    users,
  )

withServer(
  'a Redis that forgets its users on a restart is refused, unless that was said',
  async redis => {
    for (const keep of ['aclfile', 'config']) {
      const context = contextOf(redis.admin, { given: { keep } })
      const next = { ...(await redisAcl.propose(context)), number: 1 }
      await assert.rejects(redisAcl.stage({ ...context, next }), refuses('conflict', /outlive a restart/))
      await redisAcl.retire({ ...context, next, options: { ...context.options, keep: 'nowhere' } })
    }
    const first = await staged(contextOf(redis.admin, { given: { keep: 'nowhere' } }))
    await redisAcl.verify(first)
  },
  'nowhere',
)

withServer('a Redis that was killed in between is tried again, and the step goes on', async redis => {
  const first = await staged(contextOf(redis.admin))
  await redis.kill()
  for (const step of ['stage', 'verify', 'retire'] as const)
    await assert.rejects(async () => redisAcl[step](first), refuses('temporarily_unavailable', /no answer/))
  await redis.restart()
  await redisAcl.stage(first)
  await redisAcl.verify(first)
})

test('an upstream that hangs, breaks off or speaks another protocol ends in a refusal, not in a wait', async t => {
  const sockets: Socket[] = []
  for (const said of [undefined, 'HTTP/1.1 400 Bad Request\r\n\r\n', '$99999999999\r\n', '']) {
    const server = createServer(socket => {
      sockets.push(socket)
      socket.on('error', () => undefined)
      if (said === '') socket.destroy()
      else if (said !== undefined) socket.write(said)
    }).listen(0, '127.0.0.1')
    t.after(() => server.close())
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const context = contextOf(`redis://root:root-password@127.0.0.1:${port}`, {
      signal: AbortSignal.timeout(300),
    })
    const next = { ...(await redisAcl.propose(context)), number: 1 }
    await assert.rejects(
      async () => redisAcl.stage({ ...context, next }),
      refuses('temporarily_unavailable', /no answer/),
    )
  }
  for (const socket of sockets) socket.destroy()
})
