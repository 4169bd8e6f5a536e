// Protects a Fastify app (5): `app.register(protect({ … }))`, then `require(scope)` as a hook of its routes.
import type {
  FastifyPluginCallback,
  FastifyReply,
  FastifyRequest,
  onRequestHookHandler,
  preHandlerAsyncHookHandler,
} from 'fastify'
import type { Caller } from './caller.ts'
import type { Answer } from './challenge.ts'
import type { Permission } from './decision/decider.ts'
import type { Act } from './decision/question.ts'
import { createGuard, type Guard, type ProtectOptions, scopesOf, unprotected } from './guard.ts'
import type { Verifier } from './verifier.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is calling, after `protect`. */
    caller: Caller | null
    /** What `protect` decided with, for `require`. */
    guard: Guard | null
    /** What `permit` was answered. */
    permission: Permission | null
  }
}

/**
 * Everything in the instance that registers it, and below, needs a valid token; it also serves the metadata document.
 *
 * ```ts
 * await app.register(protect({ issuer, resource: 'https://api.example' }))
 * app.get('/invoices', { onRequest: require('invoices:read') }, request => list(request.caller))
 * ```
 */
export function protect(options: ProtectOptions): FastifyPluginCallback & { readonly verifier: Verifier } {
  const guard = createGuard(options)
  const plugin: FastifyPluginCallback = (app, _options, done) => {
    app.decorateRequest('caller', null)
    app.decorateRequest('guard', null)
    app.decorateRequest('permission', null)
    app.addHook('onRequest', async (request, reply) => {
      const { method, originalUrl: url, raw } = request
      const admission = await guard.admit({ method, url, headers: raw.rawHeaders })
      if (admission.kind === 'answer') return send(reply, admission.answer)
      request.caller = admission.caller
      request.guard = guard
      reply.headers(admission.headers)
      return undefined
    })
    app.addHook('onClose', async () => guard.verifier.close())
    done()
  }
  // Fastify's own mark for a plugin that belongs to whoever registers it: without it the hook would guard nothing.
  return Object.assign(plugin, { verifier: guard.verifier, [Symbol.for('skip-override')]: true })
}

/** Lets only callers through that hold every one of the scopes; the refusal names all of them. */
export function require(...scopes: string[]): onRequestHookHandler {
  const needed = scopesOf(scopes)
  return (request, reply, done) => {
    const { caller, guard } = request
    if (!caller || !guard) return done(unprotected())
    const refusal = guard.demand(caller, needed)
    if (refusal === undefined) return done()
    return void send(reply, refusal)
  }
}

/** Puts each request to the decision point before the route sees it. Needs the option `decisions` of `protect`. */
export function permit(actOf: (request: FastifyRequest) => Act | Promise<Act>): preHandlerAsyncHookHandler {
  return async (request, reply) => {
    const { caller, guard } = request
    if (!caller || !guard) throw unprotected()
    const decided = await guard.decide(caller, await actOf(request))
    if ('refusal' in decided) return send(reply, decided.refusal)
    request.permission = decided
    return undefined
  }
}

const send = (reply: FastifyReply, { status, headers, body }: Answer): FastifyReply =>
  reply.code(status).headers(headers).send(body)
