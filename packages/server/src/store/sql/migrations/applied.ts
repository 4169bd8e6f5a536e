// Which migrations a database has: for whoever brings it up to date and wants to say what that did.

import type { Engine } from '../engine/engine.ts'
import { openPostgres } from '../engine/postgres.ts'
import { openSqlite } from '../engine/sqlite.ts'
import type { Database } from '../open.ts'

const ledgers = {
  sqlite: `select name from sqlite_master where type = 'table' and name = 'migrations'`,
  postgres: `select to_regclass('migrations')::text as name where to_regclass('migrations') is not null`,
} as const

/**
 * Names of the applied migrations in their order; none for a new database. Throws what opening the database throws.
 */
export async function appliedMigrations(database: Database): Promise<readonly string[]> {
  const engine = database.kind === 'sqlite' ? openSqlite(database.file) : openPostgres(database.url, () => {})
  try {
    return await namesIn(engine)
  } finally {
    await engine.close()
  }
}

async function namesIn(engine: Engine): Promise<readonly string[]> {
  const ledger = await engine.query(ledgers[engine.kind], [])
  if (ledger.rows.length === 0) return []
  const { rows } = await engine.query('select name from migrations where number > 0 order by number', [])
  return rows.map(({ name }) => String(name))
}
