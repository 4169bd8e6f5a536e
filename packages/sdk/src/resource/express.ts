// Protects an Express app (4 and 5): `app.use(protect({ … }))`, then `require(scope)` on its routes.
import type { Response as Reply, Request, RequestHandler } from 'express'
import type { Caller } from './caller.ts'
import type { Answer } from './challenge.ts'
import type { Permission } from './decision/decider.ts'
import type { Act } from './decision/question.ts'
import { createGuard, type Guard, type ProtectOptions, scopesOf, unprotected } from './guard.ts'
import type { Verifier } from './verifier.ts'

declare module 'express-serve-static-core' {
  interface Request {
    /** Who is calling, after `protect`. */
    caller?: Caller
    /** What `protect` decided with, for `require`. */
    guard?: Guard
    /** What `permit` was answered. */
    permission?: Permission
  }
}

/**
 * Everything after it needs a valid token; it also serves the metadata document. Routes that are open to all, and
 * answers to preflight requests, belong before it.
 *
 * ```ts
 * app.use(protect({ issuer, resource: 'https://api.example' }))
 * app.get('/invoices', require('invoices:read'), (req, res) => res.json(list(req.caller)))
 * ```
 */
export function protect(options: ProtectOptions): RequestHandler & { readonly verifier: Verifier } {
  const guard = createGuard(options)
  const handler: RequestHandler = (req, res, next) => {
    // `originalUrl`: a router that is mounted below a path has cut that path off `url`.
    guard.admit({ method: req.method, url: req.originalUrl, headers: req.rawHeaders }).then(admission => {
      if (admission.kind === 'answer') return send(res, admission.answer)
      req.caller = admission.caller
      req.guard = guard
      for (const [name, value] of Object.entries(admission.headers)) res.setHeader(name, value)
      next()
    }, next)
  }
  return Object.assign(handler, { verifier: guard.verifier })
}

/** Lets only callers through that hold every one of the scopes; the refusal names all of them. */
export function require(...scopes: string[]): RequestHandler {
  const needed = scopesOf(scopes)
  return (req, res, next) => {
    if (req.caller === undefined || req.guard === undefined) throw unprotected()
    const refusal = req.guard.demand(req.caller, needed)
    if (refusal === undefined) next()
    else send(res, refusal)
  }
}

/** Puts each request to the decision point before the route sees it. Needs the option `decisions` of `protect`. */
export function permit(actOf: (req: Request) => Act | Promise<Act>): RequestHandler {
  return (req, res, next) => {
    const { caller, guard } = req
    if (caller === undefined || guard === undefined) throw unprotected()
    Promise.resolve(actOf(req))
      .then(act => guard.decide(caller, act))
      .then(decided => {
        if ('refusal' in decided) return send(res, decided.refusal)
        req.permission = decided
        next()
      })
      .catch(next)
  }
}

function send(res: Reply, { status, headers, body }: Answer): void {
  res.writeHead(status, headers).end(body)
}
