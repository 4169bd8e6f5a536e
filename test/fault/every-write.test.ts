// Every write of a whole history fails, one at a time and in both ways; then asking again is all that it takes.
import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import type { ServerOptions } from '@writ/server'
import type { Answer } from '../harness/party.ts'
import { isAway } from './answers.ts'
import { type Auditor, auditorOf } from './auditor.ts'
import { isWrite, type Way, ways } from './broken-store.ts'
import { steps } from './scenario.ts'
import { leases, startUpstream, type Upstream } from './scenario-leases.ts'
import { type Scene, type Step, sceneOf } from './scene.ts'
import { placeOf } from './world.ts'

let upstream: Upstream
before(async () => {
  upstream = await startUpstream(16)
})
after(() => upstream?.cluster.close())

/** More than any step commits; a step that reaches it would never end. */
const mostCommits = 10

/**
 * Breaks the step's first commit, then its second, and so on until nothing is left to break; then it succeeds. Answers
 * how many commits were broken.
 */
async function survive(scene: Scene, step: Step, way: Way, auditor: Auditor): Promise<number> {
  let happened = false
  for (let after = 0; after < mostCommits; after++) {
    const breakage = { counts: (call: string) => call === 'commit', after, times: 1, way }
    const { value: answer, broken } = await scene.broken.during(breakage, () => step.ask(scene))
    const said = `${step.name}, commit ${after + 1} ${way}: ${answer.status} ${JSON.stringify(answer.body)}`
    if (broken.length === 0) {
      mustHaveDone(step, answer, happened)
      await learn(scene, step, answer)
      return after
    }
    assert.ok(isAway(answer), said)
    happened ||= way === 'unheard'
    await auditor.check()
  }
  throw new Error(`${step.name} commits without an end`)
}

function mustHaveDone(step: Step, answer: Answer, happened: boolean): void {
  const good = happened ? [step.status, step.again ?? step.status] : [step.status]
  assert.ok(good.includes(answer.status), `${step.name}: ${answer.status} ${JSON.stringify(answer.body)}`)
}

async function learn(scene: Scene, step: Step, answer: Answer): Promise<void> {
  const known = answer.status === step.status ? answer : await step.find?.(scene)
  if (known !== undefined) step.keep?.(scene, known)
}

/** Every operation of the management API that does something, by the document that the server publishes. */
async function operationsThatWrite({ fetch }: Scene): Promise<readonly string[]> {
  const document = (await (await fetch('/api/v1/openapi.json')).json()) as {
    paths: Record<string, Record<string, { operationId: string }>>
  }
  return Object.values(document.paths).flatMap(methods =>
    Object.entries(methods).flatMap(([method, { operationId }]) => (method === 'get' ? [] : [operationId])),
  )
}

function suite(options: () => ServerOptions): void {
  for (const way of ways) {
    test(`a history survives that each of its commits was ${way} once`, async t => {
      const world = await placeOf(t, options()).open()
      const scene = sceneOf(world, way)
      const auditor = auditorOf(world)
      // Signed in before anything breaks: the token it calls with is none of the steps.
      await world.operator.manage('GET', '/agents')
      let count = 0
      const history = [...steps, ...leases(upstream)]
      for (const step of history) count += await survive(scene, step, way, auditor)
      const entries = await auditor.check()
      const done = new Set(
        entries.flatMap(({ action, outcome }) => (outcome === 'allowed' && action !== null ? [action] : [])),
      )
      const missed = (await operationsThatWrite(scene)).filter(operation => !done.has(operation))
      assert.deepEqual(missed, [], 'operations that the history leaves out')
      t.diagnostic(`${count} commits were ${way}`)
      assert.ok(count >= history.length, `only ${count} commits in ${history.length} steps`)
    })

    test(`a first start survives that each of its writes was ${way} once`, async t => {
      const count = await surviveFirstStart(t, options, way)
      assert.ok(count >= 3, `only ${count} writes`)
    })
  }
}

async function surviveFirstStart(t: TestContext, options: () => ServerOptions, way: Way): Promise<number> {
  for (let after = 0; after < mostCommits; after++) {
    const place = placeOf(t, options())
    const breakage = { counts: isWrite, after, times: 1, way }
    const opening = place.broken.during(breakage, () => place.open())
    const opened = await opening.then(
      ({ broken }) => ({ broken: broken.length, error: undefined }),
      error => ({ broken: 1, error }),
    )
    if (opened.broken === 0) return after
    assert.equal(opened.error?.code, 'temporarily_unavailable', `write ${after + 1} ${way}`)
    const world = await place.open()
    await world.operator.manage('GET', '/agents')
    await auditorOf(world).check()
  }
  throw new Error('a first start writes without an end')
}

describe('on SQLite', () => suite(() => ({})))

describe('on PostgreSQL', () => {
  suite(() => ({ databaseUrl: upstream.cluster.database() }))
})
