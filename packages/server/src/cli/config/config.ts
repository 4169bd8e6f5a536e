// writ config: what is in force and where it came from, and what there is to set.
import type { Command } from 'commander'
import { type ConfigKey, configRows, environmentName, type Source } from '../../config.ts'
import { command, family, type GlobalOptions, type Terminal } from '../command.ts'
import { type Column, printerFor } from '../terminal/print.ts'
import { configOf, configurable, flagOf } from './flags.ts'

export function configCommand(terminal: Terminal): Command {
  return family('config', 'check the configuration, and say what there is to set')
    .addCommand(checkCommand(terminal))
    .addCommand(docsCommand(terminal))
}

interface Setting {
  readonly key: ConfigKey
  readonly value: unknown
  readonly source: Source
  readonly from: string
}

function checkCommand(terminal: Terminal): Command {
  const made = command('check', 'print the effective configuration; fails where serve would refuse it')
  return configurable(made).action(async (_options: unknown, used: Command) => {
    const { config, sources } = configOf(used, terminal)
    const options = used.optsWithGlobals<GlobalOptions & { readonly config?: string }>()
    const items = (Object.keys(configRows) as ConfigKey[]).map((key): Setting => {
      const source = sources[key]
      return { key, value: shown(key, config[key]), source, from: placeOf(key, source, options.config) }
    })
    printerFor(terminal, options).table({ items }, settingColumns, 'no keys')
  })
}

/** A secret is never printed: the terminal may be shared, the output kept. */
function shown(key: ConfigKey, value: unknown): unknown {
  return 'secret' in configRows[key] && value !== undefined ? '[secret]' : (value ?? null)
}

function placeOf(key: ConfigKey, source: Source, file = ''): string {
  const places = { flag: flagOf(key), environment: environmentName(key), file, default: '' }
  return places[source]
}

const settingColumns: readonly Column<Setting>[] = [
  { head: 'key', of: ({ key }) => key },
  { head: 'value', of: ({ value }) => String(value ?? '') },
  { head: 'from', of: ({ source, from }) => (from === '' ? source : `${source} ${from}`) },
]

interface Doc {
  readonly key: ConfigKey
  readonly flag: string
  readonly environment: string
  readonly default: unknown
  readonly does: string
  readonly because: string
}

const docColumns: readonly Column<Doc>[] = [
  { head: 'key', of: ({ key }) => key },
  { head: 'flag', of: ({ flag }) => flag },
  { head: 'environment', of: ({ environment }) => environment },
  { head: 'default', of: doc => String(doc.default ?? '') },
  { head: 'what it does, and why somebody would change it', of: ({ does, because }) => `${does} ${because}` },
]

function docsCommand(terminal: Terminal): Command {
  return command(
    'docs',
    'print every key with its flag, its default, what it does and why one would change it',
  ).action(async (_options: unknown, used: Command) => {
    const items = Object.entries(configRows).map(([name, { schema, does, because }]): Doc => {
      const key = name as ConfigKey
      const standard = schema.safeParse(undefined).data
      return {
        key,
        flag: flagOf(key),
        environment: environmentName(key),
        default: standard ?? null,
        does,
        because,
      }
    })
    printerFor(terminal, used.optsWithGlobals<GlobalOptions>()).table({ items }, docColumns, 'no keys')
  })
}
