// Budgets: no window of the stated length, wherever it begins, ever holds more than the limit and its burst (property 39).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GrantId, ReservationId } from '@writ/sdk/protocol/identifier'
import fc from 'fast-check'
import { type Budget, type BudgetState, leftOf, settle, spend, unspent } from './budget.ts'

const grant = 'grt_1' as GrantId
const budgetOf = (more: Partial<Budget> = {}): Budget => ({
  unit: 'rows',
  currency: null,
  limit: 10,
  windowSeconds: 60,
  burst: 0,
  ...more,
})
const id = (text: string) => text as ReservationId

function take(
  state: BudgetState,
  budget: Budget,
  { amount, now, reserved }: { amount: number; now: number; reserved?: string | undefined },
): BudgetState | undefined {
  const reservation = reserved === undefined ? null : { id: id(reserved), until: now + 300 }
  const spent = spend(state, { grant, budget, amount, reservation }, now)
  return 'state' in spent ? spent.state : undefined
}

test('so much fits, not one more, and it fits again once its window has passed', () => {
  const budget = budgetOf({ limit: 3, windowSeconds: 10 })
  let state: BudgetState = unspent
  for (let call = 0; call < 3; call++)
    state = take(state, budget, { amount: 1, now: 100 }) ?? assert.fail('it fits')
  const fourth = spend(state, { grant, budget, amount: 1, reservation: null }, 100)
  assert.ok('exhausted' in fourth)
  const { leftover, againAt } = fourth.exhausted
  assert.equal(leftover, 0)
  assert.ok(againAt !== null && againAt > 109)
  assert.equal(take(state, budget, { amount: 1, now: againAt - 1 }), undefined)
  assert.ok(take(state, budget, { amount: 1, now: againAt }))
  const never = spend(state, { grant, budget, amount: 4, reservation: null }, 100)
  assert.ok('exhausted' in never && never.exhausted.againAt === null)
})

test('for any history, the accepted amounts of every window are at most the limit and the burst', () => {
  const events = fc.array(
    fc.record({
      wait: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 90 })),
      amount: fc.integer({ min: 0, max: 8 }),
      // Decided before others, and committed after them.
      late: fc.integer({ min: 0, max: 10 }),
      settled: fc.option(fc.integer({ min: 0, max: 8 })),
    }),
    { maxLength: 80 },
  )
  const budgets = fc.record({
    limit: fc.integer({ min: 1, max: 20 }),
    windowSeconds: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 400 })),
    burst: fc.integer({ min: 0, max: 5 }),
  })
  fc.assert(
    fc.property(events, budgets, (history, more) => {
      const budget = budgetOf(more)
      const accepted: [at: number, amount: number][] = []
      let state: BudgetState = unspent
      let clock = 1000
      for (const [step, { wait, amount, late, settled }] of history.entries()) {
        clock += wait
        const now = clock - late
        const next = take(state, budget, {
          amount,
          now,
          reserved: settled === null ? undefined : `rsv_${step}`,
        })
        if (next === undefined) continue
        const really = Math.min(amount, settled ?? amount)
        state =
          settled === null
            ? next
            : (settle(next, { grant, budget, reservation: id(`rsv_${step}`), amount: really }, now) ??
              assert.fail('it is settled'))
        accepted.push([now, really])
      }
      for (const [from] of accepted) {
        // A reading of a whole second stands for any instant within it: the strictest window ends in the last of them.
        const inWindow = accepted.filter(([at]) => from <= at && at <= from + budget.windowSeconds)
        const sum = inWindow.reduce((total, [, each]) => total + each, 0)
        assert.ok(sum <= budget.limit + budget.burst)
      }
      assert.ok(state.slots.length <= 72, 'what is kept stays small')
    }),
    { numRuns: 1000 },
  )
})

test('a reserved amount counts at once; the true one replaces it, once and in time', () => {
  const budget = budgetOf({ limit: 10 })
  let state = take(unspent, budget, { amount: 8, now: 100, reserved: 'rsv_1' }) ?? assert.fail('it fits')
  assert.equal(take(state, budget, { amount: 3, now: 101 }), undefined)
  const settled = (amount: number, now: number, which = 'rsv_1') =>
    settle(state, { grant, budget, reservation: id(which), amount }, now)
  assert.equal(settled(2, 101, 'rsv_2'), undefined, 'one that is not there')
  assert.equal(settled(2, 401), undefined, 'one whose time has passed: the bound stands as spent')
  state = settled(2, 102) ?? assert.fail('it is settled')
  assert.equal(leftOf(state, budget, 102).left, 8)
  assert.equal(settled(1, 103), undefined, 'one that was settled')
  state = take(state, budget, { amount: 4, now: 104, reserved: 'rsv_3' }) ?? assert.fail('it fits')
  const over = settle(state, { grant, budget, reservation: id('rsv_3'), amount: 40 }, 105)
  assert.ok(over)
  assert.equal(leftOf(over, budget, 105).left, 0, 'more than was reserved is taken in full')
})

test('reservations that nobody settles are bounded', () => {
  const budget = budgetOf({ limit: 1_000_000 })
  let state: BudgetState = unspent
  for (let at = 0; at < 1000; at++)
    state = take(state, budget, { amount: 1, now: 100, reserved: `rsv_${at}` }) ?? assert.fail('it fits')
  assert.equal(take(state, budget, { amount: 1, now: 100, reserved: 'rsv_more' }), undefined)
  assert.ok(take(state, budget, { amount: 1, now: 100 }), 'what is not reserved still fits')
  assert.ok(
    take(state, budget, { amount: 1, now: 401, reserved: 'rsv_more' }),
    'and one is reserved again when they have ended',
  )
})

test('what is given back after a clock that is ahead has swept it leaves no window with more than the limit', () => {
  const budget = budgetOf({ windowSeconds: 10 })
  const reserved =
    take(unspent, budget, { amount: 10, now: 100, reserved: 'rsv_1' }) ?? assert.fail('it fits')
  // Half a minute ahead, another node spends nothing and forgets what it takes for long gone.
  const swept = take(reserved, budget, { amount: 0, now: 130 }) ?? assert.fail('it fits')
  const settled = settle(swept, { grant, budget, reservation: id('rsv_1'), amount: 0 }, 101)
  assert.ok(settled !== undefined)
  assert.ok(leftOf(settled, budget, 101).left <= 10)
})
