// Nodes of one authority share its sealing key, or refuse to start; and whichever of them is killed, the other goes on.
import assert from 'node:assert/strict'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Cluster, startPostgres } from '@writ/server/testing'
import { freePort } from '../cli/process.ts'
import { historyOf } from '../fault/history.ts'
import { startLoad } from '../fault/load.ts'
import { DidNotStart, folderOf, serve } from '../fault/process.ts'
import { seeded } from '../fault/seed.ts'
import { payloadOf } from '../harness/agent.ts'
import { until } from '../harness/deadline.ts'
import { issuer, twoNodes } from './two-nodes.ts'

const { random, seed, trials } = seeded(6)

let cluster: Cluster
before(async () => {
  cluster = await startPostgres({ databases: 3 })
})
after(() => cluster?.close())

test('a node with another root refuses to start and changes nothing', async t => {
  const databaseUrl = cluster.database()
  const { a, b } = await twoNodes(t, { databaseUrl })
  assert.equal(await b.serving.stop(), 0)
  const history = historyOf(issuer)
  await history.read(a.operator)
  const foreign = join(folderOf(t), 'foreign')
  const elsewhere = await serve(t, { data: foreign, port: await freePort(), issuer })
  assert.equal(await elsewhere.stop(), 0)
  const stranger = folderOf(t)
  copyFileSync(join(foreign, 'seal.key'), join(stranger, 'seal.key'))
  const starting = serve(t, { data: stranger, port: await freePort(), issuer, databaseUrl })
  await assert.rejects(starting, (error: unknown) => {
    assert.ok(error instanceof DidNotStart)
    assert.equal(error.code, 1, error.message)
    assert.match(error.message, /does not open with the key file .*seal\.key/)
    return true
  })
  const keys = await a.operator.manage('GET', '/issuer/keys')
  assert.equal(keys.body.items.length, 1)
  await a.operator.token(`${issuer}/api/v1`)
})

test(`of two nodes one is killed ${trials} times under load; the other goes on without a word of it`, async t => {
  t.diagnostic(`seed ${seed}`)
  const nodes = await twoNodes(t, { databaseUrl: cluster.database(), env: { WRIT_CHECKPOINT_SECONDS: '1' } })
  const { a, b } = nodes
  const history = historyOf(issuer)
  const doomed = await startLoad(t, a.reach, a.operator, 'https://doomed.example')
  const steady = await startLoad(t, b.reach, b.operator, 'https://steady.example')
  const ready: number[] = []
  for (let trial = 0; trial < trials; trial++) {
    const [first, second] = [doomed.run(3), steady.run(3)]
    await Promise.all([first.answered(1), second.answered(1)])
    await new Promise(resolve => setTimeout(resolve, random() * 300))
    await a.serving.kill()
    const before = steady.count()
    await until('tokens of the node that is left', 10, async () => steady.count() > before + 5)
    const [cut, kept] = [await first.stop(), await second.stop()]
    assert.deepEqual([kept.away, kept.lost], [0, 0], `trial ${trial}: the other node failed requests`)
    a.serving = await serve(t, a.options)
    ready.push(a.serving.readyMs)
    await history.look(b.fetch)
    await history.read(b.operator)
    for (const token of [...cut.tokens, ...kept.tokens])
      assert.ok(
        history.hasToken(String(payloadOf(token)['jti'])),
        `trial ${trial}: a token without its entry`,
      )
    for (const requestId of [...cut.acknowledged, ...kept.acknowledged])
      assert.equal(history.countOf(requestId), 1, `trial ${trial}`)
    assert.ok(cut.last)
    assert.equal((await cut.last.repeatAssertion()).body.error, 'invalid_client')
    assert.match((await cut.last.repeatProof()).body.error, /^(invalid_dpop_proof|use_dpop_nonce)$/)
  }
  // Whoever held the lease may be dead: the other publishes once it has run out.
  const size = doomed.count() + steady.count()
  await until('a checkpoint of everything', 30, async () => (await history.look(b.fetch)) >= size)
  await history.read(b.operator)
  const checkpoints = await history.prove(b.fetch)
  t.diagnostic(
    `${trials} kills, ${size} tokens, ${checkpoints} checkpoints proven, ready again after ${Math.round(Math.max(...ready))} ms at most`,
  )
  const median = ready.sort((one, other) => one - other)[trials >> 1] ?? 0
  assert.ok(median <= 5000, `ready only after ${Math.round(median)} ms`)
})
