// AuthZEN access request profile at the decision point: a denial that may be filed says so, to those who may file it.
import type { Ctx } from '../../context.ts'
import { accessRequestOf, type BindingDeps, denialContext } from '../../decision/access-request.ts'
import type { Tell } from '../../decision/evaluate.ts'
import type { Caller } from '../../domain/caller.ts'
import { answerOf } from './answer.ts'

const fileScope = 'writ:decisions:request'

/** What the caller of one request is told of its decisions, in their order. */
export function tellerFor(ctx: Ctx, deps: BindingDeps, caller: Caller): Tell {
  let told = 0
  return ({ question, decided, asked }, epoch) => {
    const answer = answerOf(decided, asked, epoch)
    // The request is one entry of the log, however many evaluations it has.
    const evaluation = told++ === 0 ? ctx.requestId : `${ctx.requestId}.${told}`
    if (decided.allowed || asked.wire === undefined || !caller.scopes.has(fileScope)) return answer
    const denial = { question, decided, wire: asked.wire, askedBy: caller.id, evaluation }
    const context = denialContext(ctx, denial, accessRequestOf(ctx, deps, denial))
    return context === undefined ? answer : { ...answer, context: { ...answer.context, ...context } }
  }
}
