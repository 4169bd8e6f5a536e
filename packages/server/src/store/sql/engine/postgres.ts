// PostgreSQL through pg: a bounded pool, pipelined steps, and every wait with an end.

import { Fault, isFault } from '@writ/sdk/protocol/fault'
import pg from 'pg'
import {
  type Engine,
  type Finish,
  type Row,
  type Scalar,
  type Step,
  type Steps,
  type Trouble,
  Uncertain,
  Violation,
} from './engine.ts'

const attempts = 4
const beginning = 'begin isolation level read committed'
const connectMs = 5000
const statementMs = 5000

/** Bounds of one connection: no statement, lock or idle transaction may hold others up for long. */
export const connectionOptions = {
  application_name: 'writ',
  connectionTimeoutMillis: connectMs,
  statement_timeout: statementMs,
  lock_timeout: statementMs - 1000,
  idle_in_transaction_session_timeout: 10_000,
  // The client's own end of waiting, for when the server does not even answer that it gave up.
  query_timeout: statementMs + 1000,
  keepAlive: true,
} as const

// Whole numbers fit a double here: the largest are epoch milliseconds.
const parsers: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: 'text' | 'binary') =>
    oid === pg.types.builtins.INT8
      ? Number
      : pg.types.getTypeParser(oid, format)) as typeof pg.types.getTypeParser,
}

/** PostgreSQL, appendix A: error codes by class, then the single ones that differ from their class. */
const classes: Readonly<Record<string, Trouble>> = {
  '08': 'unavailable',
  '23': 'violation',
  '53': 'unavailable', // disk full, too many connections, out of memory
  '57': 'unavailable', // shutting down, cancelled by statement_timeout
  '58': 'unavailable',
}
const single: Readonly<Record<string, Trouble>> = {
  '40001': 'retry',
  '40P01': 'retry',
  '25006': 'unavailable', // read-only: it is a standby now
  '25P03': 'unavailable', // idle_in_transaction_session_timeout
  '55P03': 'unavailable', // lock_timeout
}

const stateOf = (error: unknown): string | undefined =>
  error instanceof pg.DatabaseError && error.code !== undefined ? error.code : undefined

function troubleOf(error: unknown): Trouble {
  const state = stateOf(error)
  if (state !== undefined) return single[state] ?? classes[state.slice(0, 2)] ?? 'other'
  // Without a state it is not the server that speaks: no connection, or no longer. A TypeError is our own mistake.
  return error instanceof TypeError || error instanceof RangeError ? 'other' : 'unavailable'
}

/** A serialization failure or a deadlock: the transaction may be tried again. */
class Retry extends Error {
  override readonly name = 'Retry'
}

/** What the driver threw, as the engine's callers know it; anything unexpected stays as it is. */
function toKnown(error: unknown): unknown {
  const trouble = troubleOf(error)
  if (trouble === 'retry') return new Retry('the transaction has to be tried again', { cause: error })
  if (trouble !== 'unavailable') return error
  const why = { kind: 'store_unavailable' }
  return new Fault('temporarily_unavailable', 'The store cannot take this now.', why, { cause: error })
}

/** Makes a pool; nothing is connected yet. `onError` hears of connections that broke while idle. */
export function openPostgres(url: string, onError: (error: unknown) => void): Engine {
  const pool = new pg.Pool({
    ...connectionOptions,
    connectionString: url,
    max: 10,
    idleTimeoutMillis: 60_000,
    pipeline: true,
    types: parsers,
  })
  // Without a listener a connection that breaks while idle would end the process.
  pool.on('error', onError)
  pool.on('connect', client => client.on('error', onError))
  return {
    kind: 'postgres',
    query(text, parameters, name) {
      const values = parameters as Scalar[]
      const config = name === undefined ? { text, values } : { name, text, values }
      return retrying(async () => {
        const { rows, rowCount } = await pool.query<Row>(config).catch((error: unknown) => {
          throw toKnown(error)
        })
        return { rows, changes: rowCount ?? 0 }
      })
    },
    transact: steps => retrying(() => withClient(pool, client => runThrough(client, steps))),
    ping: () => answersWithin(pool, 1000),
    close: () => pool.end(),
  }
}

