// One session with a PostgreSQL: opened for one step, every wait with an end, closed after it.
import { Socket } from 'node:net'
import { Fault } from '@writ/sdk/protocol/fault'
import pg from 'pg'
import { formatPostgresPlace, isPostgresEncrypted, type PostgresAccess } from './postgres-url.ts'

export type Row = Readonly<Record<string, unknown>>

export interface Postgres {
  /**
   * Runs statements in one round trip and answers the rows of the last one. Throws `conflict` where they are refused,
   * `temporarily_unavailable` where there is no answer; neither repeats a statement.
   */
  run(...statements: readonly string[]): Promise<readonly Row[]>
}

export interface PostgresSession {
  readonly access: PostgresAccess
  /** Certificates of whoever vouches for the server's, PEM; those of the system where it is absent. */
  readonly ca: string | undefined
  readonly signal: AbortSignal
}

export const timeoutMs = 10_000
const lockMs = 4000
/** Nothing that an administrator does may hold others up for long. Poolers know none of these at the start. */
export const bounds = {
  statement_timeout: timeoutMs,
  lock_timeout: lockMs,
  idle_in_transaction_session_timeout: timeoutMs,
} as const

/**
 * The driver reads without checking lengths, in a listener: what an upstream that is no PostgreSQL answers would be thrown
 * out of every catch and end the process. Over TLS it reads from whoever the certificate vouches for.
 */
class GuardedSocket extends Socket {
  override emit(event: string | symbol, ...values: unknown[]): boolean {
    try {
      return super.emit(event, ...values)
    } catch (error) {
      if (event !== 'data') throw error
      this.destroy(new Error('an answer that is none of the protocol'))
      return true
    }
  }
}

/** How a session is opened; `stream` is what can be cut without asking anybody. */
export function clientConfig({ access, ca }: Pick<PostgresSession, 'access' | 'ca'>): pg.ClientConfig {
  const { host, port, database, username, password } = access
  return {
    ...{ host, port, database, user: username, password, application_name: 'writ' },
    // Given, whatever it is: otherwise the environment of the process would say.
    ssl: isPostgresEncrypted(access) && { rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) },
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
    keepAlive: true,
    stream: () => new GuardedSocket(),
  }
}

/** Opens a session as an administrator, acts, closes it. The faults are those of `Postgres.run`. */
export function withPostgres<T>(
  session: PostgresSession,
  act: (postgres: Postgres) => Promise<T>,
): Promise<T> {
  return inSession(session, { ...clientConfig(session), ...bounds }, act)
}

/** Opens one as a consumer does, and asks the least: a pooler in between lets in before it asks the database. */
export async function enterPostgres(session: PostgresSession): Promise<void> {
  await inSession(session, clientConfig(session), postgres => postgres.run('select 1'))
}

async function inSession<T>(
  { access, signal }: PostgresSession,
  config: pg.ClientConfig,
  act: (postgres: Postgres) => Promise<T>,
): Promise<T> {
  const socket = new GuardedSocket()
  const client = new pg.Client({ ...config, stream: () => socket })
  // Whoever waits is told by the rejection; without a listener the same error would end the process.
  client.on('error', () => undefined)
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
  const cut = (): void => void socket.destroy()
  deadline.addEventListener('abort', cut, { once: true })
  const asked = async <A>(ask: () => Promise<A>): Promise<A> => {
    try {
      // Also what is given up before it begins must not be sent.
      deadline.throwIfAborted()
      return await unlessAborted(ask, deadline)
    } catch (error) {
      throw faultOf(access, error)
    }
  }
  try {
    await asked(() => client.connect())
    return await act({ run: (...statements) => asked(async () => lastRows(client, statements)) })
  } finally {
    deadline.removeEventListener('abort', cut)
    // Said and not waited for: a server that hangs must not hold us.
    if (deadline.aborted) cut()
    else client.end().then(cut, cut)
  }
}

/** The rows of the last of the statements, which are sent together (the simple query of the protocol, §54.2.2.1). */
export async function lastRows(
  client: pg.ClientBase,
  statements: readonly string[],
): Promise<readonly Row[]> {
  const answer: pg.QueryResult<Row> | pg.QueryResult<Row>[] = await client.query(statements.join('; '))
  return (Array.isArray(answer) ? answer.at(-1)?.rows : answer.rows) ?? []
}

/** The driver may never answer once its socket was cut in the midst of connecting. */
export function unlessAborted<A>(ask: () => Promise<A>, signal: AbortSignal): Promise<A> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new DOMException('given up', 'AbortError'))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    ask()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort))
  })
}

/** PostgreSQL, appendix A: what will be otherwise later, by class and by code. */
const passing = /^(?:08|40|53|57|58|25006|25P0[23]|55|XX000)/

/** What was thrown, as callers know it. A mistake of ours stays as it is: it must not look like an outage. */
export function faultOf(access: PostgresAccess, error: unknown): unknown {
  if (error instanceof TypeError || error instanceof RangeError) return error
  const place = formatPostgresPlace(access)
  // The message may repeat what was sent: only the code is passed on.
  const code = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.name) : 'unknown'
  if (!(error instanceof pg.DatabaseError)) {
    const problem = /^[A-Za-z0-9_]{1,64}$/.test(code) ? code : 'unknown'
    return new Fault('temporarily_unavailable', `There is no answer from ${place}.`, {
      ...{ kind: 'upstream_unreachable', place, problem },
    })
  }
  const facts = { kind: 'upstream_refused', place, code }
  return passing.test(code)
    ? new Fault('temporarily_unavailable', `${place} cannot do this now (${code}).`, facts)
    : new Fault('conflict', `${place} refuses: ${becauseOf(code, access)}`, facts)
}

function becauseOf(code: string, { username, database }: PostgresAccess): string {
  switch (code) {
    case '28P01':
      return `there is no role ${username} with this password.`
    case '28000':
      return `the role ${username} may not log in from here; see its attributes, and pg_hba.conf.`
    case '3D000':
      return `there is no database ${database}.`
    case '42501':
      return (
        `the role ${username} may not do it; it needs CREATEROLE, ADMIN on the roles of memberOf and on those that it ` +
        'changes, and pg_signal_backend.'
      )
    case '2BP01':
      return 'the role has objects in another database; drop or reassign them there.'
    case '42704':
      return 'there is no such role; create those that memberOf names.'
    default:
      return `it answers ${code}.`
  }
}
