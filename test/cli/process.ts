// The writ command as users have it: `writ serve` in a process of its own, and single commands beside it.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

export const root = join(import.meta.dirname, '../..')
const bin = join(root, 'node_modules/.bin')
export const writBinary = join(bin, 'writ')

/** Long enough for a start on a machine that is busy with everything else. */
const readyMs = 60_000

/** A folder that goes with the test. */
export function newFolder(after: (work: () => void) => void): string {
  const folder = mkdtempSync(join(tmpdir(), 'writ-cli-'))
  after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** What a shell has in which nobody has set anything for Writ. */
export function plainEnvironment(set: Readonly<Record<string, string>> = {}): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(?:WRIT_|NODE_|npm_|NO_COLOR|FORCE_COLOR)/.test(name),
  )
  return {
    ...Object.fromEntries(kept),
    PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}`,
    // Hundreds of short processes load the same files: compiled once, they take a third of the time.
    NODE_COMPILE_CACHE: join(root, '.build/compile-cache'),
    ...set,
  }
}

/** A port that nobody had a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

export interface Said {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface Where {
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
  /** Standard input; none where left out. */
  readonly input?: string
}

/** Runs a program to its end. */
export function runProgram(
  program: string,
  args: readonly string[],
  { cwd, env, input }: Where,
): Promise<Said> {
  return new Promise((resolve, reject) => {
    const options = { cwd, env: plainEnvironment(env), encoding: 'utf8' as const, maxBuffer: 1 << 26 }
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (error && typeof error.code === 'string') reject(error)
      else resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr })
    })
    // Whoever reads nothing is gone before anything was written.
    child.stdin?.on('error', () => {})
    if (child.exitCode === null) child.stdin?.end(input ?? '')
  })
}

export const writ = (args: readonly string[], where: Where): Promise<Said> =>
  runProgram(writBinary, args, where)

/** An authority in a process of its own. */
export interface Served {
  readonly issuer: string
  readonly child: ChildProcess
  readonly pid: number
  /** From the start of the process to the line that says it is ready. */
  readonly readyMs: number
  stderr(): string
  /** Sends the signal and waits for the end. */
  end(
    signal?: NodeJS.Signals,
  ): Promise<{ readonly code: number | null; readonly signal: string | null; readonly ms: number }>
}

/** Starts `writ serve` and waits until it says that it answers. Throws what it said where it ended before that. */
export async function serve(flags: readonly string[], { cwd, env }: Where): Promise<Served> {
  const began = performance.now()
  const child = spawn(writBinary, ['serve', '--log-level', 'error', ...flags], {
    cwd,
    env: plainEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', chunk => {
    stdout += chunk
  })
  child.stderr.on('data', chunk => {
    stderr += chunk
  })
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>
  const issuer = await readyLine(
    () => stdout,
    ended,
    () => stderr,
  )
  return {
    issuer,
    child,
    pid: child.pid as number,
    readyMs: performance.now() - began,
    stderr: () => stderr,
    async end(signal = 'SIGTERM') {
      const asked = performance.now()
      child.kill(signal)
      const [code, by] = await ended
      return { code, signal: by, ms: performance.now() - asked }
    },
  }
}

async function readyLine(
  stdout: () => string,
  ended: Promise<unknown>,
  stderr: () => string,
): Promise<string> {
  let isOver = false
  ended.then(
    () => {
      isOver = true
    },
    () => undefined,
  )
  for (const deadline = performance.now() + readyMs; performance.now() < deadline; await pause(20)) {
    const [, issuer] = /^writ: ready (\S+)$/m.exec(stdout()) ?? []
    if (issuer !== undefined) return issuer
    if (isOver) throw new Error(`serve ended: ${stderr()}`)
  }
  throw new Error(`serve is not ready: ${stderr()}`)
}

/** Looks until it is so. */
export async function until(isSo: () => boolean | Promise<boolean>, withinMs = 30_000): Promise<void> {
  for (const deadline = performance.now() + withinMs; !(await isSo()); await pause(20)) {
    if (performance.now() > deadline) throw new Error(`not so within ${withinMs} ms: ${isSo}`)
  }
}