async function retrying<R>(act: () => Promise<R>): Promise<R> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act()
    } catch (error) {
      if (!(error instanceof Retry)) throw error
      if (attempt === attempts) {
        const why = { kind: 'store_contended' }
        throw new Fault('temporarily_unavailable', 'The store is too busy for this now.', why, {
          cause: error,
        })
      }
    }
  }
}

async function withClient<R>(pool: pg.Pool, use: (client: pg.PoolClient) => Promise<R>): Promise<R> {
  const client = await pool.connect().catch((error: unknown) => {
    throw toKnown(error)
  })
  let broken: boolean | undefined = true
  try {
    const result = await use(client)
    broken = undefined
    return result
  } catch (error) {
    // Where the server still speaks, the connection can be used again once it has rolled back.
    const isMute = isFault(error) && stateOf(error.cause) === undefined
    if (!isMute && !(error instanceof Uncertain)) {
      broken = await client.query('rollback').then(
        () => undefined,
        () => true,
      )
    }
    throw error
  } finally {
    client.release(broken)
  }
}

/** Sends without waiting in between; the answers come in the same order. */
function send(client: pg.ClientBase, one: Step): Promise<readonly Row[]> {
  if (!('batch' in one)) return client.query(one.text).then(() => [])
  const { batch, rows } = one
  if (rows.length === 0) return Promise.resolve([])
  const values = batch.columns.map((_, at) => rows.map(row => row[at]))
  return client.query<Row>({ name: batch.name, text: batch.sql, values }).then(result => result.rows)
}

/** The first that failed: those after it failed only because of it. */
function firstError(
  answers: readonly PromiseSettledResult<unknown>[],
): { at: number; reason: unknown } | undefined {
  const at = answers.findIndex(answer => answer.status === 'rejected')
  return at < 0 ? undefined : { at, reason: (answers[at] as PromiseRejectedResult).reason }
}

async function runThrough<R>(client: pg.ClientBase, steps: () => Steps<R>): Promise<R> {
  const body = steps()
  let turn = body.next()
  for (let begun = false; !turn.done; begun = true) {
    // BEGIN travels with the first steps; all answers are awaited, so that nothing is left in the pipeline.
    const begin = begun ? [] : [client.query(beginning)]
    const sent = turn.value.map(one => send(client, one))
    const failed = firstError(await Promise.allSettled([...begin, ...sent]))
    if (failed === undefined) {
      turn = body.next(await Promise.all(sent))
      continue
    }
    const { at, reason } = failed
    const isViolation = troubleOf(reason) === 'violation'
    turn = body.throw(isViolation ? new Violation(at - begin.length, reason) : toKnown(reason))
  }
  return finish(client, turn.value)
}

/** The last steps and COMMIT in one go. Where a last step failed, COMMIT rolls back, and says so. */
async function finish<R>(client: pg.ClientBase, { result, last = [] }: Finish<R>): Promise<R> {
  const sent = last.map(one => send(client, one))
  const [commit, ...answers] = await Promise.allSettled([client.query('commit'), ...sent])
  const failed = firstError(answers)
  // The server itself told of a failed step: then nothing can have been committed.
  if (failed !== undefined && stateOf(failed.reason) !== undefined) throw toKnown(failed.reason)
  if (commit.status === 'rejected') {
    if (troubleOf(commit.reason) === 'unavailable') throw new Uncertain(result, commit.reason)
    throw toKnown(commit.reason)
  }
  if (commit.value.command !== 'COMMIT') throw new Error(`the transaction ended with ${commit.value.command}`)
  return result
}

async function answersWithin(pool: pg.Pool, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>(resolve => {
    timer = setTimeout(resolve, ms, false)
  })
  const answer = pool.query({ text: 'select 1', query_timeout: ms } as pg.QueryConfig).then(
    () => true,
    () => false,
  )
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
