// The writ binary: the program over the terminal of this process.
import { exitCodes } from './command.ts'
import { run } from './program.ts'

const { stdin, stdout, stderr, env } = process
// `writ events list | head`: whoever has read enough is no failure.
stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(exitCodes.done)
  throw error
})
process.exitCode = await run(process.argv.slice(2), { stdin, stdout, stderr, environment: env })
