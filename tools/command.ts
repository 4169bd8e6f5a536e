// Running a program of somebody else's and keeping all it said, so that a guard can count and quote it.
import { execFile } from 'node:child_process'

export interface Said {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a program to its end; a code other than 0 is an answer, not an exception; a program that is not there throws.
 * The program does not learn that a test started it, so that it may run tests of its own.
 */
export const run = (program: string, args: readonly string[], cwd: string): Promise<Said> =>
  new Promise((resolve, reject) => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    execFile(program, args, { cwd, env, encoding: 'utf8', maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      if (error && typeof error.code === 'string') reject(error)
      else resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr })
    })
  })

/** Runs a JavaScript program of `node_modules` under this very Node, whatever Node the machine has. */
export const runScript = (root: string, script: string, args: readonly string[]): Promise<Said> =>
  run(process.execPath, [`${root}/node_modules/${script}`, ...args], root)

export const linesOf = (text: string): string[] => text.split('\n').filter(line => line.trim() !== '')
