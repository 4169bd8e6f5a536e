// A Redis of its own for a test: the real server on a free port, with its files in a folder that goes with it.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '@redis/client'

const program = 'redis-server'

export interface RedisServer {
  readonly port: number
  /** The URL of a user that may manage users. */
  readonly admin: string
  /** Runs one command as the administrator. */
  ask(...words: string[]): Promise<unknown>
  /** Stops it and starts it again from its files. */
  restart(): Promise<void>
  /** Stops it as kill -9 does. */
  kill(): Promise<void>
  close(): Promise<void>
}

/** Why there is none on this machine; undefined where there is one. */
export function redisMissing(): string | undefined {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' })
    return undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    return 'there is no redis-server on this machine (Debian package redis-server)'
  }
}

/** A Redis with an aclfile, or with users in its configuration file, or with neither. */
export async function startRedis(users: 'aclfile' | 'config' | 'nowhere' = 'aclfile'): Promise<RedisServer> {
  const folder = await mkdtemp(join(tmpdir(), 'writ-redis-'))
  const port = await freePort()
  const root = 'user root on >root-password ~* &* +@all'
  const own = [`port ${port}`, 'bind 127.0.0.1', `dir ${folder}`, 'save ""', 'appendonly no']
  const file = join(folder, 'redis.conf')
  if (users === 'aclfile') await writeFile(join(folder, 'users.acl'), `user default off\n${root}\n`)
  const last = users === 'aclfile' ? [`aclfile ${join(folder, 'users.acl')}`] : ['user default off', root]
  await writeFile(file, `${[...own, ...last].join('\n')}\n`)
  // Without a file there is nothing to rewrite: the same settings as arguments.
  const args = users === 'nowhere' ? own.flatMap(asArguments) : [file]
  const admin =
    users === 'nowhere'
      ? `redis://default:root-password@127.0.0.1:${port}`
      : `redis://root:root-password@127.0.0.1:${port}`
  if (users === 'nowhere') args.push('--requirepass', 'root-password')
  let child = await started(args, port)
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  return {
    port,
    admin,
    async ask(...words) {
      const client = createClient({ url: admin, RESP: 2, socket: { reconnectStrategy: false } })
      client.on('error', () => undefined)
      await client.connect()
      try {
        return await client.sendCommand(words)
      } finally {
        client.destroy()
      }
    },
    async restart() {
      await stop('SIGKILL')
      child = await started(args, port)
    },
    kill: () => stop('SIGKILL'),
    async close() {
      await stop('SIGKILL')
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function started(args: readonly string[], port: number): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  for await (const chunk of child.stdout) {
    said += String(chunk)
    if (said.includes('Ready to accept connections')) {
      child.stdout.destroy()
      return child
    }
  }
  throw new Error(`redis-server on ${port} did not start: ${said}`)
}

function asArguments(line: string): string[] {
  const [name = '', ...values] = line.split(' ')
  return [`--${name}`, values.join(' ').replace(/^""$/, '')]
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  server.close()
  return address.port
}
