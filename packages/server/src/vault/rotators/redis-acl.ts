// The rotator `redis-acl`: two alternating users of a Redis, so that its own list of sessions shows who needs the old one.
import { createHash, randomBytes } from 'node:crypto'
import { Fault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { z } from 'zod'
import type { DrainUser } from '../../domain/rotation.ts'
import { isSecretName } from '../../domain/vault/secret.ts'
import { type Redis, withRedis } from './redis-session.ts'
import {
  formatRedisUrl,
  isRedisSecure,
  parseRedisPlace,
  parseRedisUrl,
  type RedisAccess,
  type RedisPlace,
} from './redis-url.ts'
import type { Held, Rotator, RotatorContext } from './rotator.ts'

// Names of commands, categories, keys and channels. What gives or takes a password, opens without one, or forgets what
// was said before it is none of these, in whatever case: `nopass`, `>…`, `#…`, `<…`, `!…`, `on`, `off`, `reset…`.
const command = String.raw`[+-](?:@[a-z]+|[a-z][a-z0-9._-]*(?:\|[a-z][a-z0-9_-]*)?)`
const pattern = String.raw`(?:~|%(?:R|W|RW|WR)~|&)[^\s()]+`
const word = `(?:${command}|${pattern}|allkeys|allchannels|allcommands|nocommands)`
const rule = new RegExp(String.raw`^(?:${word}|\(${word}(?: ${word})*\))$`)

const options = z.strictObject({
  /** The secret with the URL of a user that may manage users. */
  admin: z.string().refine(isSecretName, 'is the name of a secret'),
  user: z.string().regex(/^[A-Za-z][A-Za-z0-9_-]{0,62}$/, 'is a name of letters, digits, `_` and `-`'),
  rules: z
    .array(z.string().max(512).regex(rule, 'is one rule about commands, keys or channels'))
    .min(1)
    .max(128),
  /** Where consumers reach it, where that is not where the administrator does. */
  address: z
    .string()
    .refine(text => parseRedisPlace(text) !== undefined, 'is a Redis URL without credentials')
    .optional(),
  /** Where users outlive a restart: the file of `aclfile`, the configuration file, or nowhere. */
  keep: z.enum(['aclfile', 'config', 'nowhere']).default('aclfile'),
  /** Lets passwords cross a network that is not encrypted. */
  plaintext: z.boolean().default(false),
})

type Options = z.infer<typeof options>
type Context = RotatorContext<Options>

export const redisAcl: Rotator<Options> = {
  kind: 'redis-acl',
  options,
  makes: 'versions',
  proof: 'live_sessions',
  async propose(context) {
    const username = otherThan(context.current?.handle ?? null, context.options)
    const place = await placeOf(context)
    // 256 bits, in letters that no URL has to encode.
    const password = randomBytes(32).toString('base64url')
    return { value: new Secret(formatRedisUrl({ ...place, username, password })), handle: username }
  },
  async stage(context) {
    const { username, password } = accessOf(context.next)
    const hash = hashOf(password)
    await administering(context, async redis => {
      const known = await redis.passwords(username)
      // Somebody else's user, or an older version that still drains: setting it anew would cut whoever uses it.
      if (known !== undefined && !known.includes(hash)) throw taken(username)
      // One command, so that there is no instant with half of it. The password itself is not sent: only its hash is.
      await redis.run(['ACL', 'SETUSER', username, 'reset', 'on', `#${hash}`, ...context.options.rules])
      await keep(redis, context.options)
    })
    return {}
  },
  async verify(context) {
    const access = accessOf(context.next)
    // To connect is to authenticate; what the user may do is for its rules.
    await withRedis(permitted(access, context.options), context.signal, async () => undefined)
  },
  async promote() {
    // Redis has no such notion: both users work, and consumers go over as they are given the new one.
  },
  async sessions(context) {
    const { username, password } = accessOf(context.next)
    return administering(context, async redis => {
      const known = await redis.passwords(username)
      if (!known?.includes(hashOf(password))) return []
      const own = (await redis.sessions()).filter(session => session.user === username)
      return own.map(
        ({ id, name, from, age, idle }): DrainUser => ({
          caller: name === '' ? `session ${id} of ${username}` : `${name} (session ${id} of ${username})`,
          from,
          firstUsedAt: context.now - age,
          lastUsedAt: context.now - idle,
          until: null,
        }),
      )
    })
  },
  async retire(context) {
    const { username, password } = accessOf(context.next)
    await administering(context, async redis => {
      const known = await redis.passwords(username)
      // The name may be a later version's by now, which this step must not touch.
      if (known !== undefined && !known.includes(hashOf(password))) return
      if (known !== undefined) await remove(redis, username, known.length, context)
      // Also where it is gone already: the step may have ended before this.
      await keep(redis, context.options)
    })
  },
}

/** `app_a` and `app_b` in turn. */
function otherThan(handle: string | null, { user }: Options): string {
  return handle === `${user}_a` ? `${user}_b` : `${user}_a`
}

async function placeOf({ options: given, secret }: Pick<Context, 'options' | 'secret'>): Promise<RedisPlace> {
  const place = given.address === undefined ? undefined : parseRedisPlace(given.address)
  const { username: _, password: __, ...own } = await administratorOf({ options: given, secret })
  return permitted(place ?? own, given)
}

async function administratorOf({
  options: given,
  secret,
}: Pick<Context, 'options' | 'secret'>): Promise<RedisAccess> {
  const access = parseRedisUrl((await secret(given.admin)).reveal())
  if (access !== undefined) return permitted(access, given)
  throw new Fault('conflict', `The secret ${given.admin} is no Redis URL with a user and a password.`, {
    kind: 'admin_unusable',
  })
}

function accessOf({ value }: Held): RedisAccess {
  const access = parseRedisUrl(value.reveal())
  if (access !== undefined) return access
  throw new Fault(
    'conflict',
    'The version is no Redis URL with a user and a password; withdraw it by hand.',
    {
      kind: 'value_unusable',
    },
  )
}

function permitted<T extends RedisPlace>(place: T, { plaintext }: Options): T {
  if (plaintext || isRedisSecure(place)) return place
  throw new Fault(
    'conflict',
    `Passwords would cross the network to ${place.host} unencrypted: use rediss, or say that it may be plaintext.`,
    { kind: 'plaintext' },
  )
}

async function administering<T>(context: Context, act: (redis: Redis) => Promise<T>): Promise<T> {
  return withRedis(await administratorOf(context), context.signal, act)
}

async function remove(redis: Redis, username: string, passwords: number, context: Context): Promise<void> {
  const { username: administrator } = await administratorOf(context)
  // Both only where the version was given by hand, for somebody whom we did not make.
  if (username === 'default' || username === administrator || passwords > 1)
    throw new Fault(
      'conflict',
      `The user ${username} is also somebody else's: take this password from it by hand, then force the end.`,
      { kind: 'user_shared', username },
    )
  // One command: the user goes, and every session that it had is ended with it.
  await redis.run(['ACL', 'DELUSER', username])
}

function hashOf(password: string): string {
  return createHash('sha256').update(password).digest('hex')
}

async function keep(redis: Redis, { keep: where }: Options): Promise<void> {
  if (where === 'aclfile') await redis.run(['ACL', 'SAVE'])
  if (where === 'config') await redis.run(['CONFIG', 'REWRITE'])
}

function taken(username: string): Fault {
  return new Fault(
    'conflict',
    `The user ${username} exists already, with another password: an older version still drains, or it is not ours; ` +
      'end that rotation, or delete the user.',
    { kind: 'user_taken', username },
  )
}
