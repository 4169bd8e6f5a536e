// What a permitted operation takes from the budgets of the grants it rests on. Pure; the commit says whether it is there.
import type { ReservationId } from '@writ/sdk/protocol/identifier'
import type { Grant } from '../grant.ts'
import type { Budget, BudgetUnit, Spend } from './budget.ts'

/** What the enforcement point says that the operation costs. Whole numbers; a call counts as one unless it is said. */
export interface Amounts extends Readonly<Partial<Record<BudgetUnit, number>>> {
  /** ISO 4217: of `money`, which says nothing without it. */
  readonly currency?: string
}

/** How long the true amount of a reserved one may be told. */
export const reservedSeconds = 300

export type Planned =
  | { readonly spends: readonly Spend[] }
  /** A budget of the grant is of a unit that nobody gave an amount for: it cannot be kept, so nothing is spent. */
  | { readonly untold: { readonly grant: Grant['id']; readonly budget: Budget } }

export interface Spending {
  /** Those that the permission rests on; each is spent from. */
  readonly grants: readonly Grant[]
  readonly amounts: Amounts
  /** Set where the amounts are upper bounds: then everything but calls is reserved under this id. */
  readonly reservation: ReservationId | null
  readonly now: number
}

/** The spends of one operation. One amount is taken from every budget of its unit: all windows have to hold. */
export function plannedSpends({ grants, amounts, reservation, now }: Spending): Planned {
  const spends: Spend[] = []
  for (const { id, budgets = [] } of grants) {
    for (const budget of budgets) {
      const amount = amountOf(budget, budgets, amounts)
      if (amount === undefined) return { untold: { grant: id, budget } }
      if (amount === null) continue
      const isReserved = reservation !== null && budget.unit !== 'calls'
      spends.push({
        grant: id,
        budget,
        amount,
        reservation: isReserved ? { id: reservation, until: now + reservedSeconds } : null,
      })
    }
  }
  return { spends }
}

/** What of the amounts this budget counts: null where it counts none of it, undefined where nobody said. */
function amountOf(budget: Budget, all: readonly Budget[], amounts: Amounts): number | null | undefined {
  if (budget.unit === 'calls') return amounts.calls ?? 1
  const amount = amounts[budget.unit]
  if (budget.unit !== 'money' || amount === undefined) return amount
  if (amounts.currency === budget.currency) return amount
  // Money of a currency that no budget of the grant knows would be spent beside all of them.
  return all.some(({ unit, currency }) => unit === 'money' && currency === amounts.currency)
    ? null
    : undefined
}
