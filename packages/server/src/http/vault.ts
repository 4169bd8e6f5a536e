// The vault's door for agents: one secret a path, a bound token for that very secret. It translates, and never judges.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import type { Caller } from '../domain/caller.ts'
import { authenticate, type VerifiedTokens } from '../protocol/access.ts'
import type { Planning } from '../rotation/engine.ts'
import { handOut } from '../vault/handout.ts'
import { giveBack, type LeaseDeps, lease } from '../vault/lease-handout.ts'
import { readJson } from './body.ts'
import { singleProof } from './oauth.ts'
import { type FaceDeps, json, published, type Route } from './route.ts'

export interface VaultFace {
  readonly verifiedTokens: VerifiedTokens
  readonly engine: Pick<Planning, 'kindDeps'>
}

const path = '/vault/:name'

const instant = (at: number): string => new Date(at * 1000).toISOString()

export function vaultRoutes(face: VaultFace): readonly Route[] {
  const about = { face: 'problem', cors: false } as const
  return [
    {
      ...about,
      name: 'vault',
      method: 'GET',
      path,
      async handle(ctx, deps, request) {
        const { caller, name } = await callerOf(ctx, { ...deps, ...face }, request)
        const handed = await handOut(ctx, depsOf(deps, face), caller, name)
        return json({
          name: handed.name,
          version: handed.number,
          value: handed.value.reveal(),
          lease_seconds: handed.leaseSeconds,
          expires_at: instant(handed.expiresAt),
        })
      },
    },
    {
      ...about,
      name: 'vault-lease',
      method: 'POST',
      path,
      async handle(ctx, deps, request) {
        const { caller, name } = await callerOf(ctx, { ...deps, ...face }, request)
        const ttlSeconds = () => ttlOf(request, deps.config.maxBodyBytes)
        const leased = await lease(ctx, depsOf(deps, face), caller, { name, ttlSeconds })
        const body = {
          lease: leased.lease,
          value: leased.value.reveal(),
          expires_at: instant(leased.expiresAt),
        }
        return json(body, 'never', 201)
      },
    },
    {
      ...about,
      name: 'vault-lease-end',
      method: 'DELETE',
      path: `${path}/leases/:lease`,
      async handle(ctx, deps, request) {
        const { caller, name, rest } = await callerOf(ctx, { ...deps, ...face }, request)
        await giveBack(ctx, depsOf(deps, face), caller, { name, lease: rest[1] ?? '' })
        return new Response(null, { status: 204, headers: { 'cache-control': 'no-store' } })
      },
    },
  ]
}

function depsOf({ store }: FaceDeps, { engine }: VaultFace): LeaseDeps {
  const { vault, rotators, randomBytes, signal } = engine.kindDeps
  return { store, vault, rotators, randomBytes, signal }
}

/**
 * Whoever shows a token for the secret that the path names. The name is taken as it stands there: a spelling of another
 * name (`%2e`, `%2f`, another case) is another resource, for which nobody has a token.
 */
async function callerOf(
  ctx: Ctx,
  deps: FaceDeps & VaultFace,
  request: Request,
): Promise<{ readonly caller: Caller; readonly name: string; readonly rest: readonly string[] }> {
  const { pathname } = new URL(request.url)
  const base = `${new URL(ctx.issuer).pathname.replace(/\/$/, '')}/vault/`
  const [name = '', ...rest] = pathname.slice(base.length).split('/')
  const evidence = {
    authorization: request.headers.get('authorization') ?? undefined,
    dpop: singleProof(request),
    method: request.method,
    // Scheme and host as we publish them: what the request calls us may be somebody else's choice (RFC 9449 §11.1).
    uri: new URL(ctx.issuer).origin + pathname,
  }
  const caller = await authenticate(ctx, deps, evidence, published(ctx.issuer, `/vault/${name}`))
  return { caller, name, rest }
}

/** Strict: `ttl_seconds`, a whole number of seconds, and nothing else; no body at all asks for the longest. */
async function ttlOf(request: Request, maxBytes: number): Promise<number | undefined> {
  if (request.body === null || request.headers.get('content-length') === '0') return undefined
  const { ttl_seconds: ttl, ...others } = await readJson(request, maxBytes)
  if (Object.keys(others).length > 0)
    throw new Fault('invalid_request', 'The body has ttl_seconds and nothing else.', {
      kind: 'unknown_member',
    })
  if (ttl === undefined) return undefined
  if (typeof ttl === 'number' && Number.isInteger(ttl) && ttl >= 1) return ttl
  throw new Fault('invalid_request', 'ttl_seconds must be a whole number of seconds.', { kind: 'ttl' })
}
