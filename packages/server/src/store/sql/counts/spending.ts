// Spending within a group: each member sees what those before it left, so that no amount is given twice.
import { type BudgetState, budgetName, settle, spend, unspent } from '../../../domain/authorization/budget.ts'
import type { Committed } from '../../../domain/change.ts'
import type { Member } from '../admission.ts'
import { type Row, type Step, step } from '../engine/engine.ts'
import { type BudgetWriter, parseBudget } from './budgets.ts'

type Known = ReadonlyMap<string, BudgetState>

const named = (tenant: string, owner: string, name: string): string => `${tenant}\0${owner}\0${name}`

/** Reads the budgets that any member takes from, once for the group; the lock on the head keeps other nodes away. */
export function* readBudgets(
  run: { readonly budgets: Map<string, BudgetState> },
  write: BudgetWriter,
  members: readonly Member[],
): Generator<readonly Step[], void, readonly (readonly Row[])[]> {
  const wanted = new Map<string, readonly [string, string, string]>()
  for (const { tenant, change } of members) {
    for (const { grant, budget } of [...(change.spends ?? []), ...(change.settlements ?? [])]) {
      const name = budgetName(budget)
      wanted.set(named(tenant, grant, name), [tenant, grant, name])
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
export function takeFrom(
  known: Known,
  { tenant, now, change }: Member,
): Map<string, BudgetState> | Committed {
  const next = new Map<string, BudgetState>()
  for (const wish of change.spends ?? []) {
    const name = named(tenant, wish.grant, budgetName(wish.budget))
    const spent = spend(next.get(name) ?? known.get(name) ?? unspent, wish, now)
    if ('exhausted' in spent) return { kind: 'exhausted', spend: wish, ...spent.exhausted }
    next.set(name, spent.state)
  }
  for (const settlement of change.settlements ?? []) {
    const name = named(tenant, settlement.grant, budgetName(settlement.budget))
    const state = settle(next.get(name) ?? known.get(name) ?? unspent, settlement, now)
    if (state === undefined) return { kind: 'unsettled', settlement }
    next.set(name, state)
  }
  return next
}

/** The rows of the budgets that changed. */
export const budgetRows = (run: {
  readonly budgets: Known
  readonly changedBudgets: ReadonlySet<string>
}): readonly (readonly string[])[] =>
  [...run.changedBudgets].map(name => [...name.split('\0'), JSON.stringify(run.budgets.get(name))])
