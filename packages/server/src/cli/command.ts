// What every command of the writ binary shares: options for all, where output goes, and how it ends.
import { Command, type CommanderError, InvalidArgumentError } from 'commander'

/** Where a command reads and writes; a test hands in its own. */
export interface Terminal {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number }
  readonly stderr: { write(text: string): unknown }
  /** Left out where nobody can be asked. */
  readonly stdin?: AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean }
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** Options that stand before or after every command. */
export interface GlobalOptions {
  readonly json?: true
  readonly data?: string
  readonly issuer?: string
}

/** Exit codes of the contract: 0 done, 1 refused or failed with a reason, 2 wrong usage. */
export const exitCodes = { done: 0, failed: 1, usage: 2 } as const

/** A command that failed with a reason: one sentence that says what to do next. */
export class CommandFailure extends Error {
  readonly exitCode: 1 | 2

  constructor(say: string, exitCode: 1 | 2 = exitCodes.failed, options?: ErrorOptions) {
    super(say, options)
    this.exitCode = exitCode
  }
}

/** `writ agent create`, for sentences. */
function pathOf(used: Command): string {
  return used.parent === null ? used.name() : `${pathOf(used.parent)} ${used.name()}`
}

/** A new command. The options for all stand on the program, before or after the command's name. */
export function command(name: string, does: string): Command {
  const made = new Command(name)
    .description(does)
    .configureHelp({ showGlobalOptions: true })
    // What is wrong is said once, as one sentence, by whoever runs the program.
    .configureOutput({ outputError: () => {} })
  return made.exitOverride(error => {
    throw usageOf(error, made)
  })
}

/** A command that only holds others. */
export function family(name: string, does: string): Command {
  const made = command(name, does)
  return made.allowExcessArguments().action((_given: unknown, used: Command) => {
    throw new CommandFailure(sayMissing(used), exitCodes.usage)
  })
}

/** `writ help agent create` is `writ agent create --help`. */
export function helpCommand(): Command {
  return command('help', 'say what a command does and takes')
    .argument('[command...]', 'its name')
    .action((names: readonly string[], _given: unknown, used: Command) => {
      let about = used.parent as Command
      for (const name of names) {
        const found = about.commands.find(one => one.name() === name)
        if (found === undefined) throw new CommandFailure(sayUnknown(about, name), exitCodes.usage)
        about = found
      }
      about.outputHelp()
    })
}

function sayUnknown(above: Command, named: string): string {
  const path = pathOf(above)
  return `there is no command ${JSON.stringify(named)}; ${path} has ${namesIn(above)}; see ${path} --help`
}

const namesIn = ({ commands }: Command): string => commands.map(one => one.name()).join(', ')

function sayMissing(used: Command): string {
  const [named] = used.args
  if (named !== undefined) return sayUnknown(used, named)
  const path = pathOf(used)
  return `${path} needs a command: ${namesIn(used)}; see ${path} --help`
}

/** How commander puts it, and how we do. */
const sayings: readonly (readonly [RegExp, string])[] = [
  [/^option '(--?[\w-]+)[^']*' argument '(.*)' is invalid\. (.*?)\.?$/s, "$1 $3, not '$2'"],
  [/^command-argument value '(.*)' is invalid for argument '(.*)'\. (.*?)\.?$/s, "$2 $3, not '$1'"],
  [/^option '(--?[\w-]+)[^']*?(<.*>)' argument missing$/, '$1 needs a value: $2'],
  [/^required option '(.*)' not specified$/, '$1 is missing'],
  [/^missing required argument '(.*)'$/, 'the argument <$1> is missing'],
  [
    /^too many arguments.*Expected (\d+) arguments? but got (\d+).*$/s,
    'too many arguments: expected $1, got $2',
  ],
  [/\n\(Did you mean (.*)\?\)$/, ' (did you mean $1?)'],
]

/** commander's own errors in our words: `unknown option '--nope'; see writ serve --help`. Help is no error. */
function usageOf(error: CommanderError, used: Command): CommanderError | CommandFailure {
  if (error.exitCode === 0) return error
  let say = error.message.replace(/^error: /, '')
  for (const [theirs, ours] of sayings) say = say.replace(theirs, ours)
  return new CommandFailure(`${say}; see ${pathOf(used)} --help`, exitCodes.usage)
}

/** The program itself, with the options for all. */
export function programCommand(): Command {
  return family('writ', 'The authority between AI agents and everything they can break.')
    .option('--json', 'print JSON')
    .option('--data <dir>', 'the folder of the data (default .writ, or WRIT_DATA)')
    .option(
      '--issuer <url>',
      'which authority to talk to (default WRIT_ISSUER, or that of the operator file)',
    )
}

/** The folder of the data. */
export function dataOf(options: GlobalOptions, { environment }: Pick<Terminal, 'environment'>): string {
  return options.data ?? (environment['WRIT_DATA'] || '.writ')
}

/** Parses a whole number within bounds; wrong usage otherwise. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`must be a whole number from ${min} to ${max}.`)
  }
}

/** Collects an option that may be given several times. */
export function several(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}
