// Budgets of grants: so many calls, so much money, so many rows or bytes in any window of time, and what was spent.
import type { EligibilityId, GrantId, ReservationId } from '@writ/sdk/protocol/identifier'

export type BudgetUnit = 'calls' | 'money' | 'rows' | 'bytes'

export interface Budget {
  readonly unit: BudgetUnit
  /** ISO 4217 for money, whose amounts are whole numbers of its smallest unit; null for everything else. */
  readonly currency: string | null
  /** A whole number, at least 1. */
  readonly limit: number
  readonly windowSeconds: number
  /** How much more may be spent in one window than the limit; 0 unless it was stated. */
  readonly burst: number
  /**
   * Of a grant that was opened without anybody's approval: the eligibility whose activations spend it together, for else
   * an agent would begin anew with each. Absent where the grant spends it alone.
   */
  readonly sharedBy?: EligibilityId
}

/**
 * Takes an amount from a budget of a grant, in the commit of the decision that it belongs to. The commit fails as
 * `exhausted` where more than the limit would have been spent in some window: exact for any number of nodes.
 */
export interface Spend {
  readonly grant: GrantId
  readonly budget: Budget
  /** A whole number, at least 0. */
  readonly amount: number
  /** Set where the amount is an upper bound of one that is known later: until when the true one may be told. */
  readonly reservation: { readonly id: ReservationId; readonly until: number } | null
}

/**
 * Replaces a reserved amount by the true one. Unsettled at its end, the upper bound stands as spent: who never
 * settles gains nothing. An amount above the bound is taken in full, so that the next calls are refused.
 */
export interface Settlement {
  readonly grant: GrantId
  readonly budget: Budget
  readonly reservation: ReservationId
  readonly amount: number
}

/** Names a budget within its grant: a grant has one per unit, currency and window. */
export function budgetName({ unit, currency, windowSeconds }: Budget): string {
  return `${unit}:${currency ?? ''}:${windowSeconds}`
}

/** By what one finds, with the name, what was spent of a budget of the grant. */
export function spenderOf(grant: string, { sharedBy }: Budget): string {
  return sharedBy ?? grant
}

/** What was spent, as it is stored: slots of time with their sums, and what still may be settled. */
export interface BudgetState {
  /** Start of the slot in epoch seconds, and the amount in it; the oldest first. */
  readonly slots: readonly (readonly [at: number, amount: number])[]
  readonly reservations: readonly (readonly [id: string, at: number, amount: number, until: number])[]
}

export const unspent: BudgetState = { slots: [], reservations: [] }

/** Into how many slots a window is cut at most. */
const slotsOfWindow = 60
/** Reservations that may wait at once; beyond it nothing more is reserved until one is settled or has ended. */
const mostReservations = 1000

const slotSeconds = ({ windowSeconds }: Budget): number =>
  Math.max(1, Math.ceil(windowSeconds / slotsOfWindow))

/**
 * The instant from which a slot counts for no window any more. A slot counts as long as one instant of it may lie in
 * the window, so no window of the stated length, wherever it begins, ever holds more than the limit (property 39).
 */
const goneAt = (budget: Budget, at: number): number => at + slotSeconds(budget) + budget.windowSeconds

/**
 * How much later than others somebody's reading of the clock may reach its commit. Slots are kept for so long, or who
 * read before them would find what still counts for its own window gone.
 */
const lateSeconds = 10

function pruned(state: BudgetState, budget: Budget, now: number): BudgetState {
  return {
    slots: state.slots.filter(([at]) => now < goneAt(budget, at) + lateSeconds),
    reservations: state.reservations.filter(([, , , until]) => now <= until),
  }
}

/** The last second in which the state says anything; after it the budget is like one that nobody spent of. */
export function keptUntil({ slots, reservations }: BudgetState, budget: Budget): number {
  const ends = [...slots.map(([at]) => goneAt(budget, at)), ...reservations.map(([, , , until]) => until)]
  return Math.max(0, ...ends) + lateSeconds
}

/** The slots that count at this reading of the clock. */
const countedOf = ({ slots }: BudgetState, budget: Budget, now: number): BudgetState['slots'] =>
  slots.filter(([at]) => now < goneAt(budget, at))

const sumOf = (slots: BudgetState['slots']): number => slots.reduce((sum, [, amount]) => sum + amount, 0)

/** What is left at the instant, and the first instant at which it will be more; null where nothing was spent. */
export function leftOf(
  state: BudgetState,
  budget: Budget,
  now: number,
): { readonly left: number; readonly moreAt: number | null } {
  const counted = countedOf(state, budget, now)
  const [oldest] = counted
  return {
    left: Math.max(0, budget.limit + budget.burst - sumOf(counted)),
    moreAt: oldest === undefined ? null : goneAt(budget, oldest[0]),
  }
}

function added(state: BudgetState, budget: Budget, at: number, amount: number): BudgetState {
  const width = slotSeconds(budget)
  const start = Math.floor(at / width) * width
  const slots = state.slots.filter(([slot]) => slot !== start)
  const before = state.slots.find(([slot]) => slot === start)?.[1] ?? 0
  // What is given back may have been swept by a clock that is ahead: nothing is never less than nothing.
  slots.push([start, Math.max(0, before + amount)])
  return { ...state, slots: slots.sort(([a], [b]) => a - b) }
}

export type Spent =
  | { readonly state: BudgetState }
  | { readonly exhausted: { readonly leftover: number; readonly againAt: number | null } }

/** The state after the spend, or that it does not fit. Amounts are whole and not negative: whoever asks sees to that. */
export function spend(before: BudgetState, { budget, amount, reservation }: Spend, now: number): Spent {
  const state = pruned(before, budget, now)
  const { left: leftover } = leftOf(state, budget, now)
  const isFull = reservation !== null && state.reservations.length >= mostReservations
  if (amount > leftover || isFull)
    return {
      exhausted: { leftover, againAt: isFull ? null : fitsAt(countedOf(state, budget, now), budget, amount) },
    }
  const next = added(state, budget, now, amount)
  if (reservation === null) return { state: next }
  const kept = [reservation.id, now, amount, reservation.until] as const
  return { state: { ...next, reservations: [...next.reservations, kept] } }
}

/** The first instant at which so much may fit; null where it is more than a window ever has. */
function fitsAt(counted: BudgetState['slots'], budget: Budget, amount: number): number | null {
  const whole = budget.limit + budget.burst
  if (amount > whole) return null
  let used = sumOf(counted)
  for (const [at, spent] of counted) {
    used -= spent
    if (used + amount <= whole) return goneAt(budget, at)
  }
  return null
}

/** The state with the true amount in place of the reserved one; undefined where no such reservation waits. */
export function settle(
  before: BudgetState,
  { budget, reservation, amount }: Settlement,
  now: number,
): BudgetState | undefined {
  const known = before.reservations.find(([id, , , until]) => id === reservation && now <= until)
  if (known === undefined) return undefined
  const [, at, reserved] = known
  const state = added(before, budget, at, amount - reserved)
  return pruned(
    { ...state, reservations: state.reservations.filter(([id]) => id !== reservation) },
    budget,
    now,
  )
}
