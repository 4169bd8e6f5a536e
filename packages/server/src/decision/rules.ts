// What the judge is given to judge by: the engines of policies and details over the facts of one question.
import { coversOperation } from '@writ/sdk/protocol/details/index'
import type { Ctx } from '../context.ts'
import type { PolicyVerdict, Rules } from '../domain/authorization/judge.ts'
import {
  compilePolicies,
  conditionHolds,
  conditionReadsClock,
  evaluate,
  statementsOfCondition,
} from '../domain/authorization/policy/evaluate.ts'
import { isOtherSpelling, spellingRule } from '../domain/authorization/policy/other-spelling.ts'
import type { PolicySet } from '../domain/authorization/policy/set.ts'
import type { DecisionFacts, Question } from '../domain/authorization/question.ts'

/** What policies name in other letters, they forbid. */
const spelling: PolicyVerdict = { allowed: false, reasons: [spellingRule], errors: [], readsClock: false }

export function rulesOf(
  ctx: Pick<Ctx, 'issuer'>,
  question: Question,
  facts: DecisionFacts,
  set: PolicySet | undefined,
): Rules {
  const policies = compilePolicies(set)
  return {
    tenant: ctx.issuer,
    over: (otherQuestion, otherFacts) => rulesOf(ctx, otherQuestion, otherFacts, set),
    covers: coversOperation,
    policy: (party, granted) =>
      isOtherSpelling(policies.sliced.statements, question)
        ? spelling
        : evaluate(policies, { question, facts, party }, granted),
    condition: (text, party) => ({
      holds: isOtherSpelling(statementsOfCondition(text), question)
        ? 'error'
        : conditionHolds(text, { question, facts, party }),
      readsClock: conditionReadsClock(text),
    }),
  }
}
