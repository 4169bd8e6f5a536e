// Protects a Hono app: `app.use(protect({ … }))`, then `require(scope)` on its routes.
import type { Context, MiddlewareHandler } from 'hono'
import type { Caller } from './caller.ts'
import type { Permission } from './decision/decider.ts'
import type { Act } from './decision/question.ts'
import { toResponse } from './fetch.ts'
import { createGuard, type Guard, type ProtectOptions, scopesOf, unprotected } from './guard.ts'
import type { Verifier } from './verifier.ts'

/** What the middleware leaves in the context: `c.var.caller`. */
export interface Protected {
  Variables: { caller: Caller; guard: Guard }
}

/**
 * Everything after it needs a valid token; it also serves the metadata document. Routes that are open to all, and
 * answers to preflight requests, belong before it.
 *
 * ```ts
 * app.use(protect({ issuer, resource: 'https://api.example' }))
 * app.get('/invoices', require('invoices:read'), c => c.json(list(c.var.caller)))
 * ```
 */
export function protect(
  options: ProtectOptions,
): MiddlewareHandler<Protected> & { readonly verifier: Verifier } {
  const guard = createGuard(options)
  const middleware: MiddlewareHandler<Protected> = async (c, next) => {
    const admission = await guard.admit(c.req.raw)
    if (admission.kind === 'answer') return toResponse(admission.answer)
    c.set('caller', admission.caller)
    c.set('guard', guard)
    await next()
    for (const [name, value] of Object.entries(admission.headers)) c.header(name, value)
    return undefined
  }
  return Object.assign(middleware, { verifier: guard.verifier })
}

/** Lets only callers through that hold every one of the scopes; the refusal names all of them. */
export function require(...scopes: string[]): MiddlewareHandler<Protected> {
  const needed = scopesOf(scopes)
  return async (c, next) => {
    const { caller, guard } = c.var as Partial<Protected['Variables']>
    if (caller === undefined || guard === undefined) throw unprotected()
    const refusal = guard.demand(caller, needed)
    if (refusal !== undefined) return toResponse(refusal)
    await next()
    return undefined
  }
}

/**
 * Puts each request to the decision point before the route sees it; `actOf` says what it is about to do, from the values
 * that the route will use. Needs the option `decisions` of `protect`.
 *
 * ```ts
 * app.post('/invoices/:id/pay', permit(c => ({ action: 'invoices.pay', object: { type: 'invoice', id: c.req.param('id') } })), …)
 * ```
 */
export function permit(
  actOf: (c: Context<Protected>) => Act | Promise<Act>,
): MiddlewareHandler<Protected & { Variables: { permission: Permission } }> {
  return async (c, next) => {
    const { caller, guard } = c.var as Partial<Protected['Variables']>
    if (caller === undefined || guard === undefined) throw unprotected()
    const decided = await guard.decide(caller, await actOf(c as unknown as Context<Protected>))
    if ('refusal' in decided) return toResponse(decided.refusal)
    c.set('permission', decided)
    await next()
    return undefined
  }
}
