// Every command that the README tells a newcomer, as typed: what it promises in five minutes has to be true.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { freePort, newFolder, plainEnvironment, root, runProgram, until } from './process.ts'

const readme = readFileSync(join(root, 'README.md'), 'utf8')

const commands = [...readme.matchAll(/^```sh\n(.*?)^```$/gms)]
  .flatMap(([, block = '']) => block.split('\n'))
  .filter(line => line.trim() !== '' && !line.startsWith('#'))

const isNpm = (command: string): boolean => command.startsWith('npm ')

test('has commands to try', () => {
  assert.ok(commands.length >= 5, commands.join('\n'))
})

test('promises of npm only what the continuous run does on a fresh clone', () => {
  const steps = [...readFileSync(join(root, '.ci/run'), 'utf8').matchAll(/^step (npm .*)$/gm)].map(
    ([, step]) => step,
  )
  const parts = commands.filter(isNpm).flatMap(command => command.split(' && '))
  assert.ok(parts.length > 0)
  for (const part of parts) assert.ok(steps.includes(part), `${part} is not a step of .ci/run`)
})

test('what is tried by hand works as typed', async t => {
  const data = join(
    newFolder(work => t.after(work)),
    'data',
  )
  // Only where the data lies and the port are ours: the commands stay as they are.
  const env = { WRIT_DATA: data, WRIT_PORT: String(await freePort()), WRIT_LOG_LEVEL: 'error' }
  const [serving, ...others] = commands.filter(command => !isNpm(command))
  assert.equal(serving, 'npx writ serve')
  // In a group of its own, like a job of a shell.
  const server = spawn('sh', ['-c', serving], {
    cwd: root,
    env: plainEnvironment(env),
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const pid = server.pid as number
  let said = ''
  for (const output of [server.stdout, server.stderr]) {
    output.on('data', chunk => {
      said += chunk
    })
  }
  let isOver = false
  const ended = once(server, 'exit').finally(() => {
    isOver = true
  })
  t.after(() => {
    if (!isOver) process.kill(-pid, 'SIGKILL')
  })
  await until(() => isOver || /^writ: ready http:/m.test(said), 60_000)
  assert.match(said, /^writ: ready http:\/\/127\.0\.0\.1:\d+$/m)
  assert.equal(statSync(join(data, 'operator.json')).mode & 0o777, 0o600)
  for (const command of others) {
    const { code, stdout, stderr } = await runProgram('sh', ['-c', command], { cwd: root, env })
    assert.equal(code, 0, `${command}: ${stderr}`)
    assert.notEqual(stdout, '', command)
  }
  // As Ctrl-C does it: to everybody in the group.
  process.kill(-pid, 'SIGINT')
  await ended
  await until(() => {
    try {
      return !process.kill(-pid, 0)
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH')
      return true
    }
  }, 6_000)
})
