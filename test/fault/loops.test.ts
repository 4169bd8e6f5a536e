// The loops of a server over a store that fails them again and again: what is due gets done, once, with no human step.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { expect } from '../harness/agent.ts'
import { until } from '../harness/deadline.ts'
import { auditorOf, type Entry } from './auditor.ts'
import { isWrite } from './broken-store.ts'
import { steps } from './scenario.ts'
import { type Scene, sceneOf } from './scene.ts'
import { placeOf } from './world.ts'

/** Everything is due within a second or two. */
const hasty = {
  checkpointSeconds: 1,
  noiseSeconds: 1,
  issuerKeyPublishSeconds: 1,
  jwksCacheSeconds: 1,
  accessTokenSeconds: 3,
  clockSkewSeconds: 0,
  drainSeconds: 1,
} as const

const failures = 12
const strangers = 7

/** Leaves work to every loop: a key to activate and one to end, entries to publish, strangers to count. */
async function leaveWork(scene: Scene): Promise<{ staged: string }> {
  for (const step of steps) {
    const first = await step.ask(scene)
    // Tokens are short here: one of the operator's may have ended on a busy machine.
    const answer = first.status === 401 && step.status !== 401 ? await step.ask(scene) : first
    assert.equal(answer.status, step.status, `${step.name}: ${JSON.stringify(answer.body)}`)
    step.keep?.(scene, answer)
    if (step.name === 'an instance rotates its key') break
  }
  const staged = expect(await scene.operator.manage('POST', '/issuer/keys/rotate'), 200).kid
  const nobody = scene.party(scene.operator.clientId, {
    ...generateKeyPair('ES256').secret.reveal(),
  } as Record<string, unknown>)
  for (let each = 0; each < strangers; each++) assert.equal((await nobody.tokenRequest()).status, 401)
  return { staged }
}

async function publishedSize({ fetch }: Scene): Promise<number> {
  const answer = await fetch('/audit/checkpoint')
  return answer.status === 200 ? Number((await answer.text()).split('\n')[1]) : 0
}

/** How many strangers the log says there were. */
const counted = (entries: readonly Entry[]): number =>
  entries
    .filter(({ type }) => type === 'noise.summarized')
    .reduce((sum, { decision }) => sum + Number(decision?.['token/invalid_client'] ?? 0), 0)

const kinds = [
  { name: 'writes were lost', counts: isWrite, way: 'lost' },
  { name: 'writes happened unheard', counts: isWrite, way: 'unheard' },
  { name: 'reads failed', counts: (call: string) => !isWrite(call), way: 'lost' },
] as const

describe('the loops', { concurrency: true }, () => {
  for (const { name, counts, way } of kinds) {
    test(`do everything that is due, although ${failures} of their ${name}`, async t => {
      const world = await placeOf(t, hasty).open()
      const scene = sceneOf(world, 'loops')
      const broken = world.broken.inBackground({ counts, after: 0, times: failures, way })
      const { staged } = await world.broken.apart(() => leaveWork(scene))
      let largest = 0
      const log = async () => {
        const size = await publishedSize(scene)
        assert.ok(size >= largest, `a tree of ${size} entries after one of ${largest}`)
        largest = size
        return auditorOf(world).check()
      }
      await until('every failure has been met', 40, async () => broken() === failures)
      const entries = await until('everything is done', 40, async () => {
        const all = await log()
        const types = new Set(all.map(({ type }) => type))
        const isDone = ['issuer_key.activated', 'issuer_key.superseded', 'key.retired', 'noise.summarized']
        return isDone.every(type => types.has(type)) && counted(all) >= strangers && largest > 0 && all
      })
      const count = (type: string): number => entries.filter(entry => entry.type === type).length
      assert.equal(count('issuer_key.superseded'), 1)
      assert.equal(count('key.retired'), 1)
      const summed = counted(entries)
      // Counted again where nobody heard that it was counted; never forgotten.
      assert.ok(way === 'unheard' ? summed >= strangers : summed === strangers, `${summed} strangers`)
      const token = await scene.operator.token(`${scene.operator.issuer}/api/v1`, 'writ:agents:read')
      assert.equal(JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()).kid, staged)
    })
  }
})
