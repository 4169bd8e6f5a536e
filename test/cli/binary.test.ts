// The writ command under every Node there is: whichever one starts it, the program runs under Node 24 as one with it.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, describe, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { run } from '../../tools/command.ts'

const root = join(import.meta.dirname, '../..')

/** Stands in for the CLI: says who it is, then does what its first argument names. */
const probe = `
import 'node:sqlite'
import { readFileSync } from 'node:fs'
const [action, value] = process.argv.slice(2)
const { pid, version, execArgv } = process
const caught = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const
if (action === 'catch') for (const signal of caught) process.on(signal, () => { console.log(signal); process.exit(9) })
console.log(JSON.stringify({ pid, version, execArgv, args: process.argv.slice(2) }))
if (action === 'exit') process.exitCode = Number(value)
else if (action === 'read') console.log(readFileSync(0, 'utf8'))
else if (action === 'die') process.kill(pid, 'SIGKILL')
else setInterval(() => {}, 1000)
`

const made: string[] = []
after(() => {
  for (const folder of made) rmSync(folder, { recursive: true })
})

/** A checkout with our binary and the probe as its program. */
const checkout = (packaged: boolean): string => {
  const folder = mkdtempSync(join(tmpdir(), 'writ-binary-'))
  made.push(folder)
  cpSync(join(root, 'packages/server/bin'), join(folder, 'bin'), { recursive: true })
  mkdirSync(join(folder, 'src/cli'), { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(folder, 'src/cli/main.ts'), probe)
  if (packaged) symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return join(folder, 'bin/writ.js')
}

/** Every Node older than 24 that the search path offers. */
const olderNodes = async (): Promise<string[]> => {
  const folders = new Set((process.env['PATH'] ?? '').split(delimiter))
  const nodes = [...folders].map(folder => join(folder, 'node')).filter(node => existsSync(node))
  const versions = await Promise.all(nodes.map(node => run(node, ['--version'], root)))
  const found = new Map(nodes.map((node, index) => [versions[index]?.stdout.trim() ?? '', node]))
  return [...found].filter(([version]) => Number(/^v(\d+)/.exec(version)?.[1]) < 24).map(([, node]) => node)
}

interface Mode {
  readonly node: string
  readonly flags: readonly string[]
}

const older = await olderNodes()
const modes: Readonly<Record<string, Mode>> = {
  'a Node 24 that replaces its process': { node: process.execPath, flags: [] },
  'a Node 24 that cannot replace its process': {
    node: process.execPath,
    flags: ['--import', 'data:text/javascript,delete process.execve'],
  },
  ...Object.fromEntries(older.map(node => [`the older ${node}`, { node, flags: [] }])),
}

interface Hello {
  readonly pid: number
  readonly version: string
  readonly execArgv: readonly string[]
  readonly args: readonly string[]
}

/** The first line the program prints, read without taking the rest of what it says. */
const hello = async (child: ChildProcess): Promise<Hello> => {
  assert.ok(child.stdout)
  let said = ''
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false })) {
    said += String(chunk)
    if (said.includes('\n')) return JSON.parse(said.slice(0, said.indexOf('\n'))) as Hello
  }
  throw new Error(`it only said: ${said}`)
}

/** The fields of `/proc/<pid>/stat` after the name: state, parent, group, …; undefined where there is none. */
const statOf = (pid: number): string[] | undefined => {
  const stat = `/proc/${pid}/stat`
  return existsSync(stat) ? readFileSync(stat, 'utf8').split(') ')[1]?.split(' ') : undefined
}

const isAlive = (pid: number): boolean => {
  try {
    // A zombie has ended: that its adoptive parent has not asked how is not ours to judge.
    return process.kill(pid, 0) && statOf(pid)?.[0] !== 'Z'
  } catch (error) {
    assert.match((error as NodeJS.ErrnoException).code ?? '', /^(ESRCH|ENOENT)$/)
    return false
  }
}

const groupOf = async (pid: number): Promise<string> =>
  statOf(pid)?.[2] ?? (await run('ps', ['-o', 'pgid=', '-p', String(pid)], root)).stdout.trim()

