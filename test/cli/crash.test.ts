// kill -9 in the middle of writing, again and again: what was acknowledged is there, and the next start is quick.
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { type AdminClient, createAdminClient } from '@writ/sdk/admin'
import { Agent } from '@writ/sdk/agent'
import { freePort, newFolder, type Served, serve, writ } from './process.ts'

const trials = 20
const writers = 8

function operatorOf(cwd: string): AdminClient {
  const file = JSON.parse(readFileSync(join(cwd, '.writ/operator.json'), 'utf8'))
  return createAdminClient(Agent.fromCredentials(file))
}

/** Creates agents, one after the other, until the server is gone; tells of those that were acknowledged. */
async function write(admin: AdminClient, owner: string, acknowledged: Set<string>): Promise<void> {
  try {
    for (;;) {
      const body = { name: 'written', owner, purpose: 'is written while the process dies' }
      acknowledged.add((await admin.call('agents.create', { body })).id)
    }
  } catch (error) {
    // fetch failed, or the answer broke off: never a refusal.
    assert.doesNotMatch(String(error), /conflict|invalid|denied/)
  }
}

test(`nothing acknowledged is lost by ${trials} kills in the middle of writing`, {
  timeout: 280_000,
}, async t => {
  const cwd = newFolder(work => t.after(work))
  const flags = ['--port', String(await freePort()), '--rate-limits', 'off']
  let served: Served = await serve(flags, { cwd })
  t.after(() => served.end('SIGKILL'))
  const acknowledged = new Set<string>()
  const restarts: number[] = []
  const { client_id: owner } = JSON.parse(readFileSync(join(cwd, '.writ/operator.json'), 'utf8'))
  for (let trial = 1; trial <= trials; trial++) {
    const admin = operatorOf(cwd)
    const before = acknowledged.size
    const writing = Array.from({ length: writers }, () => write(admin, owner, acknowledged))
    // The moment is drawn, not waited for: any will do, once something was written.
    while (acknowledged.size === before) await pause(1)
    await pause(randomInt(60))
    assert.deepEqual((await served.end('SIGKILL')).signal, 'SIGKILL')
    await Promise.all(writing)
    served = await serve(flags, { cwd })
    restarts.push(served.readyMs)
  }
  // Half of the restarts, for a busy machine may hold any one of them up.
  const usual = restarts.sort((a, b) => a - b)[Math.floor(trials / 2)] ?? Number.POSITIVE_INFINITY
  assert.ok(usual < 5000, `ready after ${usual} ms`)
  const found = new Set<string>()
  const logged = new Set<string>()
  const admin = operatorOf(cwd)
  for await (const agent of admin.pages('agents.list', { query: { limit: 200 } })) found.add(agent.id)
  for await (const entry of admin.pages('events.list', { query: { limit: 200, type: 'agent.created' } }))
    logged.add(entry.agent ?? '')
  const lost = [...acknowledged].filter(id => !found.has(id) || !logged.has(id))
  assert.deepEqual(lost, [])
  // An agent without its entry, or an entry without its agent, would be half a change.
  assert.deepEqual([...found].sort(), [...logged].sort())
  assert.equal((await writ(['audit', 'export', '--out', 'log.jsonl'], { cwd })).code, 0)
  assert.equal((await writ(['audit', 'verify', 'log.jsonl'], { cwd })).code, 0)
  t.diagnostic(`${acknowledged.size} acknowledged writes in ${trials} trials`)
})
