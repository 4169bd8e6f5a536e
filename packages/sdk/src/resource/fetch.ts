// Protects a fetch handler, `(request: Request) => Response`: for servers without a framework.
import type { Caller } from './caller.ts'
import type { Answer } from './challenge.ts'
import type { Permission } from './decision/decider.ts'
import type { Act } from './decision/question.ts'
import { createGuard, type Guard, type ProtectOptions, scopesOf } from './guard.ts'
import type { Verifier } from './verifier.ts'

export interface Access {
  readonly caller: Caller
  readonly guard: Guard
  /** What `permit` was answered. */
  readonly permission?: Permission
}

export type ProtectedHandler = (request: Request, access: Access) => Response | Promise<Response>

export interface Protect {
  /** The handler behind the guard; it also serves the metadata document. */
  (handler: ProtectedHandler): (request: Request) => Promise<Response>
  readonly verifier: Verifier
}

/**
 * ```ts
 * const guarded = protect({ issuer, resource: 'https://api.example' })
 * export default { fetch: guarded(require('invoices:read')((request, { caller }) => Response.json(list(caller)))) }
 * ```
 */
export function protect(options: ProtectOptions): Protect {
  const guard = createGuard(options)
  const wrap =
    (handler: ProtectedHandler) =>
    async (request: Request): Promise<Response> => {
      const admission = await guard.admit(request)
      if (admission.kind === 'answer') return toResponse(admission.answer)
      const response = await handler(request, { caller: admission.caller, guard })
      const extra = Object.entries(admission.headers)
      if (extra.length === 0) return response
      // A response that came from elsewhere has headers that cannot be changed.
      const own = new Response(response.body, response)
      for (const [name, value] of extra) own.headers.set(name, value)
      return own
    }
  return Object.assign(wrap, { verifier: guard.verifier })
}

/** Lets only callers through that hold every one of the scopes. */
export function require(...scopes: string[]): (handler: ProtectedHandler) => ProtectedHandler {
  const needed = scopesOf(scopes)
  return handler => (request, access) => {
    const refusal = access.guard.demand(access.caller, needed)
    return refusal === undefined ? handler(request, access) : toResponse(refusal)
  }
}

/** Puts each request to the decision point before the handler sees it. Needs the option `decisions` of `protect`. */
export function permit(
  actOf: (request: Request, access: Access) => Act | Promise<Act>,
): (handler: ProtectedHandler) => ProtectedHandler {
  return handler => async (request, access) => {
    const decided = await access.guard.decide(access.caller, await actOf(request, access))
    return 'refusal' in decided
      ? toResponse(decided.refusal)
      : handler(request, { ...access, permission: decided })
  }
}

export const toResponse = ({ status, headers, body }: Answer): Response =>
  new Response(body, { status, headers })
