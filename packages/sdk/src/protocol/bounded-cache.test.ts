// The cache that forgets: bounded under a flood, and kind to what is in use.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { boundedCache } from './bounded-cache.ts'

test('never holds more than its limit, and only what was put in', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 9 }),
      fc.array(fc.tuple(fc.nat(20), fc.boolean()), { maxLength: 60 }),
      (limit, steps) => {
        const cache = boundedCache<number>(limit)
        const written = new Map<string, number>()
        for (const [at, [key, isWrite]] of steps.entries()) {
          const found = isWrite ? undefined : cache.get(String(key))
          if (isWrite) {
            cache.set(String(key), at)
            written.set(String(key), at)
            assert.equal(cache.get(String(key)), at)
          } else if (found !== undefined) assert.equal(found, written.get(String(key)))
        }
        const held = [...written.keys()].filter(key => cache.get(key) !== undefined)
        assert.ok(held.length <= limit)
      },
    ),
    { numRuns: 1_000 },
  )
})

test('keeps what is used through a flood of others', () => {
  const cache = boundedCache<string>(10)
  cache.set('used', 'yes')
  for (let at = 0; at < 1_000; at++) {
    cache.set(`flood-${at}`, 'no')
    assert.equal(cache.get('used'), 'yes')
  }
  assert.equal(cache.get('flood-0'), undefined)
})

test('forgets what is deleted, in either generation', () => {
  const cache = boundedCache<number>(4)
  for (const key of ['a', 'b', 'c']) cache.set(key, 1)
  for (const key of ['a', 'b', 'c']) cache.delete(key)
  for (const key of ['a', 'b', 'c']) assert.equal(cache.get(key), undefined)
})

test('refuses a limit that would hold nothing', () => {
  for (const limit of [0, 1, -1, 1.5, Number.NaN]) assert.throws(() => boundedCache(limit), RangeError)
})
