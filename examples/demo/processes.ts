// The processes of the demo: each says when it is ready, all end with it, and what they wrote is there when one fails.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'

export interface Command {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** Whether it holds on to a channel to us by which it notices that we are gone. */
  readonly isLeashed?: boolean
  /** Asked for once the program has said that it is ready, and written to its standard input, which ends there. */
  readonly input?: () => Promise<string>
}

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface Processes {
  /** Starts one that stays; resolves with what follows `ready ` on its standard output. */
  start(command: Command): Promise<string>
  /** Runs one to its end; it need not say that it is ready unless it wants input. */
  run(command: Command): Promise<Ended>
  /** Rejects when one that was to stay ends by itself. */
  readonly trouble: Promise<never>
  /** The last lines that each process wrote. */
  tails(): string
  /** Asks all to end, waits, forces those that do not; the exit code of each that was to stay. */
  stop(): Promise<ReadonlyMap<string, number | null>>
  /** Deletes the folder. Only for a chapter that has ended: one that was broken off may still be writing into it. */
  clean(): Promise<void>
}

interface Running {
  readonly name: string
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
  readonly stays: boolean
  stdout: string
  stderr: string
}

const kept = 1_000_000
const readySeconds = 20
const stopSeconds = 6
const tailLines = 12

/** `folder` is deleted by `clean`, or when this process ends in whatever other way. */
export function openProcesses(folder: string): Processes {
  const all = new Set<Running>()
  const trouble = Promise.withResolvers<never>()
  // Whoever races against it hears of it; before and after that it is nobody's concern.
  trouble.promise.catch(() => undefined)
  let isStopping = false
  const reaper = fork(new URL('./reaper/main.ts', import.meta.url), { stdio: 'ignore' })
  const reaperEnded = new Promise(resolve => reaper.once('exit', resolve))
  reaper.send({ folder })
  reaper.unref()
  reaper.channel?.unref()
  const tell = (fact: object): void => void (reaper.connected && reaper.send(fact))

  const launch = (
    { name, command, args, environment, isLeashed = false }: Command,
    stays: boolean,
  ): Running => {
    const env = { ...process.env, ...environment }
    const child = spawn(command, args, {
      env,
      stdio: isLeashed ? ['pipe', 'pipe', 'pipe', 'ipc'] : ['pipe', 'pipe', 'pipe'],
    })
    const { stdin, stdout, stderr } = child
    if (stdin === null || stdout === null || stderr === null) throw new Error('pipes were asked for')
    const ended = new Promise<number | null>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', resolve)
    })
    const running: Running = { name, child, ended, stays, stdout: '', stderr: '' }
    all.add(running)
    tell({ began: child.pid })
    stdout.on('data', chunk => {
      running.stdout = (running.stdout + chunk).slice(-kept)
    })
    stderr.on('data', chunk => {
      running.stderr = (running.stderr + chunk).slice(-kept)
    })
    // A process that is gone reads no more; how it went is seen by its end.
    stdin.on('error', () => undefined)
    const gone = (how: unknown): void => {
      tell({ ended: child.pid })
      if (stays && !isStopping) trouble.reject(new Error(`${name} ended by itself (${how})`))
    }
    ended.then(gone, gone)
    return running
  }

  return {
    trouble: trouble.promise,
    async start(command) {
      const running = launch(command, true)
      running.child.stdin?.end()
      return Promise.race([readyOf(running), trouble.promise])
    },
    async run(command) {
      const running = launch(command, false)
      if (command.input !== undefined) await Promise.race([readyOf(running), running.ended])
      running.child.stdin?.end(await command.input?.())
      const code = await running.ended
      return { code, stdout: running.stdout, stderr: running.stderr }
    },
    tails: () => [...all].map(tailOf).join(''),
    async stop() {
      isStopping = true
      const codes = await Promise.all([...all].map(async one => [one, await end(one)] as const))
      return new Map(codes.filter(([one]) => one.stays).map(([one, code]) => [one.name, code]))
    },
    async clean() {
      reaper.ref()
      if (reaper.connected) reaper.disconnect()
      await reaperEnded
    },
  }
}

/** What a program says to be ready with, as `writ serve` does: the address that it answers at. */
async function readyOf(running: Running): Promise<string> {
  const deadline = performance.now() + readySeconds * 1000
  for (;;) {
    const ready = /ready (\S+)\n/.exec(running.stdout)?.[1]
    if (ready !== undefined) return ready
    if (performance.now() > deadline) throw new Error(`${running.name} was not ready in ${readySeconds} s`)
    await pause(10)
  }
}

async function end({ child, ended }: Running): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM')
  const forcing = setTimeout(() => child.kill('SIGKILL'), stopSeconds * 1000)
  const code = await ended.catch(() => null)
  clearTimeout(forcing)
  return code
}

function tailOf({ name, child, stdout, stderr }: Running): string {
  const lines = `${stdout}${stderr}`.trimEnd().split('\n').slice(-tailLines)
  const how = child.exitCode ?? child.signalCode ?? 'running'
  return `\n── ${name} (${how})\n${lines.map(line => `   ${line}\n`).join('')}`
}
