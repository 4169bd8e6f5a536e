// Why an operation would be refused, by what it was decided now: nothing is done, and nothing is spent.
import type { Ctx } from '../context.ts'
import { type DecideDeps, decide } from './decide.ts'
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

/** Decides as the decision point would at this instant. `source`: whose word the supposed attributes are. */
export async function explain(
  ctx: Ctx,
  deps: DecideDeps,
  supposed: Supposed,
  source: string,
): Promise<Decided> {
  const question = await questionOf(ctx, deps.store, { ...unsaid, ...supposed }, source)
  return decide(ctx, deps, question, { fresh: true })
}
