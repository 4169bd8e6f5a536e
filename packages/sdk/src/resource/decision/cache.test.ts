// Kept permissions: gone at their end, and with the end of anything they rest on; a memory never says more than the source.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { answerCache } from './cache.ts'

/** A feed of ends, as the issuer's stream tells them. */
function feed() {
  const ends = new Map<string, number>()
  let generation = 0
  return {
    end(subject: string, epoch: number) {
      ends.set(subject, epoch)
      generation += 1
    },
    generation: () => generation,
    endedAt: (digest: string) => ends.get(digest),
  }
}

test('a permission is over at its very end, and one without an end at the longest life', () => {
  let now = 100
  const clock = { now: () => now, steadyNow: () => now }
  const cache = answerCache<string>({ limit: 10, ends: feed(), ...clock, longestSeconds: 60 })
  cache.keep('ends', { until: 105, epoch: 1, subjects: [] }, 'yes')
  cache.keep('lasts', { until: null, epoch: 1, subjects: [] }, 'yes')
  cache.keep('over', { until: 100, epoch: 1, subjects: [] }, 'yes')
  assert.equal(cache.get('over'), undefined)
  now = 104.999
  assert.equal(cache.get('ends'), 'yes')
  now = 105
  assert.equal(cache.get('ends'), undefined)
  now = 159.9
  assert.equal(cache.get('lasts'), 'yes')
  now = 160
  assert.equal(cache.get('lasts'), undefined)
})

test('a wall clock that is set back prolongs no permission, and one that is set ahead ends those that are over', () => {
  let [now, steadyNow] = [1000, 50]
  const clock = { now: () => now, steadyNow: () => steadyNow }
  const cache = answerCache<string>({ limit: 10, ends: feed(), ...clock, longestSeconds: 60 })
  cache.keep('ends', { until: 1010, epoch: 1, subjects: [] }, 'yes')
  cache.keep('lasts', { until: null, epoch: 1, subjects: [] }, 'yes')
  now -= 100_000
  steadyNow += 9.9
  assert.deepEqual([cache.get('ends'), cache.get('lasts')], ['yes', 'yes'])
  steadyNow += 0.1
  assert.deepEqual([cache.get('ends'), cache.get('lasts')], [undefined, 'yes'])
  steadyNow += 50
  assert.equal(cache.get('lasts'), undefined)
  cache.keep('ahead', { until: null, epoch: 1, subjects: [] }, 'yes')
  now += 61
  assert.equal(cache.get('ahead'), undefined)
})

test('what ended while the answer was on its way ends the answer too, and an older end does not', () => {
  const ends = feed()
  const clock = { now: () => 0, steadyNow: () => 0 }
  const cache = answerCache<string>({ limit: 10, ends, ...clock, longestSeconds: 60 })
  ends.end('agent', 5)
  cache.keep('late', { until: null, epoch: 4, subjects: ['agent'] }, 'yes')
  assert.equal(cache.get('late'), undefined)
  cache.keep('later', { until: null, epoch: 5, subjects: ['agent'] }, 'yes')
  assert.equal(cache.get('later'), 'yes')
  ends.end('other', 6)
  assert.equal(cache.get('later'), 'yes')
  ends.end('agent', 7)
  assert.equal(cache.get('later'), undefined)
})

test('for any order of ends, times and questions, memory answers only what the source would answer', () => {
  const subjects = ['a', 'b', 'c']
  const step = fc.oneof(
    fc.record({ do: fc.constant('end' as const), subject: fc.constantFrom(...subjects) }),
    fc.record({ do: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 40 }) }),
    fc.record({
      do: fc.constant('ask' as const),
      key: fc.constantFrom('x', 'y', 'z'),
      rests: fc.subarray(subjects),
      life: fc.option(fc.integer({ min: 1, max: 50 }), { nil: null }),
    }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      let [now, epoch] = [1000, 0]
      const ends = feed()
      const endedAt = new Map<string, number>()
      // What the source granted under each key, with what it rests on.
      const granted = new Map<string, { rests: readonly string[]; epoch: number; until: number | null }>()
      const clock = { now: () => now, steadyNow: () => now }
      const cache = answerCache<string>({ limit: 8, ends, ...clock, longestSeconds: 60 })
      for (const each of steps) {
        if (each.do === 'wait') now += each.seconds
        else if (each.do === 'end') {
          epoch += 1
          endedAt.set(each.subject, epoch)
          ends.end(each.subject, epoch)
        } else {
          const known = granted.get(each.key)
          const wouldAllow =
            known !== undefined &&
            (known.until === null || now < known.until) &&
            known.rests.every(subject => (endedAt.get(subject) ?? 0) <= known.epoch)
          if (cache.get(each.key) !== undefined) assert.ok(wouldAllow)
          const until = each.life === null ? null : now + each.life
          granted.set(each.key, { rests: each.rests, epoch, until })
          cache.keep(each.key, { until, epoch, subjects: each.rests }, 'yes')
        }
      }
    }),
    { numRuns: 1000 },
  )
})
