// Fault F4: the database stops, as a crash and as an operator would stop it, and comes back, while clients go on asking.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Cluster, startPostgres } from '@writ/server/testing'
import { freePort } from '../cli/process.ts'
import { payloadOf } from '../harness/agent.ts'
import { until } from '../harness/deadline.ts'
import { isAway } from './answers.ts'
import { historyOf } from './history.ts'
import { startLoad } from './load.ts'
import { askAt, folderOf, operatorAt, type Reach, serve } from './process.ts'
import { seeded } from './seed.ts'

const { random, seed, trials } = seeded(6)

/** How long the database stays away once everybody has noticed; longer in a campaign. */
const awayMs = (Number(process.env['WRIT_FAULT_OUTAGE_SECONDS']) || 0) * 1000

/** Guarantee 8: after the database accepts writes again. */
const backMs = 5000

const published = ['/jwks', '/.well-known/oauth-authorization-server', '/.well-known/writ-configuration']
const alive = [...published, '/healthz', '/audit/key', '/api/v1/openapi.json']

let cluster: Cluster
before(async () => {
  cluster = await startPostgres({ databases: 1 })
})
after(() => cluster?.close())

test(`while the database is away ${trials} times, every write is told to come again and nothing that was answered is lost`, async t => {
  t.diagnostic(`seed ${seed}`)
  const port = await freePort()
  const data = folderOf(t)
  const reach: Reach = { origin: `http://127.0.0.1:${port}`, issuer: `http://127.0.0.1:${port}` }
  const fetch = askAt(reach)
  const env = { WRIT_CHECKPOINT_SECONDS: '1' }
  const node = await serve(t, { data, port, databaseUrl: cluster.database(), env })
  const operator = operatorAt(reach, data)
  const history = historyOf(reach.issuer)
  const load = await startLoad(t, reach, operator)
  const back: number[] = []
  let told = 0
  for (let trial = 0; trial < trials; trial++) {
    const spell = load.run(4)
    await spell.answered(5)
    await new Promise(resolve => setTimeout(resolve, random() * 200))
    await cluster.stop(trial % 2 === 0 ? 'crash' : 'fast')
    await until('requests told to come again', 30, async () => spell.soFar().away >= 10)
    for (const path of alive) assert.equal((await fetch(path)).status, 200, `trial ${trial}: ${path}`)
    assert.equal((await globalThis.fetch(`${node.origin}/readyz`)).status, 503)
    const checkpoint = await fetch('/audit/checkpoint')
    assert.ok(isAway({ status: checkpoint.status, body: await checkpoint.json() }))
    await new Promise(resolve => setTimeout(resolve, awayMs))
    await cluster.start()
    const startedAt = performance.now()
    const before = load.count()
    await until('tokens again', 30, async () => load.count() > before)
    back.push(performance.now() - startedAt)
    const { tokens, acknowledged, away, lost } = await spell.stop()
    told += away
    assert.equal(lost, 0, `trial ${trial}: a connection was lost`)
    await history.look(fetch)
    await history.read(operator)
    for (const token of tokens)
      assert.ok(
        history.hasToken(String(payloadOf(token)['jti'])),
        `trial ${trial}: a token without its entry`,
      )
    for (const requestId of acknowledged) assert.equal(history.countOf(requestId), 1, `trial ${trial}`)
  }
  await until('a checkpoint of what came last', 20, async () => (await history.look(fetch)) > load.count())
  await history.read(operator)
  const checkpoints = await history.prove(fetch)
  back.sort((a, b) => a - b)
  const most = back.at(-1) ?? 0
  t.diagnostic(
    `${trials} stops, ${load.count()} tokens, ${told} requests told to come again, ${checkpoints} checkpoints proven; back after ${Math.round(back[trials >> 1] ?? 0)} ms at the median and ${Math.round(most)} ms at most`,
  )
  assert.ok(most <= backMs, `back only after ${Math.round(most)} ms`)
  assert.equal(await node.stop(), 0, node.said())
})
