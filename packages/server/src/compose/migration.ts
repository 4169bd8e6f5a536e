// Bringing the database up to date without serving from it.

import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { databaseOf } from '../compose.ts'
import type { Config } from '../config.ts'
import { appliedMigrations } from '../store/sql/migrations/applied.ts'
import { openStore } from '../store/sql/open.ts'

export interface Migrated {
  readonly database: 'sqlite' | 'postgres'
  /** Names of the migrations that were applied now. */
  readonly applied: readonly string[]
}

/** Throws where the database is in use by another process, cannot be reached, or belongs to a newer program. */
export async function migrateDatabase(config: Config): Promise<Migrated> {
  mkdirSync(config.data, { recursive: true, mode: 0o700 })
  const database = databaseOf(config)
  const before = new Set(await appliedMigrations(database))
  const store = await openStore(database, { randomBytes })
  await store.close()
  const after = await appliedMigrations(database)
  return { database: database.kind, applied: after.filter(name => !before.has(name)) }
}
