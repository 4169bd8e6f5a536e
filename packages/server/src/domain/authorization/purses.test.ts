// What a commit says of budgets that have not enough, as the next attempt goes by it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Budget, Spend } from './budget.ts'
import { learn, type Purses, purseOf, takeFrom } from './purses.ts'

const budget: Budget = { unit: 'calls', currency: null, limit: 3, windowSeconds: 60, burst: 0 }
const spendOf = (grant: string): Spend => ({ grant: grant as never, budget, amount: 1, reservation: null })

test('of equal spends that are one and the same, those before the one that did not fit were left', () => {
  const [one, other] = [spendOf('grt_1'), spendOf('grt_2')]
  const purses: Purses = new Map()
  learn(purses, [one, one, other, one, one], [{ at: 4, leftover: 0, againAt: 61 }])
  assert.deepEqual([...purses], [[purseOf(one), { left: 3, againAt: 61, times: 1 }]])
  assert.equal(takeFrom(purses, [one], 4), one)
  assert.equal(takeFrom(purses, [one], 3), undefined)
})

test('all that is told to be short is learnt at once, and what was short three times is tried no more', () => {
  const spends = [spendOf('grt_1'), spendOf('grt_2')]
  const purses: Purses = new Map()
  const short = spends.map((_, at) => ({ at, leftover: 2, againAt: null }))
  const left = () => [...purses.values()].map(purse => purse.left)
  learn(purses, spends, short)
  learn(purses, spends, short)
  assert.deepEqual(left(), [2, 2])
  learn(purses, spends, short)
  assert.deepEqual(left(), [0, 0])
})
