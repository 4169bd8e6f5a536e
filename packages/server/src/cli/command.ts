// What every command of the writ binary shares: options for all, where output goes, and how it ends.
import { Command, InvalidArgumentError } from 'commander'

/** Where a command reads and writes; a test hands in its own. */
export interface Terminal {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean }
  readonly stderr: { write(text: string): unknown }
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

  constructor(say: string, exitCode: 1 | 2 = exitCodes.failed) {
    super(say)
    this.exitCode = exitCode
  }
}

/** A new command. The options for all stand on the program, before or after the command's name. */
export function command(name: string, does: string): Command {
  return new Command(name)
    .description(does)
    .showHelpAfterError('(add --help for the options)')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
}

/** The program itself, with the options for all. */
export function programCommand(): Command {
  return command('writ', 'The authority between AI agents and everything they can break.')
    .option('--json', 'print JSON')
    .option('--data <dir>', 'the folder of the data (default .writ, or WRIT_DATA)')
    .option('--issuer <url>', 'which authority to talk to (or WRIT_ISSUER)')
}

/** Parses a whole number within bounds; wrong usage otherwise. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`must be a whole number from ${min} to ${max}.`)
  }
}
