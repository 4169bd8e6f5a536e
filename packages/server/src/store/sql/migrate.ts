// Migrations: numbered, forward only, checksummed; one node at a time, all or nothing.
import { createHash } from 'node:crypto'
import { sql } from 'kysely'
import { type Kind, type Words, words } from './dialect.ts'
import { type Batches, type Engine, type Row, type Steps, step } from './engine/engine.ts'
import * as foundation from './migrations/0001-foundation.ts'
import * as rotationAndVault from './migrations/0002-rotation-and-vault.ts'
import * as authorization from './migrations/0003-authorization.ts'

/** One small step of the schema, written once for both dialects. */
export interface Migration {
  readonly name: string
  up(words: Words): readonly string[]
}

/** In order: the first is number 1. Only ever appended to. */
export const migrations: readonly Migration[] = [foundation, rotationAndVault, authorization]

/** The table of migrations itself; row 0 is there to be locked. */
const ledger = ({ text, int, table }: Words): string =>
  `create table if not exists migrations (
  number ${int} primary key not null,
  name ${text} not null,
  checksum ${text} not null,
  applied_at ${int} not null
)${table}`

const checksumOf = (statements: readonly string[]): string =>
  createHash('sha256').update(statements.join(';\n')).digest('hex')

/**
 * Brings the schema to the last migration. Refuses a database that a newer program has migrated, and one whose
 * applied migrations are not the ones known here.
 */
export async function migrate(
  engine: Engine,
  batches: Batches,
  to: { readonly now: number; readonly migrations?: readonly Migration[] },
): Promise<void> {
  const { batch, forUpdate } = batches
  await makeLedger(engine)
  const lock = batch(
    'migrations-lock',
    { number: 'int', applied_at: 'int' },
    input => sql`
    insert into migrations (number, name, checksum, applied_at)
    select number, 'lock', '', applied_at from ${input} where true on conflict do nothing`,
  )
  const applied = batch(
    'migrations-applied',
    { number: 'int' },
    input => sql`
    select number, name, checksum from migrations where number >= (select number from ${input})
    order by number ${forUpdate}`,
  )
  const record = batch(
    'migrations-record',
    { number: 'int', name: 'text', checksum: 'text', applied_at: 'int' },
    input => sql`
    insert into migrations (number, name, checksum, applied_at)
    select number, name, checksum, applied_at from ${input}`,
  )
  await engine.transact(function* run(): Steps<void> {
    const [, rows = []] = yield [step(lock, [[0, to.now]]), step(applied, [[0]])]
    for (const [number, migration] of pending(engine.kind, rows, to.migrations ?? migrations)) {
      const statements = migration.up(words[engine.kind])
      yield [
        ...statements.map(text => ({ text })),
        step(record, [[number, migration.name, checksumOf(statements), to.now]]),
      ]
    }
    return { result: undefined }
  })
}

/** Makes the table of migrations; PostgreSQL tells some of those who make it at once that it is there already. */
async function makeLedger(engine: Engine): Promise<void> {
  const make = () =>
    engine.transact(function* prepare(): Steps<void> {
      yield [{ text: ledger(words[engine.kind]) }]
      return { result: undefined }
    })
  await make().catch(make)
}

/** Those not applied yet, with their numbers. */
function pending(
  kind: Kind,
  rows: readonly Row[],
  known: readonly Migration[],
): (readonly [number, Migration])[] {
  const applied = rows.filter(row => (row['number'] as number) > 0)
  if (applied.length > known.length) {
    throw new Error(
      `The database is at migration ${applied.length}, this program knows ${known.length}: use the newer program.`,
    )
  }
  for (const [at, row] of applied.entries()) {
    const migration = known[at] as Migration
    if (row['number'] !== at + 1 || row['checksum'] !== checksumOf(migration.up(words[kind]))) {
      throw new Error(`The database has another migration ${at + 1} (${row['name']}) than this program.`)
    }
  }
  return known.slice(applied.length).map((migration, at) => [applied.length + at + 1, migration] as const)
}
