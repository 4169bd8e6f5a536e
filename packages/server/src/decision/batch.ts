// AuthZEN §7: many questions of one request, decided like single ones, committed as one, up to where the semantic stops.
import { newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import { canonicalText } from '../domain/authorization/operation-digest.ts'
import { takeFrom } from '../domain/authorization/purses.ts'
import type { Caller } from '../domain/caller.ts'
import { decideAffordably } from './affordable.ts'
import { type Attempt, answerAs } from './commit.ts'
import type { Decided } from './decided.ts'
import { type Answered, entryOfMany } from './entry.ts'
import { decisionScopes, type EvaluateDeps, mayExplain, type Requested, type Tell } from './evaluate.ts'
import { readOnce } from './facts.ts'
import { type Asked, questionOf } from './question.ts'

/** What ends a batch before its end: nothing, the first refusal, the first permission. */
export type Semantic = 'execute_all' | 'deny_on_first_deny' | 'permit_on_first_permit'

/** An item that is no question is refused by itself, with what is wrong. */
export type Item = Asked | { readonly problem: string }

export interface Batch {
  readonly items: readonly Item[]
  readonly semantic: Semantic
}

type Outcome = (Answered & { readonly asked: Asked }) | { readonly problem: string }

/** Throws what `answerAs` and `read` throw. The answers are those of the items that were come to, in their order. */
export function evaluateAll(
  ctx: Ctx,
  deps: EvaluateDeps,
  { caller, read }: Requested<Batch>,
  tell: Tell,
): Promise<{ readonly evaluations: readonly object[] }> {
  let request: Promise<Batch> | undefined
  const asking = { caller, type: 'decision.evaluations', scope: decisionScopes.evaluate }
  return answerAs(ctx, deps, asking, async attempt => {
    request ??= read()
    const batch = await request
    for (const item of batch.items) if (!('problem' in item)) mayExplain(caller, item)
    const outcomes = await outcomesOf(ctx, deps, { batch, caller }, attempt)
    const decided = outcomes.flatMap(outcome => ('problem' in outcome ? [] : [outcome.decided]))
    return {
      bases: decided.flatMap(({ bases }) => bases),
      spends: decided.flatMap(({ spends }) => spends),
      entry: entryOfMany(ctx, caller, outcomes),
      answer: epoch => ({ evaluations: outcomes.map(outcome => told(outcome, tell, epoch)) }),
    }
  })
}

/** AuthZEN §7.2.1: an item that fails is refused, and says why, within an answer that succeeds. */
function told(outcome: Outcome, tell: Tell, epoch: number): object {
  return 'problem' in outcome
    ? { decision: false, context: { error: { status: 400, message: outcome.problem } } }
    : tell(outcome, epoch)
}

async function outcomesOf(
  ctx: Ctx,
  deps: EvaluateDeps,
  { batch, caller }: { readonly batch: Batch; readonly caller: Caller },
  { fresh, purses }: Attempt,
): Promise<readonly Outcome[]> {
  // Everything that items share is read once, and all of it at the same time.
  const once: EvaluateDeps = { ...deps, store: { ...deps.store, facts: readOnce(deps.store.facts) } }
  const answers = await Promise.all(
    batch.items.map(async (asked): Promise<Outcome> => {
      if ('problem' in asked) return asked
      const question = await questionOf(ctx, once.store, asked, caller.id)
      const anything = { fresh, reserve: asked.reserve, purses: new Map() }
      return { question, decided: await decideAffordably(ctx, once, question, anything), asked }
    }),
  )
  const names = batch.items.slice(0, reachOf(batch.semantic, answers)).map(item => canonicalText(item))
  const judged = new Map<string, Decided>()
  const outcomes: Outcome[] = []
  for (const [at, answer] of answers.entries()) {
    const outcome = 'problem' in answer ? answer : { ...answer, decided: await afford(at, answer) }
    outcomes.push(outcome)
    if (endsAt(batch.semantic, 'problem' in outcome ? false : outcome.decided.allowed)) break
  }
  return outcomes

  /** Equal items have one answer: their budget has enough for all of them, or each of them is refused. */
  async function afford(
    at: number,
    { question, decided, asked }: Answered & { asked: Asked },
  ): Promise<Decided> {
    const name = names[at] as string
    const known = judged.get(name)
    if (known !== undefined) return again(known, deps)
    // After the first permission nothing more is come to.
    const times =
      batch.semantic === 'permit_on_first_permit' ? 1 : names.filter(other => other === name).length
    const fits = takeFrom(purses, decided.spends, times) === undefined
    const answer = fits
      ? decided
      : await decideAffordably(ctx, once, question, { fresh, purses, times, reserve: asked.reserve })
    judged.set(name, answer)
    return answer
  }
}

/** How many items are come to at most: whatever the budgets have, a batch that ends at a refusal ends at this one. */
function reachOf(semantic: Semantic, answers: readonly Outcome[]): number {
  const refused = answers.findIndex(answer => 'problem' in answer || !answer.decided.allowed)
  return semantic === 'deny_on_first_deny' && refused !== -1 ? refused + 1 : answers.length
}

/** The same answer once more. What it reserves is reserved for itself: each operation is settled by what it cost. */
function again(decided: Decided, { randomBytes }: Pick<EvaluateDeps, 'randomBytes'>): Decided {
  if (decided.spends.every(({ reservation }) => reservation === null)) return decided
  const id = newId('rsv', randomBytes)
  const spends = decided.spends.map(spend =>
    spend.reservation === null ? spend : { ...spend, reservation: { ...spend.reservation, id } },
  )
  return { ...decided, spends }
}

function endsAt(semantic: Semantic, allowed: boolean): boolean {
  return semantic === (allowed ? 'permit_on_first_permit' : 'deny_on_first_deny')
}
