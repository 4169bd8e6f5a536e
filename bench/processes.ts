// The servers under measurement, each its own process on loopback, ended with the benchmark.
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')

export interface Running {
  readonly port: number
  /** Milliseconds from the start of the process until it said that it answers. */
  readonly readyMs: number
  /** Resident memory in MB, as the operating system counts it. */
  residentMb(): number
  /** Time on the processor so far, in seconds, as the operating system counts it. */
  cpuSeconds(): number
  stop(): Promise<void>
}

/** An authority that is to be started on this data, under an address that is free now. */
export interface Site {
  readonly data: string
  readonly port: number
  readonly issuer: string
  readonly database?: string
  /** Environment of the configuration. */
  readonly settings?: Readonly<Record<string, string>>
}

export async function siteAt(data: string, database?: string): Promise<Site> {
  const port = await freePort()
  return { data, port, issuer: `http://127.0.0.1:${port}`, ...(database === undefined ? {} : { database }) }
}

export function freePort(): Promise<number> {
  return new Promise(resolve => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo
      probe.close(() => resolve(port))
    })
  })
}

/** The authority, quiet and without rate limits; everything else as it comes. */
export async function startAuthority({ data, port, database, settings }: Site): Promise<Running> {
  const flags = ['serve', '--data', data, '--port', `${port}`, '--rate-limits', 'off', '--log-level', 'error']
  if (database !== undefined) flags.push('--database', database)
  const program = join(root, 'packages/server/bin/writ.js')
  return { ...(await start(program, flags, /^writ: ready/m, settings)), port }
}

export interface NodeSite extends Site {
  /** What holds the root: nodes share it. */
  readonly sealer: string
  readonly settings: Readonly<Record<string, string>>
}

/** One node of several, under an issuer that is not its own address. */
export async function startNode({
  data,
  port,
  issuer,
  database = '',
  sealer,
  settings,
}: NodeSite): Promise<Running> {
  const flags = ['serve', '--data', data, '--port', `${port}`, '--issuer', issuer, '--database', database]
  const environment = { ...settings, WRIT_SEALER: sealer, WRIT_RATE_LIMITS: 'off', WRIT_LOG_LEVEL: 'error' }
  const program = join(root, 'packages/server/bin/writ.js')
  return { ...(await start(program, flags, /^writ: ready/m, environment)), port }
}

/** USER_HZ of Linux. */
const ticksPerSecond = 100

export function startFloor(mode: 'crypto' | 'sqlite' | 'postgres', place = ''): Promise<Running> {
  return start(join(root, 'bench/floor-server.ts'), [mode, place], /^ready (\d+)/m)
}

/** A bare server that decides, on a database in this file. */
export function startDecisionFloor(file: string): Promise<Running> {
  return start(join(root, 'bench/decision/floor.ts'), [file], /^ready (\d+)/m)
}

/** A protected resource of this identifier, which follows the issuer. */
export function startResource(issuer: string, resource: string): Promise<Running> {
  return start(join(root, 'bench/denial/resource.ts'), [issuer, resource], /^ready (\d+)/m)
}

async function start(
  program: string,
  args: readonly string[],
  ready: RegExp,
  environment: Readonly<Record<string, string>> = {},
): Promise<Running> {
  const started = performance.now()
  const child = spawn(
    process.execPath,
    ['--conditions=writ-source', '--disable-warning=ExperimentalWarning', program, ...args],
    {
      cwd: root,
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const end = (): void => void child.kill('SIGKILL')
  process.once('exit', end)
  const port = await readyPort(child, ready)
  const readyMs = performance.now() - started
  return {
    port,
    readyMs,
    residentMb: () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? Number.NaN) /
      1024,
    cpuSeconds() {
      // proc(5): user and system time are the 14th and 15th field; the second may contain anything, up to its bracket.
      const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
      return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
    },
    async stop() {
      process.off('exit', end)
      const gone = new Promise(resolve => child.once('exit', resolve))
      child.kill('SIGTERM')
      await gone
    },
  }
}

function readyPort(child: ChildProcess, ready: RegExp): Promise<number> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout?.on('data', chunk => {
      text += chunk
      const found = ready.exec(text)
      if (found !== null) resolve(Number(found[1]))
    })
    child.once('exit', code => reject(new Error(`a server ended with ${code} before it was ready`)))
  })
}
