// Noise: however much there is, it takes a bounded amount of memory and one bounded entry for each window.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { Fault } from '@writ/sdk/protocol/fault'
import fc from 'fast-check'
import type { Ctx } from '../context.ts'
import type { Change, Committed } from '../domain/change.ts'
import { defaultTenant, type TenantId } from '../domain/tenant.ts'
import { openStore } from '../store/sql/open.ts'
import type { Store } from '../store/store.ts'
import { createNoise, type NoiseCounter } from './noise.ts'

const nowMs = 1_800_000_000_000

const ctxAt = (ms: number, tenant: TenantId = defaultTenant): Ctx => ({
  tenant,
  issuer: 'https://writ.example',
  now: Math.floor(ms / 1000),
  nowMs: ms,
  requestId: `flush-${ms}`,
  traceId: undefined,
  peer: undefined,
  note: () => {},
})

async function realStore(t: TestContext): Promise<Store> {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(() => store.close())
  await store.tenants.ensure({ id: defaultTenant, issuer: 'https://writ.example', createdAt: 0 })
  return store
}

interface Summary {
  readonly type: string
  readonly outcome: string
  readonly request_id: string
  readonly decision: Readonly<Record<string, unknown>>
}

async function summariesIn(store: Store): Promise<Summary[]> {
  const entries = await store.log.find({ tenant: defaultTenant }, { type: 'noise.summarized' }, -1, 100)
  return entries.map(({ text }) => JSON.parse(text))
}

const from = (peer: string | undefined) => ({ tenant: defaultTenant, peer })
const badClient = { endpoint: 'token', code: 'invalid_client' }

function repeat(noise: NoiseCounter, times: number, peer: string | undefined, what = badClient): void {
  for (let count = 0; count < times; count++) noise.count(from(peer), what)
}

test('a window becomes one entry with the counts of each endpoint and code, and the loudest peers', async t => {
  const store = await realStore(t)
  const noise = createNoise({ store })
  repeat(noise, 5, '192.0.2.1')
  repeat(noise, 2, '192.0.2.2', { endpoint: 'unknown', code: 'not_found' })
  repeat(noise, 1, undefined)
  assert.equal(await noise.flush(ctxAt(nowMs)), 1)
  const [entry] = await summariesIn(store)
  assert.deepEqual([entry?.outcome, entry?.request_id], ['refused', `flush-${nowMs}`])
  assert.deepEqual(entry?.decision, {
    rule: 'unauthenticated',
    since: null,
    until: new Date(nowMs).toISOString(),
    requests: 8,
    peers: 3,
    peers_exact: true,
    loudest_peers: ['192.0.2.1 5', '192.0.2.2 2', 'unknown 1'],
    'token/invalid_client': 6,
    'unknown/not_found': 2,
  })
})

test('a window without noise leaves nothing, and a window begins where the one before ended', async t => {
  const store = await realStore(t)
  const noise = createNoise({ store })
  assert.equal(await noise.flush(ctxAt(nowMs)), 0)
  repeat(noise, 1, '192.0.2.1')
  await noise.flush(ctxAt(nowMs + 10_000))
  assert.equal(await noise.flush(ctxAt(nowMs + 20_000)), 0)
  repeat(noise, 1, '192.0.2.1')
  await noise.flush(ctxAt(nowMs + 30_000))
  const summaries = await summariesIn(store)
  assert.equal(summaries.length, 2)
  assert.equal(summaries[1]?.decision['requests'], 1)
  assert.equal(summaries[1]?.decision['since'], new Date(nowMs + 10_000).toISOString())
})

test('what could not be committed is in the next entry', async t => {
  const store = await realStore(t)
  let away = true
  const commit = async (ctx: Ctx, change: Change): Promise<Committed> => {
    if (away) throw new Fault('temporarily_unavailable', 'The store is away.')
    return store.commit(ctx, change)
  }
  const noise = createNoise({ store: { commit } as Pick<Store, 'commit'> })
  repeat(noise, 3, '192.0.2.1')
  await assert.rejects(noise.flush(ctxAt(nowMs)), { code: 'temporarily_unavailable' })
  repeat(noise, 4, '192.0.2.1')
  away = false
  assert.equal(await noise.flush(ctxAt(nowMs + 10_000)), 1)
  const [entry] = await summariesIn(store)
  assert.deepEqual(
    [entry?.decision['requests'], entry?.decision['token/invalid_client'], entry?.decision['loudest_peers']],
    [7, 7, ['192.0.2.1 7']],
  )
})

