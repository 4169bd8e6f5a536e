// Tokens kept, renewed, replaced and retired, by a clock that the test moves.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../protocol/fault.ts'
import { generateKeyPair } from '../protocol/jwk.ts'
import { Secret } from '../protocol/secret.ts'
import { createTokenCache } from './token-cache.ts'
import type { Ask, Token } from './token-request.ts'

const ask: Ask = { resource: 'https://api.example', scopes: undefined }
const { sign: key } = generateKeyPair('ES256')

function setUp(lifeMs = 100_000) {
  const time = { nowMs: 1_000_000 }
  const asked: Ask[] = []
  const trouble: { fault: Fault | undefined } = { fault: undefined }
  const cache = createTokenCache(
    async wanted => {
      asked.push(wanted)
      if (trouble.fault !== undefined) throw trouble.fault
      return {
        accessToken: new Secret(`token ${asked.length}`),
        scopes: [],
        details: [],
        key,
        proofHeader: undefined,
        obtainedAtMs: time.nowMs,
        expiresAtMs: time.nowMs + lifeMs,
      } satisfies Token
    },
    () => time.nowMs,
  )
  return { cache, time, asked, trouble }
}
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('keeps apart what differs in resource, scope, default scope, details, session or binding', async () => {
  const { cache, asked } = setUp()
  const asks: Ask[] = [
    ask,
    { ...ask, scopes: [] },
    { ...ask, scopes: ['a'] },
    { ...ask, scopes: ['a', 'b'] },
    { ...ask, resource: 'https://api.example/a' },
    { ...ask, bearer: true },
    { ...ask, details: [] },
    { ...ask, details: [{ type: 'http' }] },
    { ...ask, scopes: ['a'], details: [{ type: 'http' }] },
    { ...ask, session: 'ses_a' },
    { ...ask, session: 'ses_b' },
  ]
  const tokens = new Set(await Promise.all(asks.map(one => cache.get(one))))
  assert.equal(tokens.size, asks.length)
  for (const one of asks) assert.ok(tokens.has(await cache.get(one)))
  assert.equal(asked.length, asks.length)
})

test('renews in the last quarter while it hands out what it has; a renewal that fails disturbs nobody', async () => {
  const { cache, time, asked, trouble } = setUp()
  const first = await cache.get(ask)
  time.nowMs += 70_000
  await cache.get(ask)
  assert.equal(asked.length, 1)
  time.nowMs += 10_000
  trouble.fault = new Fault('temporarily_unavailable', 'away')
  assert.equal(await cache.get(ask), first)
  await settle()
  assert.equal(await cache.get(ask), first)
  assert.equal(asked.length, 2)
  trouble.fault = undefined
  time.nowMs += 1_000
  assert.equal(await cache.get(ask), first)
  await settle()
  assert.notEqual(await cache.get(ask), first)
  assert.equal(asked.length, 3)
})

test('hands out no token that is about to end, and tells why there is no other', async () => {
  const { cache, time, trouble } = setUp()
  const first = await cache.get(ask)
  time.nowMs += 98_001
  trouble.fault = new Fault('invalid_client', 'stopped')
  await assert.rejects(cache.get(ask), trouble.fault)
  trouble.fault = undefined
  assert.notEqual(await cache.get(ask), first)
})

test('uses a very short token for half of its life', async () => {
  const { cache, time, asked } = setUp(1_000)
  await cache.get(ask)
  time.nowMs += 300
  await cache.get(ask)
  assert.equal(asked.length, 1)
  time.nowMs += 250
  await cache.get(ask)
  assert.equal(asked.length, 2)
})

test('replaces a refused token once for all who were refused, and not again at once', async () => {
  const { cache, time, asked } = setUp()
  const refused = await cache.get(ask)
  const next = await Promise.all(Array.from({ length: 20 }, () => cache.replace(ask, refused)))
  assert.equal(new Set(next).size, 1)
  assert.equal(asked.length, 2)
  assert.equal(await cache.replace(ask, next[0]), undefined)
  assert.equal(await cache.replace(ask, refused), next[0])
  time.nowMs += 1_000
  assert.notEqual(await cache.replace(ask, next[0]), undefined)
  assert.equal(asked.length, 3)
})

test('lets the tokens of a replaced key go when its overlap ends, and renews them before', async () => {
  const { cache, time, asked } = setUp()
  const first = await cache.get(ask)
  cache.retire(key.jkt, time.nowMs + 10_000)
  time.nowMs += 7_000
  assert.equal(await cache.get(ask), first)
  assert.equal(asked.length, 1)
  time.nowMs += 1_000
  assert.equal(await cache.get(ask), first)
  assert.equal(asked.length, 2)
})

test('holds a bounded number of tokens', async () => {
  const { cache, asked } = setUp()
  for (let at = 0; at < 2_000; at += 1) await cache.get({ ...ask, scopes: [`s${at}`] })
  await cache.get({ ...ask, scopes: ['s0'] })
  assert.equal(asked.length, 2_001)
})

test('what was asked for before something changed is not the answer to who asks after it, however the resource is written', async () => {
  const { cache, time, asked } = setUp()
  const before = cache.get({ ...ask, resource: 'https://API.example/' })
  time.nowMs += 1
  cache.outdate('https://api.example')
  time.nowMs += 1
  const after = await cache.get({ ...ask, resource: 'https://API.example/' })
  assert.notEqual(after, await before)
  assert.equal(await cache.get({ ...ask, resource: 'https://API.example/' }), after)
  assert.equal(asked.length, 2)
})
