// What was spent of the budgets of grants: read and written by the group that commits the spending, one row a budget.
import { sql } from 'kysely'
import {
  type BudgetState,
  budgetName,
  leftOf,
  spenderOf,
  unspent,
} from '../../../domain/authorization/budget.ts'
import type { Budgets } from '../../authorization.ts'
import type { Db } from '../dialect.ts'
import type { Batch, Batches } from '../engine/engine.ts'
import { isStorable } from '../records/record.ts'

export interface BudgetWriter {
  /** (tenant, owner, name) → tenant, owner, name, body of those that stand. The lock on the head keeps others away. */
  readonly read: Batch
  /** (tenant, owner, name, until, body) */
  readonly write: Batch
}

export const budgetWriterOf = ({ batch }: Batches): BudgetWriter => ({
  read: batch(
    'budget-read',
    { tenant: 'text', owner: 'text', name: 'text' },
    input => sql`
    select budgets.tenant, budgets.owner, budgets.name, budgets.body from ${input} join budgets
      on budgets.tenant = input.tenant and budgets.owner = input.owner and budgets.name = input.name`,
  ),
  write: batch(
    'budget-write',
    { tenant: 'text', owner: 'text', name: 'text', until: 'int', body: 'text' },
    input => sql`
    insert into budgets (tenant, owner, name, until, body)
    select tenant, owner, name, until, body from ${input} where true
    on conflict (tenant, owner, name) do update set until = excluded.until, body = excluded.body`,
  ),
})

export const parseBudget = (body: unknown): BudgetState =>
  typeof body === 'string' ? (JSON.parse(body) as BudgetState) : unspent

export const budgetsOver = (db: Db): Budgets => ({
  async left({ tenant }, grant, budget, now) {
    if (!isStorable(grant)) return leftOf(unspent, budget, now)
    const row = await db
      .selectFrom('budgets')
      .select('body')
      .where('tenant', '=', tenant)
      .where('owner', '=', spenderOf(grant, budget))
      .where('name', '=', budgetName(budget))
      .executeTakeFirst()
    return leftOf(parseBudget(row?.body), budget, now)
  },
})
