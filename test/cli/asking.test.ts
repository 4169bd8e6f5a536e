// Asking back before what cannot be undone: on a terminal, where somebody can answer.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { type TestContext, test } from 'node:test'
import { newFolder, plainEnvironment, serve, until, writ } from './process.ts'

// util-linux; the one of BSD takes its command otherwise.
const script = process.platform === 'linux' && existsSync('/usr/bin/script')
const skip = script ? false : 'needs script(1) of util-linux for a terminal'

/** Types one key once the question is on the screen; answers the exit code and the screen. */
async function onTerminal(t: TestContext, command: string, cwd: string, key: string) {
  const sized = `stty cols 120 rows 30; ${command}`
  const child = spawn('/usr/bin/script', ['--quiet', '--return', '--command', sized, '/dev/null'], {
    cwd,
    env: plainEnvironment({ TERM: 'xterm' }),
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  let screen = ''
  child.stdout.on('data', chunk => {
    screen += chunk
  })
  await until(() => screen.includes('for ever?'))
  child.stdin.write(key)
  const [code] = (await once(child, 'exit')) as [number]
  return { code, screen }
}

test('what cannot be undone is asked for, and done only at a yes', { skip }, async t => {
  const cwd = newFolder(work => t.after(work))
  const served = await serve(['--port', '0'], { cwd })
  t.after(() => served.end('SIGKILL'))
  const statusOf = async (): Promise<string> =>
    JSON.parse((await writ(['agent', 'show', 'reporter', '--json'], { cwd })).stdout).status
  assert.equal((await writ(['agent', 'create', '--name', 'reporter', '--purpose', 'p'], { cwd })).code, 0)
  const retire = 'writ agent retire reporter --reason done'
  for (const key of ['n', '\r', '\u0003']) {
    const { code, screen } = await onTerminal(t, retire, cwd, key)
    assert.equal(code, 1, screen)
    assert.match(screen, /writ: nothing was done/)
    assert.equal(await statusOf(), 'active')
  }
  assert.equal((await onTerminal(t, retire, cwd, 'y')).code, 0)
  assert.equal(await statusOf(), 'retired')
})
