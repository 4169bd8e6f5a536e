// Token buckets: how much they let through, and whose is forgotten when there are too many.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rateLimiter } from './rate.ts'

const most = 100_000

test('ten seconds’ worth at once, then as much as the rate gives, and never more for a clock set back', () => {
  const limiter = rateLimiter(2)
  const taken = (atMs: number): number => {
    let count = 0
    while (limiter.take('one', atMs)) count++
    return count
  }
  assert.equal(taken(0), 20)
  assert.equal(taken(500), 1)
  assert.equal(taken(100), 0)
  assert.equal(taken(1_000_000), 20)
  assert.equal(limiter.take('another', 1_000_000), true)
})

test('a bucket in use outlives a flood of names: only the longest unused go', () => {
  const limiter = rateLimiter(1)
  for (let count = 0; count < 10; count++) assert.equal(limiter.take('busy', 0), true)
  assert.equal(limiter.take('idle', 0), true)
  for (let name = 0; name < 2 * most; name++) {
    limiter.take(`flood ${name}`, 0)
    if (name % 1000 === 0) assert.equal(limiter.take('busy', 0), false)
  }
  assert.equal(limiter.take('busy', 0), false, 'whoever asks all the time was given a full bucket')
  // Forgotten, and so full again: nine would be left of the one that it had.
  for (let count = 0; count < 10; count++) assert.equal(limiter.take('idle', 0), true)
})
