// The clock to delete by, over jumps of the clock and steady time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { settledClock } from './settled-clock.ts'

const start = 1_700_000_000
const windowSeconds = 900

/** A clock that can be set beside a steady one that cannot. */
const clocks = (): {
  settled: () => number
  pass: (seconds: number) => void
  set: (by: number) => void
  now: () => number
} => {
  let steady = 17
  let now = start
  const settled = settledClock(() => steady, windowSeconds)
  return {
    settled: () => settled(now),
    now: () => now,
    pass(seconds) {
      steady += seconds
      now += seconds
    },
    set(by) {
      now += by
    },
  }
}

test('a clock that runs evenly is believed as it is', () => {
  const clock = clocks()
  for (let look = 0; look < 100; look += 1) {
    assert.equal(clock.settled(), clock.now())
    clock.pass(30)
  }
})

test('a clock set forwards is not believed until everything from before has run out in truth', () => {
  const clock = clocks()
  clock.settled()
  clock.pass(30)
  clock.settled()
  clock.set(34_560_000)
  for (let passed = 0; passed < windowSeconds; passed += 30) {
    assert.equal(clock.settled(), start + 30 + passed)
    clock.pass(30)
  }
  assert.equal(clock.settled(), clock.now())
})

test('a clock set back is believed at once', () => {
  const clock = clocks()
  clock.settled()
  clock.pass(30)
  clock.set(-3600)
  assert.equal(clock.settled(), start + 30 - 3600)
})

test('a jump that is put right within the window was never believed', () => {
  const clock = clocks()
  clock.settled()
  clock.set(86_400)
  clock.settled()
  clock.pass(60)
  clock.settled()
  clock.set(-86_400)
  assert.equal(clock.settled(), start + 60)
  clock.pass(windowSeconds)
  assert.equal(clock.settled(), start + 60 + windowSeconds)
})

test('the settled clock is never ahead of the clock, nor of any clock of the window carried on', () => {
  const step = fc.record({
    pass: fc.integer({ min: 0, max: 400 }),
    set: fc.integer({ min: -5000, max: 5000 }),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), steps => {
      const clock = clocks()
      let steady = 0
      const looks: { at: number; offset: number }[] = []
      for (const { pass, set } of steps) {
        clock.pass(pass)
        steady += pass
        clock.set(set)
        looks.push({ at: steady, offset: clock.now() - steady })
        const window = looks.filter(look => look.at > steady - windowSeconds)
        const expected = steady + Math.min(...window.map(look => look.offset))
        assert.equal(clock.settled(), expected)
      }
    }),
    { numRuns: 1000 },
  )
})
