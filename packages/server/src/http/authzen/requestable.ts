// AuthZEN access request profile at the decision point: a denial that may be filed says so, to those who may file it.
import type { Ctx } from '../../context.ts'
import { accessRequestOf, type BindingDeps, reevaluationOf } from '../../decision/access-request.ts'
import type { Tell } from '../../decision/evaluate.ts'
import type { Caller } from '../../domain/caller.ts'
import { answerOf } from './answer.ts'

const fileScope = 'writ:decisions:request'

/** What one caller is told of decisions. */
export function tellerFor(ctx: Ctx, deps: BindingDeps, caller: Caller): Tell {
  return ({ question, decided, asked }, epoch) => {
    const answer = answerOf(decided, asked, epoch)
    if (decided.allowed || asked.wire === undefined || !caller.scopes.has(fileScope)) return answer
    const denial = { question, decided, wire: asked.wire, askedBy: caller.id }
    const request = accessRequestOf(ctx, deps, denial)
    const context = {
      ...answer.context,
      ...reevaluationOf(denial, request !== undefined),
      ...(request === undefined ? {} : { access_request: request }),
    }
    return Object.keys(context).length === 0 ? answer : { ...answer, context }
  }
}
