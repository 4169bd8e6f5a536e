// One row per endpoint: what routes the request is what discovery publishes.
import type { Config } from '../config.ts'
import type { Ctx } from '../context.ts'
import type { Deps } from '../protocol/deps.ts'
import type { Face } from './problem.ts'

/** What the faces are given besides the ports of the use cases. */
export interface FaceDeps extends Deps {
  readonly config: Config
  /** The C2SP verifier key of the tenant's audit log. */
  readonly auditKey: (scope: Pick<Ctx, 'tenant'>) => string
  /** Why the vault is sealed, for people; undefined while everything is open. */
  readonly sealedBecause: () => string | undefined
  /** Aborted when the server stops: long answers end then. */
  readonly closing: AbortSignal
}

export interface Route {
  readonly name: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below the issuer's path, unless it begins with `/.well-known/`, which is below the host's root. */
  readonly path: string
  /** Below the host's root, whatever the issuer's path: for who runs the process, not for who uses the issuer. */
  readonly absolute?: true
  readonly face: Face
  /** Whether scripts of other origins may call it (RFC 9700 §2.6): token and metadata yes, pages never. */
  readonly cors: boolean
  /** Public facts: answered also while the vault is sealed. */
  readonly whileSealed?: true
  /** The members of the discovery documents that name this endpoint. */
  readonly publishedAs?: { readonly oauth?: string; readonly writ?: string; readonly authzen?: string }
  /** Answers with the caller's own `X-Request-ID` where it sent one; ours is then in `x-writ-request-id`. */
  readonly echoesRequestId?: true
  handle(ctx: Ctx, deps: FaceDeps, request: Request): Promise<Response> | Response
}

/** JSON that may be kept, or must not be. */
export function json(value: unknown, cacheSeconds: number | 'never' = 'never', status = 200): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: {
      'content-type': 'application/json',
      'cache-control': cacheSeconds === 'never' ? 'no-store' : `public, max-age=${cacheSeconds}`,
    },
  })
}

/** The URL that clients see for a path below the issuer. */
export function published(issuer: string, path: string): string {
  return `${issuer}${path}`
}
