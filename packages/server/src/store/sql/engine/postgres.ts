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

/** Whether an error in answer to COMMIT leaves open what became of it. */
const isOpen = (error: unknown): boolean => troubleOf(error) === 'unavailable'

function toFault(error: unknown): unknown {
  if (isFault(error) || error instanceof Uncertain) return error
  const trouble = troubleOf(error)
  if (trouble !== 'unavailable' && trouble !== 'retry') return error
  return new Fault(
    'temporarily_unavailable',
    'The store cannot take this now.',
    { kind: 'store_unavailable' },
    { cause: error },
  )
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
    async query(text, parameters, name) {
      try {
        const values = parameters as Scalar[]
        const { rows, rowCount } = await pool.query<Row>(
          name === undefined ? { text, values } : { name, text, values },
        )
        return { rows, changes: rowCount ?? 0 }
      } catch (error) {
        throw toFault(error)
      }
    },
    async transact(steps) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await withClient(pool, client => runThrough(client, steps))
        } catch (error) {
          if (
            attempt === attempts ||
            error instanceof Uncertain ||
            isFault(error) ||
            troubleOf(error) !== 'retry'
          ) {
            throw toFault(error)
          }
        }
      }
    },
    ping: () => answersWithin(pool, 1000),
    close: () => pool.end(),
  }
}

async function withClient<R>(pool: pg.Pool, use: (client: pg.PoolClient) => Promise<R>): Promise<R> {
  const client = await pool.connect()
  let broken: boolean | undefined = true
  try {
    const result = await use(client)
    broken = undefined
    return result
  } catch (error) {
    // The server told of an error and is still there: the connection can be used again once rolled back.
    if (stateOf(error) !== undefined || error instanceof Violation) {
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

/** The rows of all steps, or the first error. All are awaited, so that nothing is left in the pipeline. */
async function sendAll(client: pg.ClientBase, steps: readonly Step[]): Promise<readonly (readonly Row[])[]> {
  const answers = await Promise.allSettled(steps.map(one => send(client, one)))
  return answers.map((answer, at) => {
    if (answer.status === 'fulfilled') return answer.value
    throw troubleOf(answer.reason) === 'violation' ? new Violation(at, answer.reason) : answer.reason
  })
}

async function runThrough<R>(client: pg.ClientBase, steps: () => Steps<R>): Promise<R> {
  const body = steps()
  // BEGIN travels with the first steps; it fails only where they do too.
  const begun = client.query('begin isolation level read committed').then(
    () => undefined,
    (error: unknown) => ({ error }),
  )
  let turn = body.next()
  while (!turn.done) {
    let rows: readonly (readonly Row[])[]
    try {
      rows = await sendAll(client, turn.value)
    } catch (error) {
      turn = body.throw(error)
      continue
    }
    turn = body.next(rows)
  }
  const failed = await begun
  if (failed !== undefined) throw failed.error
  return finish(client, turn.value)
}

/** The last steps and COMMIT in one go. Where a last step failed, COMMIT rolls back, and says so. */
async function finish<R>(client: pg.ClientBase, { result, last = [] }: Finish<R>): Promise<R> {
  const sent = last.map(one => send(client, one))
  const [commit, ...answers] = await Promise.allSettled([client.query('commit'), ...sent])
  const failed = answers.find(answer => answer.status === 'rejected' && stateOf(answer.reason) !== undefined)
  if (failed?.status === 'rejected') throw failed.reason
  if (commit.status === 'rejected')
    throw isOpen(commit.reason) ? new Uncertain(result, commit.reason) : commit.reason
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
