// The writ binary: one program, one file per command.
import { isFault } from '@writ/sdk/protocol/fault'
import { CommanderError } from 'commander'
import { ConfigProblem } from '../config.ts'
import { CommandFailure, exitCodes, programCommand, type Terminal } from './command.ts'
import { serveCommand } from './serve.ts'

/** Runs one command line and answers the exit code; errors are one sentence on stderr. */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const program = programCommand()
    .addCommand(serveCommand(terminal))
    .configureOutput({
      writeOut: text => void terminal.stdout.write(text),
      writeErr: text => void terminal.stderr.write(text),
    })
  for (const sub of program.commands) sub.copyInheritedSettings(program)
  try {
    await program.parseAsync(args, { from: 'user' })
    return exitCodes.done
  } catch (error) {
    return ended(error, terminal)
  }
}

function ended(error: unknown, terminal: Terminal): number {
  // commander has said its piece already; help and version are no errors.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage
  const say = sentenceOf(error)
  terminal.stderr.write(`writ: ${say}\n`)
  return error instanceof CommandFailure ? error.exitCode : exitCodes.failed
}

function sentenceOf(error: unknown): string {
  if (error instanceof ConfigProblem || error instanceof CommandFailure || isFault(error))
    return error.message
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') return 'the port is taken; stop the other program or choose another with --port'
  if (code === 'EACCES') return `not allowed: ${message}`
  return message ?? String(error)
}

if (import.meta.main) {
  const { stdout, stderr, env } = process
  process.exitCode = await run(process.argv.slice(2), { stdout, stderr, environment: env })
}
