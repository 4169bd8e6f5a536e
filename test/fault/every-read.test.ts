// Every read of a whole history fails, one at a time: whoever cannot look denies, and nothing of it is done (property 32).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '@writ/sdk/protocol/fault'
import { isAway } from './answers.ts'
import { auditorOf } from './auditor.ts'
import { isWrite } from './broken-store.ts'
import { steps } from './scenario.ts'
import { leases, startUpstream } from './scenario-leases.ts'
import { type Scene, type Step, sceneOf } from './scene.ts'
import { placeOf } from './world.ts'

/** More than any step reads; a step that reaches it would never end. */
const mostReads = 80

/** Fails the step's first read, then its second, and so on; then it succeeds. Answers the reads that failed. */
async function withoutEach(scene: Scene, step: Step): Promise<readonly string[]> {
  const missed: string[] = []
  let happened = false
  for (let after = 0; after < mostReads; after++) {
    const breakage = { counts: (call: string) => !isWrite(call), after, times: 1, way: 'lost' as const }
    const before = await sizeOf(scene)
    const { value: answer, broken } = await scene.broken.during(breakage, () => step.ask(scene))
    const [read] = broken
    if (read === undefined) {
      const good = happened ? [step.status, step.again ?? step.status] : [step.status]
      assert.ok(good.includes(answer.status), `${step.name}: ${JSON.stringify(answer.body)}`)
      if (answer.status === step.status) step.keep?.(scene, answer)
      return missed
    }
    const said = `${step.name} without ${read}: ${answer.status} ${JSON.stringify(answer.body)}`
    // The token endpoint looks once more before it refuses; whoever looks again may well find what is so.
    assert.ok(isAway(answer) || answer.status === step.status, said)
    happened ||= answer.status === step.status
    missed.push(read)
    // Tokens that a step needed before it came to its point are decisions of their own.
    if (isAway(answer)) assert.ok((await sizeOf(scene)) - before <= 1, `${said}: and something was done`)
  }
  throw new Error(`${step.name} reads without an end`)
}

/** How much requests have left in the log; what loops do meanwhile has no action. */
async function sizeOf({ server: { store } }: Scene): Promise<number> {
  const [tenant] = await store.tenants.list()
  if (tenant === undefined) return 0
  const entries = await store.log.range({ tenant: tenant.id }, 0, Number.MAX_SAFE_INTEGER)
  return entries.filter(({ text }) => !isOfLoops(JSON.parse(text))).length
}

const isOfLoops = ({ type, action }: { readonly type: string; readonly action: string | null }): boolean =>
  action === null && /^(?:rotation|vault_key|issuer_key|secret|schedule|key)\./.test(type)

test('a history survives that each of its reads failed once, and none of them was taken for a yes', async t => {
  const world = await placeOf(t).open()
  const scene = sceneOf(world, 'reads')
  const auditor = auditorOf(world)
  await world.operator.manage('GET', '/agents')
  const upstream = await startUpstream(0)
  t.after(() => upstream.cluster.close())
  const missed: string[] = []
  for (const step of [...steps, ...leases(upstream)]) {
    missed.push(...(await withoutEach(scene, step)))
    await auditor.check()
  }
  t.diagnostic(`${missed.length} reads failed, of ${new Set(missed).size} kinds`)
  for (const read of [
    'facts.caller',
    'facts.resource',
    'signals.head',
    'signals.isNarrowed',
    'oneTimes.peek',
  ])
    assert.ok(missed.includes(read), `no step reads ${read}`)
})

test('what cannot be read is no reason to take an old answer: a caller that ended is refused or told to wait', async t => {
  const world = await placeOf(t).open()
  const scene = sceneOf(world, 'ended')
  for (const step of steps) {
    const answer = await step.ask(scene)
    step.keep?.(scene, answer)
    if (step.name === 'a token is refused to a suspended agent') break
  }
  const refused = steps.filter(({ status }) => status === 401 || status === 403 || status === 400)
  assert.ok(refused.length >= 4)
  for (const step of refused) {
    for (let after = 0; ; after++) {
      const breakage = { counts: () => true, after, way: 'lost' as const }
      const { value: answer, broken } = await scene.broken.during(breakage, () => step.ask(scene))
      assert.ok(
        !(answer.status < 400),
        `${step.name}, everything away after ${after} calls: ${answer.status}`,
      )
      if (broken.length === 0) break
    }
  }
})

test('a reading that is broken in itself is a failure with a request id, and nothing of it is done', async t => {
  const bugs: unknown[] = []
  const place = placeOf(t, {}, error => bugs.push(error))
  const world = await place.open()
  const scene = sceneOf(world, 'bugs')
  await world.operator.manage('GET', '/agents')
  const auditor = auditorOf(world)
  for (const step of steps) {
    const breakage = {
      counts: () => true,
      after: 0,
      way: 'lost' as const,
      error: () => new TypeError('a bug of the store'),
    }
    const { value: answer } = await scene.broken.during(breakage, () => step.ask(scene))
    assert.equal(answer.status, 500, `${step.name}: ${JSON.stringify(answer.body)}`)
    assert.equal(answer.body.code ?? answer.body.error, 'server_error')
    assert.doesNotMatch(JSON.stringify(answer.body), /bug of the store/)
    const again = await step.ask(scene)
    assert.equal(again.status, step.status, `${step.name}: ${JSON.stringify(again.body)}`)
    step.keep?.(scene, again)
  }
  assert.equal(bugs.length, steps.length)
  await auditor.check()
  assert.ok(!bugs.some(error => error instanceof Fault))
})
