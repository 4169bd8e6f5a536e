// Spends: every budget of the grant is asked, and what nobody said is not taken for nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GrantId, ReservationId } from '@writ/sdk/protocol/identifier'
import type { Grant } from '../grant.ts'
import type { Budget } from './budget.ts'
import { plannedSpends } from './spending.ts'

const budget = (more: Partial<Budget> = {}): Budget => ({
  unit: 'calls',
  currency: null,
  limit: 3,
  windowSeconds: 60,
  burst: 0,
  ...more,
})
const grant = (id: string, budgets: readonly Budget[]): Grant => ({ id: id as GrantId, budgets }) as Grant
const reservation = 'rsv_1' as ReservationId
const plan = (grants: readonly Grant[], amounts = {}, reserved: ReservationId | null = null) =>
  plannedSpends({ grants, amounts, reservation: reserved, now: 1000 })

test('a call takes one from each window of each grant that it rests on', () => {
  const grants = [
    grant('grt_1', [budget(), budget({ windowSeconds: 3600, limit: 100 })]),
    grant('grt_2', [budget()]),
    grant('grt_3', []),
  ]
  const planned = plan(grants)
  assert.ok('spends' in planned)
  assert.deepEqual(
    planned.spends.map(({ grant: id, budget: { windowSeconds }, amount }) => [id, windowSeconds, amount]),
    [
      ['grt_1', 60, 1],
      ['grt_1', 3600, 1],
      ['grt_2', 60, 1],
    ],
  )
})

test('an amount that a budget needs and nobody told refuses, also money without its currency', () => {
  const euros = budget({ unit: 'money', currency: 'EUR', limit: 1000 })
  const dollars = budget({ unit: 'money', currency: 'USD', limit: 1000 })
  for (const amounts of [{}, { money: 5 }, { money: 5, currency: 'GBP' }, { money: 5, currency: 'eur' }])
    assert.ok('untold' in plan([grant('grt_1', [euros, dollars])], amounts), JSON.stringify(amounts))
  assert.ok('untold' in plan([grant('grt_1', [budget({ unit: 'rows' })])], { bytes: 5 }))
  const planned = plan([grant('grt_1', [euros, dollars])], { money: 5, currency: 'USD' })
  assert.ok('spends' in planned)
  assert.deepEqual(
    planned.spends.map(spend => [spend.budget.currency, spend.amount]),
    [['USD', 5]],
  )
})

test('of upper bounds everything is reserved but the calls, which are certain', () => {
  const planned = plan(
    [grant('grt_1', [budget(), budget({ unit: 'rows', limit: 100 })])],
    { rows: 50 },
    reservation,
  )
  assert.ok('spends' in planned)
  assert.deepEqual(
    planned.spends.map(({ budget: { unit }, reservation: reserved }) => [unit, reserved]),
    [
      ['calls', null],
      ['rows', { id: 'rsv_1', until: 1300 }],
    ],
  )
})
