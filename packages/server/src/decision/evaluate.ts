// Evaluations: one question or many of one request, decided, committed together, and only then told.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import type { Caller } from '../domain/caller.ts'
import type { Store } from '../store/store.ts'
import { decideAffordably } from './affordable.ts'
import { type Attempt, answerAs } from './commit.ts'
import type { DecideDeps } from './decide.ts'
import { type Answered, entryOf } from './entry.ts'
import { type Asked, questionOf } from './question.ts'

export interface EvaluateDeps {
  readonly store: Pick<Store, 'facts' | 'approvals' | 'signals' | 'commit'>
  readonly randomBytes: DecideDeps['randomBytes']
}

/** The leaves of the decision point. */
export const decisionScopes = {
  evaluate: 'writ:decisions:evaluate',
  explain: 'writ:decisions:explain',
  search: 'writ:decisions:search',
} as const

/** What is told of one decision; `epoch`: at which everything that it rests on was seen to hold. */
export type Tell = (told: Answered & { readonly asked: Asked }, epoch: number) => object

/** Who asks, by a request that is read only once it may ask. */
export interface Requested<T> {
  readonly caller: Caller
  read(): Promise<T>
}

/** One question. Throws what `answerAs` and `read` throw. */
export function evaluate(
  ctx: Ctx,
  deps: EvaluateDeps,
  { caller, read }: Requested<Asked>,
  tell: Tell,
): Promise<object> {
  let request: Promise<Asked> | undefined
  const asking = { caller, type: 'decision.evaluated', scope: decisionScopes.evaluate }
  return answerAs(ctx, deps, asking, async attempt => {
    request ??= read()
    const asked = await request
    mayExplain(caller, asked)
    const answered = await answerTo(ctx, deps, { asked, caller }, attempt)
    const { bases, spends } = answered.decided
    return {
      bases,
      spends,
      entry: entryOf(ctx, caller, answered),
      answer: epoch => tell({ ...answered, asked }, epoch),
    }
  })
}

/** Throws `insufficient_scope`: a reason tells of rules and grants that the caller may not be meant to know. */
export function mayExplain(caller: Caller, { explain }: Pick<Asked, 'explain'>): void {
  const scope = decisionScopes.explain
  if (explain && !caller.scopes.has(scope))
    throw new Fault('insufficient_scope', `Reasons need the scope ${scope}.`, { kind: 'scope', scope })
}

async function answerTo(
  ctx: Ctx,
  deps: EvaluateDeps,
  { asked, caller }: { readonly asked: Asked; readonly caller: Caller },
  attempt: Attempt,
): Promise<Answered> {
  const question = await questionOf(ctx, deps.store, asked, caller.id)
  const decided = await decideAffordably(ctx, deps, question, { ...attempt, reserve: asked.reserve })
  return { question, decided }
}
