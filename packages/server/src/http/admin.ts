// The management API as routes: evidence, path, query and body out of requests, answers into responses. It never judges.
import { boundedCache } from '@writ/sdk/protocol/bounded-cache'
import { managementIdentifier } from '../admin/access.ts'
import { accessRequestOperations } from '../admin/activation/access-requests.ts'
import type { Raw } from '../admin/input.ts'
import { openapiDocument } from '../admin/openapi.ts'
import type { AdminDeps, Answer, AnyOperation } from '../admin/operation.ts'
import { operations } from '../admin/operations.ts'
import { perform } from '../admin/perform.ts'
import type { Ctx } from '../context.ts'
import { authenticate, type VerifiedTokens } from '../protocol/access.ts'
import { readJson } from './body.ts'
import { singleProof } from './oauth.ts'
import { type FaceDeps, json, type Route } from './route.ts'

const base = '/api/v1'
/** Where the AuthZEN profiles have their endpoints. */
const decisionBase = '/access/v1'
const filing = { publishedAs: { authzen: 'access_request_endpoint' } }

/** Tokens kept verified at once: administrators are few. */
const verifiedTokensKept = 1024

/** One route per operation, and the document that describes them. */
export function adminRoutes(extra: Pick<AdminDeps, 'planRotation' | 'engine'>): readonly Route[] {
  const verifiedTokens: VerifiedTokens = boundedCache(verifiedTokensKept)
  const routeAt =
    (below: string, published: Pick<Route, 'publishedAs'> = {}) =>
    (operation: AnyOperation): Route => ({
      name: operation.id,
      method: operation.method,
      path: below + operation.path.replace(/\{(\w+)\}/g, ':$1'),
      face: 'problem',
      cors: false,
      ...published,
      handle: (ctx, deps, request) =>
        serve(ctx, { ...deps, ...extra, verifiedTokens, below }, operation, request),
    })
  return [
    openapiRoute(),
    ...operations.map(routeAt(base)),
    ...accessRequestOperations.map(operation =>
      routeAt(decisionBase, operation.id === 'access-requests.create' ? filing : {})(operation),
    ),
  ]
}

/** Documents kept written: one a tenant. */
const documentsKept = 64

function openapiRoute(): Route {
  const documents = boundedCache<string>(documentsKept)
  return {
    name: 'openapi',
    method: 'GET',
    path: `${base}/openapi.json`,
    face: 'problem',
    cors: true,
    handle(ctx) {
      const identifier = managementIdentifier(ctx)
      // Making it out of its schemas takes fifty milliseconds, in which nobody else is served; anybody may ask for it.
      const text = documents.get(identifier) ?? JSON.stringify(openapiDocument(identifier))
      documents.set(identifier, text)
      return new Response(text, {
        headers: { 'content-type': 'application/json', 'cache-control': 'public, max-age=60' },
      })
    },
  }
}

type ServeDeps = FaceDeps &
  Pick<AdminDeps, 'planRotation' | 'engine'> & {
    readonly verifiedTokens: VerifiedTokens
    /** Below the issuer: where the operation is. */
    readonly below: string
  }

async function serve(
  ctx: Ctx,
  deps: ServeDeps,
  operation: AnyOperation,
  request: Request,
): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url)
  const audience = managementIdentifier(ctx)
  const evidence = {
    authorization: request.headers.get('authorization') ?? undefined,
    dpop: singleProof(request),
    method: request.method,
    // Scheme and host as we publish them: what the request calls us may be somebody else's choice (RFC 9449 §11.1).
    uri: new URL(ctx.issuer).origin + pathname,
  }
  const caller = await authenticate(ctx, deps, evidence, audience)
  const raw: Raw = {
    params: paramsOf(operation.path, pathname.slice(new URL(ctx.issuer + deps.below).pathname.length)),
    query: searchParams,
    body: () => bodyOf(request, Math.max(deps.config.maxBodyBytes, operation.bodyBytes ?? 0)),
    idempotencyKey: request.headers.get('idempotency-key') ?? undefined,
    ifMatch: request.headers.get('if-match') ?? undefined,
  }
  return responseOf(
    audience,
    await perform(ctx, { ...deps, settings: deps.config }, { operation, caller, raw }),
  )
}

/** The named segments of the path; an encoding that is none leaves a text that names nothing. */
function paramsOf(template: string, path: string): Record<string, string> {
  const given = path.split('/')
  const params: Record<string, string> = {}
  for (const [at, segment] of template.split('/').entries()) {
    const name = /^\{(\w+)\}$/.exec(segment)?.[1]
    if (name !== undefined) params[name] = decode(given[at] ?? '')
  }
  return params
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch (error) {
    if (error instanceof URIError) return ''
    throw error
  }
}

async function bodyOf(request: Request, maxBytes: number): Promise<Record<string, unknown> | undefined> {
  const { headers } = request
  const length = headers.get('content-length')
  const isEmpty =
    length === '0' || (length === null && !headers.has('transfer-encoding') && !headers.has('content-type'))
  if (request.body === null || isEmpty) return undefined
  return readJson(request, maxBytes)
}

function responseOf(audience: string, answer: Answer): Response {
  const response =
    answer.body === undefined
      ? new Response(null, { status: answer.status, headers: { 'cache-control': 'no-store' } })
      : json(answer.body, 'never', answer.status)
  const { location, version } = answer
  if (location !== undefined) {
    response.headers.set('location', location.startsWith('/') ? audience + location : location)
  }
  if (version !== undefined) response.headers.set('etag', `"${version}"`)
  return response
}
