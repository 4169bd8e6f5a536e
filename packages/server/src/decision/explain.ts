// Why an operation would be refused, by what it was decided now: nothing is done, and nothing is spent.
import type { Ctx } from '../context.ts'
import { type Purses, purseOf } from '../domain/authorization/purses.ts'
import type { Store } from '../store/store.ts'
import { decideAffordably } from './affordable.ts'
import type { DecideDeps } from './decide.ts'
import type { Decided } from './decided.ts'
import { type Asked, questionOf } from './question.ts'

/** What is asked by people: the operation, and of everything else only what they care to suppose. */
export type Supposed = Pick<Asked, 'subject' | 'action' | 'resource'> & Partial<Asked>

const unsaid: Omit<Asked, 'subject' | 'action' | 'resource'> = {
  chain: [],
  instance: null,
  ceiling: null,
  arguments: {},
  context: {
    peer: null,
    session: null,
    task: null,
    authenticationAge: null,
    keyAge: null,
    approval: null,
    amounts: {},
  },
  claims: {},
  reserve: false,
  explain: true,
  cache: false,
}

export interface ExplainDeps extends DecideDeps {
  readonly store: DecideDeps['store'] & Pick<Store, 'budgets'>
}

/**
 * Decides as the decision point would at this instant, by what budgets have left. `source`: whose word the supposed
 * attributes are.
 */
export async function explain(
  ctx: Ctx,
  deps: ExplainDeps,
  supposed: Supposed,
  source: string,
): Promise<Decided> {
  const question = await questionOf(ctx, deps.store, { ...unsaid, ...supposed }, source)
  const purses: Purses = new Map()
  for (;;) {
    const options = { fresh: true, reserve: false, purses: new Map(purses) }
    const decided = await decideAffordably(ctx, deps, question, options)
    const unseen = decided.spends.filter(spend => !purses.has(purseOf(spend)))
    if (unseen.length === 0) return decided
    // A commit would say it; here nothing is committed.
    await Promise.all(
      unseen.map(async spend => {
        const { left, moreAt } = await deps.store.budgets.left(ctx, spend.grant, spend.budget, ctx.now)
        purses.set(purseOf(spend), { left, againAt: moreAt, times: 1 })
      }),
    )
  }
}
