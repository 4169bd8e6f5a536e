// Spending within a group: each member sees what those before it left, so that no amount is given twice.
import {
  type Budget,
  type BudgetState,
  budgetName,
  keptUntil,
  type Spend,
  settle,
  spend,
  spenderOf,
  unspent,
} from '../../../domain/authorization/budget.ts'
import type { Committed, Short } from '../../../domain/change.ts'
import type { Member } from '../admission.ts'
import { type Row, type Scalar, type Step, step } from '../engine/engine.ts'
import { type BudgetWriter, parseBudget } from './budgets.ts'

type Known = ReadonlyMap<string, BudgetState>

/** A budget as a member leaves it. */
export interface Left {
  readonly state: BudgetState
  readonly budget: Budget
}

const named = (tenant: string, owner: string, name: string): string => `${tenant}\0${owner}\0${name}`

const nameOf = (tenant: string, { grant, budget }: Pick<Spend, 'grant' | 'budget'>): string =>
  named(tenant, spenderOf(grant, budget), budgetName(budget))

/** Reads the budgets that any member takes from, once for the group; the lock on the head keeps other nodes away. */
export function* readBudgets(
  run: { readonly budgets: Map<string, BudgetState> },
  write: BudgetWriter,
  members: readonly Member[],
): Generator<readonly Step[], void, readonly (readonly Row[])[]> {
  const wanted = new Map<string, readonly [string, string, string]>()
  for (const { tenant, change } of members) {
    for (const { grant, budget } of [...(change.spends ?? []), ...(change.settlements ?? [])]) {
      const [owner, name] = [spenderOf(grant, budget), budgetName(budget)]
      wanted.set(named(tenant, owner, name), [tenant, owner, name])
    }
  }
  if (wanted.size === 0) return
  const [rows = []] = yield [step(write.read, [...wanted.values()])]
  for (const row of rows) {
    const name = named(row['tenant'] as string, row['owner'] as string, row['name'] as string)
    run.budgets.set(name, parseBudget(row['body']))
  }
}

/** The budgets after everything this member takes and settles, or why it does not fit; nothing is changed here. */
export function takeFrom(known: Known, { tenant, now, change }: Member): Map<string, Left> | Committed {
  const next = new Map<string, Left>()
  // All of them, so that whoever decides again does so once and not once for each.
  const short = new Map<string, Short>()
  for (const [at, wish] of (change.spends ?? []).entries()) {
    const name = nameOf(tenant, wish)
    if (short.has(name)) continue
    const spent = spend(next.get(name)?.state ?? known.get(name) ?? unspent, wish, now)
    if ('exhausted' in spent) short.set(name, { at, ...spent.exhausted })
    else next.set(name, { state: spent.state, budget: wish.budget })
  }
  if (short.size > 0) return { kind: 'exhausted', short: [...short.values()] }
  for (const settlement of change.settlements ?? []) {
    const name = nameOf(tenant, settlement)
    const state = settle(next.get(name)?.state ?? known.get(name) ?? unspent, settlement, now)
    if (state === undefined) return { kind: 'unsettled', settlement }
    next.set(name, { state, budget: settlement.budget })
  }
  return next
}

/** The rows of the budgets that changed, with the end of what each says. */
export const budgetRows = (changed: ReadonlyMap<string, Left>): readonly (readonly Scalar[])[] =>
  [...changed].map(([name, { state, budget }]) => [
    ...name.split('\0'),
    keptUntil(state, budget),
    JSON.stringify(state),
  ])
