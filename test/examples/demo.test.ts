// npm run demo, as a stranger runs it: seven ticks, an end in time, nothing left behind, and an honest failure.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Where the demo puts its folders, so that what it leaves behind can be seen. */
const temporary = mkdtempSync(join(tmpdir(), 'writ-demo-test-'))
// A PostgreSQL that root starts runs as somebody else, who has to find the way to its folder.
chmodSync(temporary, 0o711)
after(() => rmSync(temporary, { recursive: true, force: true }))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

interface Running {
  readonly ended: Promise<Ended>
  /** To the whole group, as a terminal does. */
  signal(signal: NodeJS.Signals): void
  /** To the demo alone. */
  kill(): void
  /** Resolves as soon as its output has this. */
  said(text: string): Promise<void>
}

function demo(args: readonly string[] = [], environment: Record<string, string> = {}): Running {
  const child = spawn(process.execPath, [...process.execArgv, 'examples/demo/main.ts', ...args], {
    cwd: root,
    env: { ...process.env, TMPDIR: temporary, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  const { pid } = child
  assert.ok(pid)
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', chunk => {
    stdout += chunk
  })
  child.stderr.on('data', chunk => {
    stderr += chunk
  })
  return {
    ended: new Promise(resolve => child.on('close', code => resolve({ code, stdout, stderr }))),
    signal: signal => void process.kill(-pid, signal),
    kill: () => void child.kill('SIGKILL'),
    said: text =>
      until(
        () => `the demo says ${text}`,
        () => {
          if (child.exitCode !== null) throw new Error(`ended with ${child.exitCode}: ${stdout}${stderr}`)
          return stdout.includes(text)
        },
      ),
  }
}

async function until(what: () => string, holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not within a minute: ${what()}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

/** Folders of a demo, and processes that were started with ours as the place for temporary files. */
function leftBehind(): readonly string[] {
  const folders = readdirSync(temporary)
  if (process.platform !== 'linux') return folders
  return [...folders, ...readdirSync('/proc').filter(entry => /^\d+$/.test(entry) && isOfDemo(entry))]
}

function isOfDemo(pid: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`TMPDIR=${temporary}`)
  } catch (error) {
    // It ended meanwhile, or is somebody else's.
    if (['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return false
    throw error
  }
}

const commandOf = (pid: string): string =>
  isOfDemo(pid) ? readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') : ''

const nothingLeft = (): Promise<void> =>
  until(
    () => `nothing is left behind: ${leftBehind().map(one => `${one} ${commandOf(one)}`)}`,
    () => leftBehind().length === 0,
  )
const ticks = (text: string): readonly string[] =>
  [...text.matchAll(/^ ✔ +step (\d)/gm)].map(([, step]) => step ?? '')

test('does all seven steps of the main job, in order, in lines that fit, and leaves nothing behind', async () => {
  const { code, stdout, stderr } = await demo().ended
  assert.equal(code, 0, stdout + stderr)
  assert.deepEqual(ticks(stdout), ['1', '2', '3', '4', '5', '6', '7'])
  assert.deepEqual(
    stdout.split('\n').filter(line => line.length > 80),
    [],
  )
  assert.equal(stderr, '')
  await nothingLeft()
})

test('rotates everything under traffic and lends a credential for seconds, in a chapter of its own', async () => {
  const { code, stdout, stderr } = await demo(['rotation']).ended
  assert.equal(code, 0, stdout + stderr)
  assert.deepEqual(ticks(stdout), ['1', '2', '3', '4'])
  assert.deepEqual(
    stdout.split('\n').filter(line => line.length > 80),
    [],
  )
  assert.match(stdout, /in the meantime, of which 0 failed/)
  await nothingLeft()
})

test('decides each call, opens a right for seconds and stops at a budget, in a chapter of its own', async () => {
  const { code, stdout, stderr } = await demo(['decisions']).ended
  assert.equal(code, 0, stdout + stderr)
  assert.deepEqual(ticks(stdout), ['1', '2', '3', '4', '5', '6'])
  assert.deepEqual(
    stdout.split('\n').filter(line => line.length > 80),
    [],
  )
  assert.match(stdout, /p99 +\d+ ms/)
  await nothingLeft()
})

test('fails at the step that does not do what it says, shows what was seen, and ends every process', async () => {
  // A thief who is let in: the demo has no switch for that, so the thief himself is made to lie.
  const lie = `
    if (process.argv[1]?.endsWith('thief/main.ts')) globalThis.fetch = async () => Response.json({})`
  const options = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(lie)}` }
  const { code, stdout, stderr } = await demo([], options).ended
  assert.equal(code, 1)
  assert.deepEqual(ticks(stdout), ['1', '2', '3'])
  assert.match(
    stderr,
    /✘ +token and another key\n +expected +\[ 401, 'invalid_token' \]\n +observed +\[ 200, undefined \]/,
  )
  assert.match(stderr, /── writ serve/)
  await nothingLeft()
})

test('fails when a part dies', async () => {
  const die = `
    if (process.argv[1]?.endsWith('protected-api/main.ts')) setTimeout(() => process.exit(3), 2500)`
  const options = { NODE_OPTIONS: `--import data:text/javascript,${encodeURIComponent(die)}` }
  const { code, stderr } = await demo([], options).ended
  assert.equal(code, 1)
  assert.match(stderr, /protected-api ended by itself/)
  await nothingLeft()
})

test('ends with all its processes on Ctrl-C', async () => {
  const running = demo()
  await running.said('step 2 did')
  running.signal('SIGINT')
  assert.equal((await running.ended).code, 130)
  await nothingLeft()
})

test('takes its processes along even where it is killed outright', async () => {
  const running = demo()
  await running.said('step 2 did')
  running.kill()
  await nothingLeft()
})

test('says which chapters there are when asked for another one', async () => {
  const { code, stderr } = await demo(['breakfast']).ended
  assert.equal(code, 2)
  assert.match(stderr, /no chapter breakfast; choose from: all main rotation decisions/)
})
