// Many instances of one agent: what is asked of all reaches each of them once, however many changes that takes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readEvents } from '@writ/sdk/protocol/event-stream'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { expect, newAgent } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'

/** More than one change could begin rotations of. */
const many = 450

/** The instances of one agent that has many, with one of an agent before it and one after it. */
async function crowd(writ: Authority): Promise<readonly string[]> {
  const ids: string[] = []
  for (const count of [1, many, 1]) {
    const { clientId } = await newAgent(writ)
    for (let at = 1; at < count; at += 1) {
      const { jwk } = generateKeyPair('Ed25519').verify
      expect(await writ.operator.manage('POST', `/agents/${clientId}/keys`, { jwk }), 201)
    }
    for (let after = ''; ; ) {
      const path = `/agents/${clientId}/instances?limit=200${after}`
      const page = expect(await writ.operator.manage('GET', path), 200)
      ids.push(...page.items.map(({ id }: { id: string }) => id))
      if (page.next === null) break
      after = `&after=${page.next}`
    }
  }
  return ids
}

/** Targets of the rotations there are, in any order. */
async function begunOf(writ: Authority): Promise<string[]> {
  const targets: string[] = []
  for (let after = ''; ; ) {
    const path = `/rotations?kind=instance_key&limit=200${after}`
    const page = expect(await writ.operator.manage('GET', path), 200)
    targets.push(...page.items.map(({ target }: { target: string }) => target))
    if (page.next === null) return targets
    after = `&after=${page.next}`
  }
}

test('a batch asks every instance of an agent that has more than one change can hold, and each once', async t => {
  const writ = await authority(t)
  const instances = await crowd(writ)
  const asked: string[] = []
  let pages = 0
  for (let more: Record<string, unknown> = {}; ; pages += 1) {
    const body = { kind: 'instance_key', ...more }
    const page = expect(await writ.operator.manage('POST', '/rotations/batch', body), 200)
    assert.deepEqual(page.skipped, [])
    asked.push(...page.items.map(({ target }: { target: string }) => target))
    if (page.next === null) break
    more = { batch: page.batch, after: page.next }
  }
  assert.ok(pages > 1 && pages < 10, `${pages} pages`)
  assert.equal(asked.length, new Set(asked).size)
  for (const instance of instances) assert.ok(asked.includes(instance), instance)
  const nowhere = { kind: 'instance_key', after: 'ins_00000000000000000000000000' }
  assert.equal((await writ.operator.manage('POST', '/rotations/batch', nowhere)).status, 422)
})

test('a schedule of all serves one time in parts, until every instance was asked, and then waits for the next', async t => {
  const writ = await authority(t)
  const instances = await crowd(writ)
  const body = { kind: 'instance_key', max_age_seconds: 10 }
  const { id } = expect(await writ.operator.manage('POST', '/schedules', body), 201)
  await until('all were asked', 60, async () => {
    const begun = await begunOf(writ)
    return instances.every(instance => begun.includes(instance))
  })
  const begun = await begunOf(writ)
  assert.equal(begun.length, new Set(begun).size)
  await until('it waits for its next time', 20, async () => {
    const { next_at: next, last_at: last } = expect(
      await writ.operator.manage('GET', `/schedules/${id}`),
      200,
    )
    return Date.parse(next) - Date.parse(last) >= 10_000
  })
})

test('whoever follows rotations hears of each of a page, and costs the store one reading of it', async t => {
  const reads: number[] = []
  const writ = await authority(t, {
    around: {
      wrapStore: store => ({
        ...store,
        rotations: {
          ...store.rotations,
          get: (scope, id) => {
            reads.push(1)
            return store.rotations.get(scope, id)
          },
          among: (scope, ids) => {
            reads.push(ids.length)
            return store.rotations.among(scope, ids)
          },
        },
      }),
    },
  })
  await crowd(writ)
  const path = '/api/v1/rotations/events'
  const accessToken = await writ.operator.token(`${writ.issuer}/api/v1`, 'writ:rotations:read')
  const dpop = writ.operator.proof(path, { method: 'GET', accessToken })
  const answer = await writ.fetch(path, { headers: { authorization: `DPoP ${accessToken}`, dpop } })
  assert.equal(answer.status, 200)
  const kind = 'instance_key'
  const page = expect(await writ.operator.manage('POST', '/rotations/batch', { kind }), 200)
  const second = { kind, batch: page.batch, after: page.next }
  const { items } = expect(await writ.operator.manage('POST', '/rotations/batch', second), 200)
  assert.equal(items.length, 200)
  const missing = new Set([...page.items, ...items].map(({ id }: { id: string }) => id))
  for await (const data of readEvents(answer.body as ReadableStream<Uint8Array>, 100_000)) {
    missing.delete(JSON.parse(data).id)
    if (missing.size === 0) break
  }
  assert.ok(reads.some(count => count >= 200))
  assert.ok(reads.length < 20, `${reads.length} readings`)
})
