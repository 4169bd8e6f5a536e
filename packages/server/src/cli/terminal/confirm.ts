// Asking back before what cannot be undone: on a terminal only, and never where nobody could answer.
import type { Command } from 'commander'
import { CommandFailure, exitCodes, type Terminal } from '../command.ts'

export interface Sure {
  readonly yes?: true
  readonly reason?: string
}

/** The option of every command that asks back. */
export function destructive(made: Command): Command {
  return made.option('--yes', 'do not ask back')
}

/**
 * Returns where the answer is yes. A reason that was typed is a decision already, where nobody can be asked. Throws
 * CommandFailure otherwise.
 */
export async function confirm(terminal: Terminal, { yes, reason }: Sure, question: string): Promise<void> {
  if (yes) return
  if (terminal.stdin?.isTTY !== true || terminal.stdout.isTTY !== true) {
    if (reason !== undefined) return
    throw new CommandFailure(`${question} Nobody can be asked here; say so with --yes`, exitCodes.usage)
  }
  const prompts = await import('@clack/prompts')
  const answer = await prompts.confirm({ message: question, initialValue: false })
  if (answer !== true) throw new CommandFailure('nothing was done')
}
