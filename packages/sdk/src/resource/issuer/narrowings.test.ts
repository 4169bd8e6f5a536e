// Narrowings: what has ended stays ended for as long as a token could live, and the memory stays bounded.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import type { Narrowing } from '../../protocol/revocation.ts'
import { createNarrowings } from './narrowings.ts'

test('never forgets a narrowing before a token issued ahead of it has expired, and forgets it afterwards', () => {
  const event = fc.record({ digest: fc.constantFrom('a', 'b', 'c'), epoch: fc.nat(50), waits: fc.nat(400) })
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), events => {
      const remember = 1000
      const narrowings = createNarrowings(remember, 100)
      const model: { digest: string; epoch: number; at: number }[] = []
      let now = 5_000_000
      for (const { digest, epoch, waits } of events) {
        now += waits
        narrowings.add([[epoch, digest]], now)
        model.push({ digest, epoch, at: now })
        for (const name of ['a', 'b', 'c']) {
          const due = model.filter(item => item.digest === name && now - item.at < remember)
          const known = narrowings.endedAt(name) ?? -1
          assert.ok(known >= Math.max(-1, ...due.map(item => item.epoch)))
        }
      }
      narrowings.add([], now + remember)
      narrowings.add([], now + 2 * remember)
      assert.equal(narrowings.size(), 0)
    }),
  )
})

test('moves its generation only when something new has ended', () => {
  const narrowings = createNarrowings(1000, 100)
  narrowings.add([[3, 'a']], 0)
  const generation = narrowings.generation()
  narrowings.add([], 1)
  narrowings.add([[3, 'a']], 2)
  narrowings.add([[2, 'a']], 3)
  assert.equal(narrowings.generation(), generation)
  assert.equal(narrowings.endedAt('a'), 3)
  narrowings.add([[4, 'a']], 4)
  assert.equal(narrowings.generation(), generation + 1)
})

test('says so when it is full instead of forgetting something that matters', () => {
  const narrowings = createNarrowings(1000, 2)
  assert.equal(
    narrowings.add(
      [
        [1, 'a'],
        [2, 'b'],
      ],
      0,
    ),
    true,
  )
  assert.equal(narrowings.add([[3, 'c']], 1), false)
  assert.equal(narrowings.endedAt('a'), 1)
})

test('holds 100,000 narrowings in under 20 MB and lets go of them, round after round', () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const heap = (): number => {
    collectGarbage()
    return process.memoryUsage().heapUsed
  }
  const narrowings = createNarrowings(1000, 1_000_000)
  const before = heap()
  let epoch = 0
  let peak = 0
  for (let round = 0; round < 6; round++) {
    for (let batch = 0; batch < 100; batch++) {
      const items: Narrowing[] = Array.from({ length: 1000 }, () => {
        epoch += 1
        return [epoch, `digest-of-22-chars${epoch}`]
      })
      assert.equal(narrowings.add(items, round * 1000 + batch), true)
    }
    peak = Math.max(peak, heap() - before)
  }
  assert.ok(narrowings.size() <= 200_000, `${narrowings.size()} remembered`)
  assert.ok(peak < 2 * 20_000_000, `${peak} bytes for two rounds of 100,000`)
})
