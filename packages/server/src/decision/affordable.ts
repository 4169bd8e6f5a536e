// A decision that can be paid for: a grant whose budget has not enough is passed over while another one covers.
import type { GrantId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import type { Spend } from '../domain/authorization/budget.ts'
import { type Purses, purseOf, takeFrom } from '../domain/authorization/purses.ts'
import type { Question, Refusal } from '../domain/authorization/question.ts'
import { type DecideDeps, type DecideOptions, decide } from './decide.ts'
import type { Decided } from './decided.ts'

export interface Affording extends Pick<DecideOptions, 'fresh' | 'reserve'> {
  readonly purses: Purses
  /** How many equal operations the budgets must have enough for. */
  readonly times?: number
}

/**
 * Decides, and takes what the operation costs from the purses. Where every grant that covers it has a budget without
 * enough, the first of them refuses. A refusal never rests on memory: what was granted on another node a moment ago is
 * not there yet.
 */
export async function decideAffordably(
  ctx: Ctx,
  deps: DecideDeps,
  question: Question,
  { purses, times = 1, ...options }: Affording,
): Promise<Decided> {
  const without = new Set<GrantId>()
  let short: Decided | undefined
  for (;;) {
    const decided = await decideSurely(ctx, deps, question, { ...options, without })
    if (!decided.allowed) return short ?? decided
    const missing = takeFrom(purses, decided.spends, times)
    if (missing === undefined) return decided
    short ??= refusedBy(decided, question, missing, purses)
    without.add(missing.grant)
  }
}

async function decideSurely(
  ctx: Ctx,
  deps: DecideDeps,
  question: Question,
  options: DecideOptions,
): Promise<Decided> {
  const decided = await decide(ctx, deps, question, options)
  return decided.allowed || options.fresh ? decided : decide(ctx, deps, question, { ...options, fresh: true })
}

/** The refusal of what was allowed until its budget said that it has not so much. */
function refusedBy(decided: Decided, { subject }: Question, spend: Spend, purses: Purses): Decided {
  const { grant, budget } = spend
  const againAt = purses.get(purseOf(spend))?.againAt ?? null
  const when =
    againAt === null ? 'never in this window' : `again from ${new Date(againAt * 1000).toISOString()}`
  const refusal: Refusal = {
    party: subject.id,
    by: 'budget',
    rule: purseOf(spend),
    say: `The grant ${grant} has not so many ${budget.unit} left: ${when}.`,
  }
  return {
    ...decided,
    allowed: false,
    refusal,
    grants: [],
    spends: [],
    bases: [],
    until: null,
    cacheable: false,
  }
}