for (const [name, { node, flags }] of Object.entries(modes)) {
  describe(`started by ${name}`, () => {
    const start = (...args: string[]): ChildProcess =>
      spawn(node, [...flags, checkout(true), ...args], { stdio: ['pipe', 'pipe', 'pipe'] })

    test('runs under Node 24 with its arguments, passes the exit code through and warns of nothing', async () => {
      const child = start('exit', '7', '--json', 'a b')
      assert.ok(child.stderr)
      const [said, errors, [code]] = await Promise.all([
        hello(child),
        text(child.stderr),
        once(child, 'exit'),
      ])
      assert.match(said.version, /^v24\./)
      assert.deepEqual(said.args, ['exit', '7', '--json', 'a b'])
      assert.equal(code, 7)
      assert.equal(errors, '')
    })

    test('hands its standard input to the program', async () => {
      const child = start('read')
      assert.ok(child.stdin && child.stdout)
      child.stdin.end('what was piped in')
      assert.match(await text(child.stdout), /what was piped in/)
    })

    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) {
      test(`lets the program answer ${signal} itself`, async () => {
        const child = start('catch')
        await hello(child)
        assert.ok(child.stdout)
        child.kill(signal)
        const [rest, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')])
        assert.match(rest, new RegExp(signal))
        assert.equal(code, 9)
      })
    }

    test('ends by the signal that ended the program', async () => {
      const waiting = start('wait')
      await hello(waiting)
      waiting.kill('SIGTERM')
      assert.deepEqual(await once(waiting, 'exit'), [null, 'SIGTERM'])
      assert.deepEqual(await once(start('die'), 'exit'), [null, 'SIGKILL'])
    })

    test('runs the program in its own process group, so that a terminal or a supervisor reaches both', async () => {
      const child = start('wait')
      const { pid } = await hello(child)
      assert.ok(child.pid)
      assert.equal(await groupOf(pid), await groupOf(child.pid))
      child.kill('SIGKILL')
      await once(child, 'exit')
    })

    test('leaves no orphan behind when it is killed with kill -9', async () => {
      const child = start('catch')
      const { pid } = await hello(child)
      child.kill('SIGKILL')
      await once(child, 'exit')
      const deadline = Date.now() + 10_000
      while (isAlive(pid) && Date.now() < deadline) await pause(10)
      assert.equal(isAlive(pid), false)
    })
  })
}

for (const [chosen, room] of [
  ['--max-old-space-size=4096', ['--max-semi-space-size=32']],
  ['--max-old-space-size=512', []],
  ['--max-old-space-size=4096 --max-semi-space-size=8', []],
] as const) {
  test(`bounds the room of new objects where nothing else does: ${chosen}`, async () => {
    const env = { ...process.env, NODE_OPTIONS: chosen }
    const child = spawn(process.execPath, [checkout(true), 'exit', '0'], { env, stdio: 'pipe' })
    const { execArgv } = await hello(child)
    assert.deepEqual(
      execArgv.filter(flag => flag.startsWith('--max')),
      room,
    )
  })
}

test('runs under the Node that started it when that one is new enough and none was packaged', async () => {
  const { code, stdout } = await run(process.execPath, [checkout(false), 'exit', '4'], root)
  assert.equal(code, 4)
  assert.match(stdout, /"version":"v24\./)
})

test('says what to do when there is no Node 24 at all', async () => {
  const claim = `Object.defineProperty(process, 'versions', { value: { node: '20.1.0' } })`
  const [node, ...flags] = older[0]
    ? [older[0]]
    : [process.execPath, '--import', `data:text/javascript,${claim}`]
  const { code, stdout, stderr } = await run(node, [...flags, checkout(false), 'exit', '0'], root)
  assert.equal(code, 1)
  assert.equal(stdout, '')
  assert.match(
    stderr,
    /^writ: needs Node 24, .* Install without --omit=optional, or run writ with Node 24 or later\.\n$/,
  )
})
