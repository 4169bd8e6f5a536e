// Instances that are asked to rotate: each hears over the stream, takes its own moment, and no process is kept alive by it.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Agent } from '@writ/sdk/agent'
import { type Serving, serve } from '../attacks/serve.ts'
import { expect } from '../harness/agent.ts'
import { until } from '../harness/deadline.ts'

const hasty = { WRIT_DRAIN_SECONDS: '1', WRIT_ROTATION_SPREAD_SECONDS: '2', WRIT_RATE_LIMITS: 'off' }

function folder(t: TestContext): string {
  const made = mkdtempSync(join(tmpdir(), 'writ-asking-'))
  t.after(() => rmSync(made, { recursive: true, force: true }))
  return made
}

async function invite(writ: Serving): Promise<string> {
  const agent = { name: 'asked', owner: writ.operator.clientId, purpose: 'test' }
  const { id } = expect(await writ.operator.manage('POST', '/agents', agent), 201)
  const made = expect(await writ.operator.manage('POST', `/agents/${id}/enrollments`), 201)
  return `${made.enroll_uri}#${made.token}`
}

const rotate = (writ: Serving, target: string) =>
  writ.operator.manage('POST', '/rotations', { kind: 'instance_key', target })

test('instances that are asked rotate within the spread, each at its own moment, without asking for a token', async t => {
  const writ = await serve(t, hasty)
  const agents = await Promise.all(
    Array.from({ length: 8 }, async (_, at) => {
      const directory = join(folder(t), String(at))
      return Agent.load({ directory, enrollment: await invite(writ) })
    }),
  )
  t.after(() => agents.forEach(agent => void agent.close()))
  const before = agents.map(agent => agent.key().thumbprint)
  // The streams are open before anybody is asked.
  await pause(1000)
  const begun = expect(await writ.operator.manage('POST', '/rotations/batch', { kind: 'instance_key' }), 200)
  assert.ok(begun.items.length >= agents.length)
  const atMs: number[] = []
  const beganMs = performance.now()
  await until('all have another key', 20, async () => {
    agents.forEach((agent, at) => {
      if (agent.key().thumbprint !== before[at]) atMs[at] ??= performance.now() - beganMs
    })
    return atMs.filter(ms => ms !== undefined).length === agents.length
  })
  assert.ok(Math.max(...atMs) < 6000, `${atMs}`)
  // Not all at once: with eight keys the chance that all fall into one quarter of the spread is below 1 in 10,000.
  assert.ok(Math.max(...atMs) - Math.min(...atMs) > 100, `${atMs}`)
  await until('the old keys have drained', 20, async () => {
    const { items } = expect(
      await writ.operator.manage('GET', `/rotations?batch=${begun.batch}&state=retired`),
      200,
    )
    return items.length === agents.length
  })
})

test('one that is offline stays staged, and answers when it comes back', async t => {
  const writ = await serve(t, hasty)
  const directory = folder(t)
  const first = await Agent.load({ directory, enrollment: await invite(writ) })
  const old = first.key().thumbprint
  const { instance } = first
  first.close()
  const { id } = expect(await rotate(writ, instance ?? ''), 201)
  await pause(3000)
  assert.equal(expect(await writ.operator.manage('GET', `/rotations/${id}`), 200).state, 'staged')
  const second = await Agent.load({ directory })
  t.after(() => second.close())
  // It has no grant anywhere; that it asks is enough to hear of it.
  const body = { identifier: 'https://api.example', name: 'API', scopes: [{ name: 'r', description: 'r' }] }
  expect(await writ.operator.manage('POST', '/resources', body), 201)
  await second.token({ resource: 'https://api.example' })
  await until('it has another key', 20, async () => second.key().thumbprint !== old)
})

test('a process that has done its work ends, although it never closed its agent', async t => {
  const writ = await serve(t, hasty)
  const script = `
    const { Agent } = await import('@writ/sdk/agent')
    const agent = await Agent.load()
    await new Promise(resolve => setTimeout(resolve, 1500))
    console.log('done ' + agent.clientId)`
  const child = spawn(
    process.execPath,
    [
      '--conditions=writ-source',
      '--disable-warning=ExperimentalWarning',
      '--input-type=module',
      '-e',
      script,
    ],
    {
      cwd: join(import.meta.dirname, '../..'),
      env: { ...process.env, WRIT_ENROLLMENT: await invite(writ), WRIT_AGENT_DIRECTORY: folder(t) },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  let said = ''
  child.stdout.on('data', chunk => (said += chunk))
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const [code] = await once(child, 'close')
  clearTimeout(late)
  assert.equal(code, 0)
  assert.match(said, /^done agt_/)
})

test('one that is closed while its issuer is away ends quietly', async t => {
  const writ = await serve(t, hasty)
  const agent = await Agent.load({ directory: folder(t), enrollment: await invite(writ) })
  await pause(500)
  await writ.stop()
  // It has lost the stream, and waits before it looks for another one.
  await pause(300)
  agent.close()
  // A rejection that nobody handles would fail the test.
  await pause(100)
})
