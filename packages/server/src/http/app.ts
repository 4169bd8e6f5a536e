// The door: routes, request ids, one reading of the clock, limits, one log line, one catch. It knows no protocol.
import { randomUUID } from 'node:crypto'
import { isIP } from 'node:net'
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { Hono } from 'hono'
import { networkOf } from '../audit/network.ts'
import type { Ctx, Note } from '../context.ts'
import type { TenantId } from '../domain/tenant.ts'
import { fixedLimits } from '../limits.ts'
import { currentNonce } from '../protocol/binding/dpop.ts'
import { answerFault, type Face } from './problem.ts'
import type { RateLimiter } from './rate.ts'
import type { FaceDeps, Route } from './route.ts'

/** Where the answer's log line and counts go. */
export interface Observer {
  request(line: Readonly<Record<string, unknown>>): void
  /** Something that is not a Fault: our bug. */
  bug(error: unknown, requestId: string): void
}

export interface Door {
  readonly tenant: TenantId
  readonly issuer: string
  readonly deps: FaceDeps
  readonly rates: RateLimiter
  readonly trustedProxies: ReadonlySet<string>
  readonly observer: Observer
  readonly clockMs: () => number
}

/** What the server underneath knows of a connection; absent when a request is handed in directly. */
export interface Connection {
  readonly incoming?: {
    readonly socket?: { readonly remoteAddress?: string | undefined }
    readonly rawHeaders?: readonly string[]
    readonly url?: string | undefined
  }
}

interface OpenDoor extends Door {
  readonly strictTransport: string | undefined
}

/** The application for these routes; `routes` hold paths below the issuer, well-known ones below the host. */
export function createApp(given: Door, routes: readonly Route[]): Hono<{ Bindings: Connection }> {
  const door: OpenDoor = { ...given, strictTransport: strictTransportOf(given.issuer) }
  // As every reader of it sees the path: Hono's own decodes what others do not, so that a rule in front of us for
  // `/api` would be passed by `/%61pi` (threat C44).
  const app = new Hono<{ Bindings: Connection }>({ getPath: request => new URL(request.url).pathname })
  const issuerPath = new URL(door.issuer).pathname.replace(/\/$/, '')
  const byPath = Map.groupBy(routes, route =>
    isAbsolute(route, issuerPath) ? route.path : `${issuerPath}${route.path}`,
  )
  for (const [path, group] of byPath) {
    for (const route of group) app.on(route.method, path, c => serve(door, route, c.req.raw, c.env))
    const methods = group.map(({ method }) => method)
    const [first] = group
    if (first !== undefined)
      app.all(path, c => otherMethod(door, first, methods, { request: c.req.raw, connection: c.env }))
  }
  app.notFound(c => serve(door, unknownRoute, c.req.raw, c.env))
  return app
}

/**
 * RFC 6797: whoever came once over TLS never starts without it again, where somebody on the path could answer first.
 * For a name of the issuer's own only: the policy knows no ports, so for localhost it would reach every other server
 * there; and an address cannot have one (§8.1.1).
 */
function strictTransportOf(issuer: string): string | undefined {
  const { protocol, hostname } = new URL(issuer)
  const isNamed = isIP(hostname) === 0 && !hostname.startsWith('[') && !/(^|\.)localhost$/.test(hostname)
  return protocol === 'https:' && isNamed ? 'max-age=31536000' : undefined
}

function isAbsolute(route: Route, issuerPath: string): boolean {
  return (
    route.absolute === true ||
    route.path.startsWith('/.well-known/') ||
    (issuerPath !== '' && route.path.startsWith(`${issuerPath}/.well-known/`))
  )
}

const unknownRoute: Route = {
  name: 'unknown',
  method: 'GET',
  path: '',
  face: 'problem',
  cors: false,
  handle() {
    throw new Fault('not_found', 'There is nothing at this address.', { kind: 'no_route' })
  },
}