test('what comes in while an entry is being committed is in the next one', async t => {
  const store = await realStore(t)
  const commit: Store['commit'] = async (ctx, change) => {
    repeat(noise, 1, '192.0.2.9')
    return store.commit(ctx, change)
  }
  const noise: NoiseCounter = createNoise({ store: { commit } })
  repeat(noise, 2, '192.0.2.1')
  await noise.flush(ctxAt(nowMs))
  await noise.flush(ctxAt(nowMs + 1000))
  assert.deepEqual(
    (await summariesIn(store)).map(({ decision }) => decision['requests']),
    [2, 1],
  )
})

test('tenants are counted apart', async t => {
  const store = await realStore(t)
  const other = 'other' as TenantId
  await store.tenants.ensure({ id: other, issuer: 'https://other.example', createdAt: 0 })
  const noise = createNoise({ store })
  noise.count({ tenant: other, peer: '192.0.2.1' }, badClient)
  assert.equal(await noise.flush(ctxAt(nowMs)), 0)
  assert.equal(await noise.flush(ctxAt(nowMs, other)), 1)
})

test('the addresses of one IPv6 network are one peer, however they are written', async t => {
  const store = await realStore(t)
  const noise = createNoise({ store })
  for (const peer of ['2001:db8::1', '2001:DB8:0:0:1:2:3:4', '2001:0db8:0000::ffff', '2001:db8::'])
    repeat(noise, 1, peer)
  repeat(noise, 1, '::1')
  await noise.flush(ctxAt(nowMs))
  const [entry] = await summariesIn(store)
  assert.deepEqual(entry?.decision['loudest_peers'], ['2001:db8:0:0::/64 4', '0:0:0:0::/64 1'])
})

test('a flood from everywhere does not hide who is loud, and the entry stays small', async t => {
  const store = await realStore(t)
  const noise = createNoise({ store })
  for (let at = 0; at < 50_000; at++) {
    repeat(noise, 1, `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`)
    if (at % 50 === 0) repeat(noise, 1, '192.0.2.66')
  }
  await noise.flush(ctxAt(nowMs))
  const [found] = await store.log.find({ tenant: defaultTenant }, { type: 'noise.summarized' }, -1, 1)
  assert.ok(found !== undefined && found.text.length < 4096)
  const { decision } = JSON.parse(found.text) as Summary
  assert.equal(decision['requests'], 51_000)
  assert.deepEqual([decision['peers'], decision['peers_exact']], [256, false])
  assert.ok((decision['loudest_peers'] as string[]).some(line => line.startsWith('192.0.2.66 ')))
})

test('no stream of names makes the entry larger than a bundle can hold, and none is lost from the sum', async () => {
  const texts = fc.string({ minLength: 1, maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(texts, texts, texts), { maxLength: 600 }), async requests => {
      let change: Change | undefined
      const commit: Store['commit'] = async (_ctx, given) => {
        change = given
        return { kind: 'done', first: { id: 'evt', index: 0 }, epoch: 0 }
      }
      const noise = createNoise({ store: { commit } })
      for (const [endpoint, code, peer] of requests) noise.count(from(peer), { endpoint, code })
      await noise.flush(ctxAt(nowMs))
      if (requests.length === 0) return
      const facts = change?.entries[0].facts ?? {}
      const counts = Object.entries(facts).filter(([name]) => name.includes('/') || name === 'other')
      assert.equal(
        counts.reduce((sum, [, count]) => sum + (count as number), 0),
        requests.length,
      )
      assert.ok(JSON.stringify(facts).length < 65_535)
    }),
    { numRuns: 200 },
  )
})
