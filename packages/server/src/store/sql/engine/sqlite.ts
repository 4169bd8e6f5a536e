// SQLite through node:sqlite: one connection, one process, write-ahead log, every commit on the disk before its answer.
import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import {
  type Batch,
  type Engine,
  type Row,
  type Scalar,
  type Step,
  type Steps,
  type Trouble,
  Violation,
} from './engine.ts'

/** Statements kept prepared beside those of batches. */
const keptStatements = 200

// https://www.sqlite.org/rescode.html: primary result codes are the low byte.
const troubles: Readonly<Record<number, Trouble>> = {
  5: 'unavailable', // SQLITE_BUSY
  6: 'unavailable', // SQLITE_LOCKED
  8: 'unavailable', // SQLITE_READONLY: the file system was remounted
  10: 'unavailable', // SQLITE_IOERR
  13: 'unavailable', // SQLITE_FULL
  14: 'unavailable', // SQLITE_CANTOPEN: the journal cannot be made
  19: 'violation', // SQLITE_CONSTRAINT
}

const troubleOf = (error: unknown): Trouble => {
  const code = (error as { errcode?: unknown }).errcode
  return typeof code === 'number' ? (troubles[code & 0xff] ?? 'other') : 'other'
}

const unavailable = (error: unknown): Fault =>
  new Fault(
    'temporarily_unavailable',
    'The store cannot take this now.',
    { kind: 'store_unavailable' },
    { cause: error },
  )

/**
 * Opens the file, or makes it with mode 0600, and holds it exclusively until `close`: a second process would not see
 * the first one's memory, and neither would know what the other has committed.
 */
export function openSqlite(file: string): Engine {
  if (file !== ':memory:') {
    closeSync(openSync(file, 'a', 0o600))
    chmodSync(file, 0o600)
  }
  const db = new DatabaseSync(file, { enableForeignKeyConstraints: true, timeout: 200 })
  try {
    // Exclusive before the first use of the log: its index then stays in this process's memory.
    db.exec('pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full')
    db.exec('pragma trusted_schema = off; pragma cell_size_check = on; pragma cache_size = -16384')
    db.exec('pragma temp_store = memory; pragma wal_autocheckpoint = 4000; begin exclusive; commit')
  } catch (error) {
    db.close()
    if (troubleOf(error) !== 'unavailable' || (error as { errcode: number }).errcode !== 5) throw error
    throw new Fault(
      'temporarily_unavailable',
      `The data in ${file} is in use by another process; stop that one first.`,
      {
        kind: 'store_in_use',
        file,
      },
    )
  }
  return engineOver(db)
}

function engineOver(db: DatabaseSync): Engine {
  const kept = new Map<string, StatementSync>()
  const statement = (text: string): StatementSync => {
    const known = kept.get(text)
    if (known !== undefined) return known
    const made = db.prepare(text)
    if (kept.size >= keptStatements) kept.delete(kept.keys().next().value as string)
    kept.set(text, made)
    return made
  }
  const batches = new Map<Batch, StatementSync>()
  const runBatch = (batch: Batch, rows: readonly (readonly Scalar[])[]): readonly Row[] => {
    let prepared = batches.get(batch)
    if (prepared === undefined) {
      prepared = db.prepare(batch.sql)
      batches.set(batch, prepared)
    }
    if (!batch.returns) {
      for (const row of rows) prepared.run(...row)
      return []
    }
    const back: Row[] = []
    for (const row of rows) for (const found of prepared.all(...row)) back.push(found as Row)
    return back
  }
  const runSteps = (steps: readonly Step[]): (readonly Row[])[] =>
    steps.map((one, at) => {
      try {
        if ('batch' in one) return runBatch(one.batch, one.rows)
        db.exec(one.text)
        return []
      } catch (error) {
        throw troubleOf(error) === 'violation' ? new Violation(at, error) : error
      }
    })
  return {
    kind: 'sqlite',
    async query(text, parameters) {
      try {
        const prepared = statement(text)
        const values = parameters as Scalar[]
        if (prepared.columns().length > 0) return { rows: prepared.all(...values) as Row[], changes: 0 }
        return { rows: [], changes: Number(prepared.run(...values).changes) }
      } catch (error) {
        throw troubleOf(error) === 'unavailable' || !db.isOpen ? unavailable(error) : error
      }
    },
    async transact(steps) {
      try {
        return runThrough(db, steps, runSteps)
      } catch (error) {
        if (isFault(error)) throw error
        throw troubleOf(error) === 'unavailable' || !db.isOpen ? unavailable(error) : error
      }
    },
    async ping() {
      if (!db.isOpen) return false
      try {
        db.prepare('select 1 from heads limit 1').get()
        return true
      } catch {
        // Whatever it is: it does not answer.
        return false
      }
    },
    async close() {
      if (db.isOpen) db.close()
    },
  }
}

// INVARIANT: nothing is awaited between BEGIN and COMMIT, so no read of this process ever sees half a transaction.
function runThrough<R>(
  db: DatabaseSync,
  steps: () => Steps<R>,
  runSteps: (steps: readonly Step[]) => readonly (readonly Row[])[],
): R {
  db.exec('begin immediate')
  try {
    const body = steps()
    let turn = body.next()
    while (!turn.done) {
      let rows: readonly (readonly Row[])[]
      try {
        rows = runSteps(turn.value)
      } catch (error) {
        turn = body.throw(error)
        continue
      }
      turn = body.next(rows)
    }
    const { result, last } = turn.value
    if (last !== undefined) runSteps(last)
    db.exec('commit')
    return result
  } catch (error) {
    // A full disk may have rolled back already.
    if (db.isOpen && db.isTransaction) db.exec('rollback')
    throw error
  }
}