function otherMethod(
  door: OpenDoor,
  route: Route,
  methods: readonly string[],
  { request, connection }: { request: Request; connection: Connection },
): Promise<Response> {
  const allow = [...new Set([...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'])].join(', ')
  return serve(door, { ...route, handle: () => refuseMethod(route, request, allow) }, request, connection)
}

function refuseMethod(route: Route, request: Request, allow: string): Response {
  if (request.method !== 'OPTIONS')
    throw new Fault('method_not_allowed', `Use ${allow}.`, { kind: 'method', allow })
  const headers = new Headers({ allow, 'cache-control': 'no-store' })
  if (route.cors) {
    headers.set('access-control-allow-methods', allow)
    // What a script may add that is not safe by itself; MCP clients name their revision when they discover.
    headers.set('access-control-allow-headers', 'authorization, content-type, dpop, mcp-protocol-version')
    headers.set('access-control-max-age', '600')
  }
  return new Response(null, { status: 204, headers })
}

async function serve(
  door: OpenDoor,
  route: Route,
  request: Request,
  connection: Connection,
): Promise<Response> {
  const startedMs = performance.now()
  const notes: Record<string, unknown> = {}
  const ctx = contextOf(door, request, connection, notes)
  let answer: Response
  let code: string | undefined
  try {
    checkTarget(request, connection)
    checkHeaders(connection)
    if (!door.rates.take(`address:${networkOf(ctx.peer)}`, ctx.nowMs)) {
      throw new Fault('rate_limited', 'Too many requests from this address; slow down.', { kind: 'address' })
    }
    if (route.whileSealed !== true) mustBeOpen(door)
    answer = await route.handle(ctx, door.deps, request)
  } catch (error) {
    const fault = isFault(error) ? error : bugAsFault(door, error, ctx)
    code = fault.code
    Object.assign(notes, fault.why === undefined ? {} : { why: fault.why.kind })
    answer = answerOf(door, ctx, { face: route.face, tried: triedScheme(request) }, fault)
    // Of somebody known there is an entry, except where there are too many of them: then they are counted.
    if (!ctx.isKnown() || fault.code === 'rate_limited')
      door.deps.noise.count(ctx, { endpoint: route.name, code: fault.code })
  }
  finish(answer, ctx, door, route)
  door.observer.request({
    route: route.name,
    method: request.method,
    status: answer.status,
    ms: Math.round((performance.now() - startedMs) * 100) / 100,
    request_id: ctx.requestId,
    ...(code === undefined ? {} : { code }),
    ...notes,
  })
  return answer
}

function mustBeOpen({ deps }: Door): void {
  const because = deps.sealedBecause()
  if (because === undefined) return
  throw new Fault('temporarily_unavailable', `This authority is sealed. ${because}`, { kind: 'sealed' })
}

function bugAsFault(door: Door, error: unknown, ctx: Ctx): Fault {
  door.observer.bug(error, ctx.requestId)
  return new Fault(
    'server_error',
    'The server failed; the request id helps to find out why.',
    { kind: 'bug' },
    { cause: error },
  )
}

interface Facing {
  readonly face: Face
  /** The scheme of its Authorization header. */
  readonly tried: string | undefined
}

// RFC 9110 §5.6.2 for what a scheme is.
function triedScheme(request: Request): string | undefined {
  const scheme = request.headers.get('authorization')?.split(' ', 1)[0]
  return scheme !== undefined && /^[\w!#$%&'*+.^`|~-]{1,32}$/.test(scheme) ? scheme : undefined
}

function answerOf(door: Door, ctx: Ctx, { face, tried }: Facing, fault: Fault): Response {
  const nonce = fault.code === 'use_dpop_nonce' ? currentNonce(ctx, door.deps) : undefined
  const answer = answerFault(ctx, face, fault, { nonce, tried })
  const allow = fault.why?.['allow']
  if (typeof allow === 'string') answer.headers.set('allow', allow)
  return answer
}

function finish(answer: Response, ctx: Ctx, { strictTransport }: OpenDoor, route: Route): void {
  const { callerRequestId } = ctx
  if (route.echoesRequestId === true && callerRequestId !== undefined) {
    answer.headers.set('x-request-id', callerRequestId)
    answer.headers.set('x-writ-request-id', ctx.requestId)
  } else {
    answer.headers.set('x-request-id', ctx.requestId)
  }
  answer.headers.set('x-content-type-options', 'nosniff')
  if (strictTransport !== undefined) answer.headers.set('strict-transport-security', strictTransport)
  if (route.cors) {
    answer.headers.set('access-control-allow-origin', '*')
    answer.headers.set('access-control-expose-headers', 'dpop-nonce, www-authenticate, x-request-id')
  }
}

interface OpenCtx extends Ctx {
  /** Whether somebody was authenticated: what happens to them is an audit entry, not noise. */
  isKnown(): boolean
}

function contextOf(
  door: Door,
  request: Request,
  connection: Connection,
  notes: Record<string, unknown>,
): OpenCtx {
  const nowMs = door.clockMs()
  return {
    tenant: door.tenant,
    issuer: door.issuer,
    now: Math.floor(nowMs / 1000),
    nowMs,
    requestId: randomUUID(),
    callerRequestId: callerRequestIdOf(request),
    traceId: traceOf(request),
    peer: peerOf(door, request, connection),
    note: (facts: Note) => void Object.assign(notes, facts),
    isKnown: () => notes['caller'] !== undefined,
  }
}

// AuthZEN §10.1.3: an arbitrary string, which comes back as it was. The bound of all headers is its bound.
function callerRequestIdOf(request: Request): string | undefined {
  return /^[\t\x20-\x7e\x80-\xff]+$/.exec(request.headers.get('x-request-id') ?? '')?.[0]
}

// W3C Trace Context: only a well-formed id is kept, so that nobody writes into the log through it (threat C63).
function traceOf(request: Request): string | undefined {
  const given = request.headers.get('traceparent')
  return given === null ? undefined : /^00-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(given)?.[1]
}

/** The socket's address; the last hop that a configured proxy saw, where the socket is one (threat C70). */
function peerOf(door: Door, request: Request, connection: Connection): string | undefined {
  const remote = connection?.incoming?.socket?.remoteAddress
  const address = remote === undefined ? undefined : addressIn(remote)
  if (address === undefined || !door.trustedProxies.has(address)) return address ?? remote
  const hops = (request.headers.get('x-forwarded-for') ?? '').split(',').filter(hop => hop.trim() !== '')
  // What stands left of a hop that we cannot read was written by whoever wrote that hop.
  const last = hops.map(addressIn).findLast(hop => hop === undefined || !door.trustedProxies.has(hop))
  return last ?? address
}

/** One spelling of an address: some proxies write its port behind it, and IPv4 comes in IPv6 clothing. */
function addressIn(hop: string): string | undefined {
  const text = hop.trim()
  const bare = /^\[(.*)\](?::\d{1,5})?$/.exec(text)?.[1] ?? /^([\d.]+):\d{1,5}$/.exec(text)?.[1] ?? text
  const plain = bare.replace(/^::ffff:(?=[\d.]+$)/i, '')
  return isIP(plain) === 0 ? undefined : plain
}

/** RFC 9112 §3.2.1 and §3.2.2: a path, or an absolute URI that ends in one. */
const origin = /^https?:\/\/[^/?#]*/i

/** What a parser of URLs makes of a target (`/x/../token`, `/%2e/token`) is not what a rule in front of us has seen. */
function checkTarget(request: Request, connection: Connection): void {
  const target = connection?.incoming?.url
  if (target === undefined) return
  const path = target.replace(origin, '').split(/[?#]/, 1)[0]
  if ((path === '' ? '/' : path) !== new URL(request.url).pathname)
    throw new Fault('not_found', 'There is nothing at this address.', { kind: 'other_spelling' })
}

const singleHeaders = new Set([
  'authorization',
  'dpop',
  'content-type',
  'content-length',
  'idempotency-key',
  'host',
])

/** Two parsers, two requests (threat C04, C65): a header that decides something may come once, and not endlessly. */
function checkHeaders(connection: Connection): void {
  const raw = connection?.incoming?.rawHeaders
  if (raw === undefined) return
  const seen = new Set<string>()
  let size = 0
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] as string).toLowerCase()
    size += name.length + (raw[index + 1] as string).length
    if (!singleHeaders.has(name)) continue
    if (seen.has(name)) {
      if (name === 'dpop')
        throw new Fault('invalid_dpop_proof', 'The DPoP proof is not valid.', { kind: 'several_proofs' })
      throw new Fault('invalid_request', `The header ${name} comes more than once.`, {
        kind: 'repeated_header',
      })
    }
    seen.add(name)
  }
  if (size > fixedLimits.maxHeaderBytes)
    throw new Fault('header_too_large', 'The request headers are too large.', { kind: 'headers' })
}
