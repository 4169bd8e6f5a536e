// One session with a Redis (its serialization protocol, RESP 2): opened for one step, bounded in time, closed after it.
import { createClient, ErrorReply } from '@redis/client'
import { Fault } from '@writ/sdk/protocol/fault'
import { formatRedisPlace, type RedisAccess } from './redis-url.ts'

/** A session of somebody, as Redis lists it; ages in seconds. */
export interface RedisSession {
  readonly id: number
  readonly user: string
  /** As the client calls itself; empty where it does not. */
  readonly name: string
  readonly from: string
  readonly age: number
  readonly idle: number
}

export interface Redis {
  /** Runs one command. Throws `conflict` where it is refused, `temporarily_unavailable` where there is no answer. */
  run(words: readonly string[]): Promise<unknown>
  /** SHA-256, hexadecimal, of each password of the user; undefined where there is no such user. */
  passwords(username: string): Promise<readonly string[] | undefined>
  sessions(): Promise<readonly RedisSession[]>
}

const timeoutMs = 10_000
// What a Redis says that will be able to serve later: it loads, is busy, has lost its master, or has no room.
const passing = /^(?:LOADING|BUSY|MASTERDOWN|TRYAGAIN|CLUSTERDOWN|ERR max number of clients)/

/** Connects, authenticates, acts, disconnects. The faults are those of `Redis.run`; none shows a password. */
export async function withRedis<T>(
  access: RedisAccess,
  signal: AbortSignal,
  act: (redis: Redis) => Promise<T>,
): Promise<T> {
  const { tls, host, port, database, username, password } = access
  const client = createClient({
    // Each step says by itself whether it is taken again: nothing is sent twice behind its back.
    socket: { host, port, connectTimeout: timeoutMs, reconnectStrategy: false, ...(tls ? { tls } : {}) },
    ...{ username, password, database, RESP: 2, disableClientInfo: true, disableOfflineQueue: true },
    maintNotifications: 'disabled',
  })
  // Whoever waits is told by the rejection; without a listener the same error would end the process.
  client.on('error', () => undefined)
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const asked = async <A>(what: string, ask: () => Promise<A>): Promise<A> => {
    try {
      return await unlessAborted(ask, deadline)
    } catch (error) {
      throw error instanceof ErrorReply ? refused(access, what, error.message) : away(access, error)
    }
  }
  try {
    await asked('AUTH', () => client.connect())
    const run = (words: readonly string[]): Promise<unknown> =>
      asked(words.slice(0, 2).join(' '), () => client.sendCommand([...words]))
    return await act({
      run,
      passwords: async name => passwordsIn(await run(['ACL', 'GETUSER', name])),
      sessions: async () =>
        (await asked('CLIENT LIST', () => client.clientList())).map(
          ({ id, user = '', name, addr, age, idle }): RedisSession => ({
            ...{ id, user, name, from: addr, age, idle },
          }),
        ),
    })
  } finally {
    if (client.isOpen) client.destroy()
  }
}

function unlessAborted<A>(ask: () => Promise<A>, signal: AbortSignal): Promise<A> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new DOMException('given up', 'AbortError'))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    ask()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort))
  })
}

/** The reply of ACL GETUSER: names and values in turn. */
function passwordsIn(reply: unknown): readonly string[] | undefined {
  if (!Array.isArray(reply)) return undefined
  const at = reply.indexOf('passwords')
  const hashes: unknown = reply[at + 1]
  if (at === -1 || !Array.isArray(hashes))
    throw new Fault(
      'conflict',
      'ACL GETUSER answers nothing about passwords: this is no Redis of version 6 or later.',
    )
  return hashes.map(String)
}

function refused(access: RedisAccess, what: string, message: string): Fault {
  const place = formatRedisPlace(access)
  // The first word is a code; the rest may repeat what was sent.
  const code = /^[A-Z]+(?= |$)/.exec(message)?.[0] ?? 'ERR'
  const facts = { kind: 'upstream_refused', place, command: what, code }
  if (passing.test(message))
    return new Fault('temporarily_unavailable', `${place} cannot ${what} now.`, facts)
  return new Fault('conflict', `${place} refuses ${what}: ${becauseOf(what, code, access, message)}`, facts)
}

function becauseOf(what: string, code: string, { username }: RedisAccess, message: string): string {
  if (code === 'WRONGPASS') return `there is no user ${username} with this password.`
  if (code === 'NOPERM') return `the user ${username} may not use it; add it to that user's rules.`
  if (what === 'ACL SAVE') return 'give it an aclfile, or say with `keep` where its users outlive a restart.'
  if (what === 'CONFIG REWRITE')
    return 'start it with a configuration file, or say with `keep` where its users outlive a restart.'
  // Only rules are repeated, which are no secret; a password or its hash begins with another letter.
  const rule = /modifier '([+\-~&%(a-z][^']{0,100})'/.exec(message)?.[1]
  return rule === undefined ? `it answers ${code}.` : `it has no rule ${rule}.`
}

function away(access: RedisAccess, error: unknown): Fault {
  const place = formatRedisPlace(access)
  const code = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.name) : 'unknown'
  return new Fault('temporarily_unavailable', `There is no answer from ${place}.`, {
    kind: 'upstream_unreachable',
    place,
    problem: /^[A-Za-z0-9_]{1,64}$/.test(code) ? code : 'unknown',
  })
}
