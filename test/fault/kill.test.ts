// Faults F1 and F2: kill -9 of the only node in the middle of writing, again and again. Campaigns: WRIT_FAULT_TRIALS.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freePort } from '../cli/process.ts'
import { payloadOf } from '../harness/agent.ts'
import { historyOf } from './history.ts'
import { startLoad } from './load.ts'
import { askAt, folderOf, operatorAt, type Reach, type ServeOptions, serve, serveBriefly } from './process.ts'
import { seeded } from './seed.ts'

const { random, seed, trials } = seeded(25)

/** What a node takes at most to serve again after it was killed (guarantee 8), on a machine that has nothing else to do. */
const recoveryMs = 5000

const env = { WRIT_CHECKPOINT_SECONDS: '1' }

test(`after each of ${trials} kills under load it serves again within ${recoveryMs} ms and has kept every word`, async t => {
  t.diagnostic(`seed ${seed}`)
  const port = await freePort()
  const options: ServeOptions = { data: folderOf(t), port, env }
  const reach: Reach = { origin: `http://127.0.0.1:${port}`, issuer: `http://127.0.0.1:${port}` }
  const fetch = askAt(reach)
  let node = await serve(t, options)
  const history = historyOf(reach.issuer)
  const load = await startLoad(t, reach, operatorAt(reach, options.data))
  const slowest: number[] = []
  for (let trial = 0; trial < trials; trial++) {
    const spell = load.run(4)
    await spell.answered(1)
    const watching = watch(() => history.look(fetch))
    await new Promise(resolve => setTimeout(resolve, random() * 300))
    await node.kill()
    await watching.stop()
    const { tokens, acknowledged, last } = await spell.stop()

    node = await serve(t, options)
    slowest.push(node.readyMs)
    await history.look(fetch)
    await history.read(operatorAt(reach, options.data))
    for (const token of tokens) {
      const { jti } = payloadOf(token)
      assert.ok(history.hasToken(String(jti)), `trial ${trial}: a token was given and is not in the log`)
    }
    for (const requestId of acknowledged)
      assert.equal(history.countOf(requestId), 1, `trial ${trial}: an acknowledged request is not in the log`)
    assert.ok(last)
    assert.equal((await last.repeatAssertion()).body.error, 'invalid_client', `trial ${trial}`)
    // Its nonce may have passed meanwhile, which is a refusal just the same.
    assert.match(
      (await last.repeatProof()).body.error,
      /^(invalid_dpop_proof|use_dpop_nonce)$/,
      `trial ${trial}`,
    )
  }
  await history.read(operatorAt(reach, options.data))
  const checkpoints = await history.prove(fetch)
  slowest.sort((a, b) => a - b)
  const median = slowest[trials >> 1] ?? 0
  t.diagnostic(
    `${trials} kills, ${load.count()} tokens, ${checkpoints} checkpoints proven, ready again after ${Math.round(median)} ms at the median and ${Math.round(slowest.at(-1) ?? 0)} ms at most`,
  )
  // Other tests share the machine and may hold up single starts: the middle one speaks for the server.
  assert.ok(median <= recoveryMs, `ready only after ${Math.round(median)} ms`)
  assert.equal(await node.stop(), 0)
})

test('a first start that is killed anywhere can be done again', async t => {
  const count = Math.ceil(trials / 4)
  for (let trial = 0; trial < count; trial++) {
    const port = await freePort()
    const options: ServeOptions = { data: folderOf(t), port, env }
    const reach: Reach = { origin: `http://127.0.0.1:${port}`, issuer: `http://127.0.0.1:${port}` }
    // Most of a start is loading programs; the second half is where it writes.
    await serveBriefly(t, options, random() * 1500)
    const node = await serve(t, options)
    const operator = operatorAt(reach, options.data)
    const agents = await operator.manage('GET', '/agents')
    assert.equal(agents.body.items.length, 1, `trial ${trial}`)
    const history = historyOf(reach.issuer)
    await history.read(operator)
    await node.kill()
  }
})

/** Does it again and again until told to stop; failures on the way to a dead server are not failures of the test. */
function watch(look: () => Promise<unknown>): { stop(): Promise<void> } {
  let isOver = false
  const run = async (): Promise<void> => {
    while (!isOver) {
      try {
        await look()
      } catch (error) {
        // Undici says so where nobody listens any more, or an answer was cut off.
        if (!(error instanceof TypeError)) throw error
        return
      }
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
  const running = run()
  return {
    stop() {
      isOver = true
      return running
    },
  }
}
