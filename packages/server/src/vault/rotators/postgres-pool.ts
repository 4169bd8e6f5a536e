// Sessions with a PostgreSQL that are kept for a moment: whoever asks for a credential waits for one round trip.
import { createHash } from 'node:crypto'
import { isFault } from '@writ/sdk/protocol/fault'
import pg from 'pg'
import {
  bounds,
  clientConfig,
  faultOf,
  lastRows,
  type Postgres,
  type PostgresSession,
  timeoutMs,
  unlessAborted,
} from './postgres-session.ts'

const most = 4
const idleMs = 30_000

/** One per administrator's URL, as long as it has sessions; keyed by a hash, as the URL has a password in it. */
const pools = new Map<string, pg.Pool>()
/** Sessions that have served before: one of them may be gone without our having heard of it. */
const served = new WeakSet<pg.PoolClient>()

/** As `withPostgres`, in a session that may be an earlier one's. What `act` does has to bear being done twice. */
export async function withPooled<T>(
  session: PostgresSession,
  act: (postgres: Postgres) => Promise<T>,
): Promise<T> {
  const deadline = AbortSignal.any([session.signal, AbortSignal.timeout(timeoutMs)])
  for (;;) {
    const client = await connected(session, deadline)
    const isReused = served.has(client)
    served.add(client)
    try {
      const done = await act({
        run: (...statements) => asked(session, deadline, () => lastRows(client, statements)),
      })
      client.release()
      return done
    } catch (error) {
      // Whatever state it is in, nobody else gets it.
      client.release(true)
      const isGone = isFault(error) && error.why?.kind === 'upstream_unreachable'
      if (!isReused || !isGone || deadline.aborted) throw error
    }
  }
}

async function connected(session: PostgresSession, deadline: AbortSignal): Promise<pg.PoolClient> {
  const pool = poolOf(session)
  const connecting = { client: undefined as Promise<pg.PoolClient> | undefined }
  try {
    return await asked(session, deadline, () => {
      connecting.client = pool.connect()
      return connecting.client
    })
  } catch (error) {
    // It may still come, to nobody.
    if (deadline.aborted)
      connecting.client?.then(
        late => late.release(),
        () => undefined,
      )
    throw error
  }
}

async function asked<A>(
  { access }: PostgresSession,
  deadline: AbortSignal,
  ask: () => Promise<A>,
): Promise<A> {
  try {
    return await unlessAborted(ask, deadline)
  } catch (error) {
    throw faultOf(access, error)
  }
}

function poolOf(session: PostgresSession): pg.Pool {
  const config = { ...clientConfig(session), ...bounds }
  const key = createHash('sha256').update(JSON.stringify(config)).digest('base64')
  const known = pools.get(key)
  if (known !== undefined) return known
  const pool = new pg.Pool({ ...config, max: most, idleTimeoutMillis: idleMs, allowExitOnIdle: true })
  // Whoever waits is told by the rejection; without listeners the same error would end the process.
  pool.on('error', () => undefined)
  pool.on('connect', client => void client.on('error', () => undefined))
  pool.on('remove', () => {
    // Nobody comes back to the pool of a password that was rotated.
    if (pool.totalCount === 0 && pool.waitingCount === 0 && pools.get(key) === pool) pools.delete(key)
  })
  pools.set(key, pool)
  return pool
}
