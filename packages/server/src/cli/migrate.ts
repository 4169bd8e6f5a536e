// writ migrate: brings the database to this version without serving, so that a deployment can do it first.
import type { Command } from 'commander'
import { command, type GlobalOptions, type Terminal } from './command.ts'
import { configOf, configurable } from './config/flags.ts'
import { printerFor } from './terminal/print.ts'

export function migrateCommand(terminal: Terminal): Command {
  const made = command('migrate', 'bring the database to the schema of this version, and say what was done')
  return configurable(made).action(async (_options: unknown, used: Command) => {
    const { config } = configOf(used, terminal)
    const { migrateDatabase } = await import('../compose/migration.ts')
    const done = await migrateDatabase(config)
    printerFor(terminal, used.optsWithGlobals<GlobalOptions>()).object(done, {
      database: done.database,
      applied: done.applied.length === 0 ? 'nothing: it is up to date' : done.applied.join(', '),
    })
  })
}
