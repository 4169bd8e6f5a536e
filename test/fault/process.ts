// `writ serve` as a process of its own that a test can kill, stop and start again. None of them outlives its test.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Party } from '../harness/party.ts'
import { mustBeRegistered } from './answers.ts'

const root = join(import.meta.dirname, '../..')

// Reads its standard input, which ends with the process that started it: whatever becomes of the test, the server goes,
// even one that was stopped in its tracks. Says which process is the server, and ends as it ends. A signal that is meant
// for all ends the reader, and with it the server.
const supervisor = `
trap : TERM INT HUP
exec 4<&0
"$@" 4<&- & pid=$!
echo $pid >&3
exec 3>&-
(trap : TERM INT HUP; cat <&4 >/dev/null; kill -KILL $pid 2>/dev/null) & reaper=$!
code=0
while kill -0 $pid 2>/dev/null; do wait $pid; code=$?; done
kill -KILL $reaper 2>/dev/null
exit $code
`

export interface ServeOptions {
  readonly data: string
  readonly port: number
  /** The address of the process itself unless told. */
  readonly issuer?: string
  readonly databaseUrl?: string
  /** Further keys of the configuration, as environment. */
  readonly env?: Readonly<Record<string, string>>
  /** A command that runs the one given to it as its last arguments, in this same process. */
  readonly through?: readonly string[]
}

export interface Serving {
  readonly origin: string
  readonly pid: number
  /** From the start of the process until it said that it is ready, milliseconds. */
  readonly readyMs: number
  /** Standard error so far. */
  said(): string
  signal(name: NodeJS.Signals): void
  /** Ends it as a crash would; resolves once it is gone. */
  kill(): Promise<void>
  /** Ends it as an operator does; resolves with the exit code. */
  stop(): Promise<number>
}

/** Refused to start, or ended before it was ready. */
export class DidNotStart extends Error {
  readonly code: number

  constructor(code: number, said: string) {
    super(`writ serve ended with ${code} before it was ready:\n${said}`)
    this.code = code
  }
}

/** A start that takes longer has stopped somewhere. */
const readyWithinMs = 60_000

/** Starts `writ serve` and waits until it says that it is ready. Throws DidNotStart. */
export async function serve(t: TestContext, options: ServeOptions): Promise<Serving> {
  const began = performance.now()
  const child = spawnServer(options)
  const gone = once(child, 'exit').then(([code, signal]) => (signal === null ? Number(code) : 128))
  t.after(async () => {
    child.stdin?.destroy()
    await gone
  })
  let said = ''
  child.stderr?.on('data', chunk => {
    said += chunk
  })
  const pid = await firstLine(child.stdio[3] as NodeJS.ReadableStream)
  const never = setTimeout(() => process.kill(Number(pid), 'SIGKILL'), readyWithinMs)
  const ready = await Promise.race([firstLine(child.stdout as NodeJS.ReadableStream), gone])
  clearTimeout(never)
  if (typeof ready === 'number' || !ready.startsWith('writ: ready ')) throw new DidNotStart(await gone, said)
  child.stdout?.resume()
  const signal = (name: NodeJS.Signals): void => void process.kill(Number(pid), name)
  return {
    origin: `http://127.0.0.1:${options.port}`,
    pid: Number(pid),
    readyMs: performance.now() - began,
    said: () => said,
    signal,
    async kill() {
      signal('SIGKILL')
      await gone
    },
    async stop() {
      signal('SIGTERM')
      return gone
    },
  }
}

/** Starts it and kills it after so long, ready or not. */
export async function serveBriefly(t: TestContext, options: ServeOptions, lifeMs: number): Promise<void> {
  const child = spawnServer(options)
  const gone = once(child, 'exit')
  t.after(() => child.stdin?.destroy())
  child.stderr?.resume()
  child.stdout?.resume()
  const pid = await firstLine(child.stdio[3] as NodeJS.ReadableStream)
  await new Promise(resolve => setTimeout(resolve, lifeMs))
  process.kill(Number(pid), 'SIGKILL')
  await gone
}

function spawnServer({ data, port, issuer, databaseUrl, env, through = [] }: ServeOptions): ChildProcess {
  const binary = join(root, 'node_modules/.bin/writ')
  const flags = ['serve', '--data', data, '--port', String(port)]
  if (issuer !== undefined) flags.push('--issuer', issuer)
  if (databaseUrl !== undefined) flags.push('--database', databaseUrl)
  return spawn('/bin/sh', ['-c', supervisor, 'sh', ...through, process.execPath, binary, ...flags], {
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'],
      WRIT_RATE_LIMITS: 'off',
      WRIT_LOG_LEVEL: 'warn',
      // Compiled once for all the processes of a test run.
      NODE_COMPILE_CACHE: join(root, '.build/compile-cache'),
      ...env,
    },
  })
}

/** The first line, or what came before the end. */
async function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  return new Promise(resolve => {
    const hear = (chunk: unknown): void => {
      text += String(chunk)
      if (text.includes('\n')) done()
    }
    const done = (): void => {
      stream.off('data', hear)
      resolve(text.split('\n', 1)[0] ?? '')
    }
    stream.on('data', hear)
    stream.once('end', done)
  })
}

/** A folder that goes with the test, after the servers on it. */
export function folderOf(t: TestContext, name = 'writ-process-'): string {
  const folder = mkdtempSync(join(tmpdir(), name))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export interface Reach {
  /** Where the requests go. */
  readonly origin: string
  /** The issuer that the answers come from, as it calls itself. */
  readonly issuer: string
}

/** Asks the node at `origin` for what the issuer publishes; every refusal has to be a registered one. */
export const askAt =
  ({ origin, issuer }: Reach) =>
  async (path: string, init?: RequestInit): Promise<Response> => {
    const url = path.startsWith(issuer) ? `${origin}${path.slice(issuer.length)}` : `${origin}${path}`
    const answer = await fetch(url, { ...init, signal: init?.signal ?? AbortSignal.timeout(30_000) })
    await mustBeRegistered(answer)
    return answer
  }

/** Somebody with a key in front of that node. */
export function partyAt(reach: Reach, clientId: string, jwk: Record<string, unknown>): Party {
  return new Party({ issuer: reach.issuer, clientId, jwk, fetch: askAt(reach), nowMs: Date.now })
}

export function operatorAt(reach: Reach, data: string): Party {
  const { client_id, jwk } = JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8'))
  return partyAt(reach, client_id, jwk)
}
