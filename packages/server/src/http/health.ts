// For who runs the process: is it alive, is it able to serve, and its counts (OpenMetrics 1.0). At the host's root.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import type { VerifiedTokens } from '../protocol/access.ts'
import { readGuarded } from './audit.ts'
import { type FaceDeps, json, type Route } from './route.ts'

export interface HealthFace {
  /** The metrics page, as OpenMetrics text. */
  readonly metrics: () => Promise<string>
  readonly verifiedTokens: VerifiedTokens
}

/** How long a store may take to answer before this node calls itself unable to serve. */
const pingMs = 1500

const openMetrics = 'application/openmetrics-text; version=1.0.0; charset=utf-8'

export function healthRoutes(face: HealthFace): readonly Route[] {
  return [
    // Asks nothing of the store: a database that is away must not get every node restarted.
    probe('healthz', '/healthz', () => json({ alive: true })),
    probe('readyz', '/readyz', readiness),
    probe('metrics', '/metrics', (ctx, deps, request) => metrics(ctx, { ...deps, ...face }, request)),
  ]
}

function probe(name: string, path: string, handle: Route['handle']): Route {
  return {
    name,
    method: 'GET',
    path,
    absolute: true,
    face: 'problem',
    cors: false,
    whileSealed: true,
    handle,
  }
}

async function readiness(ctx: Ctx, deps: FaceDeps): Promise<Response> {
  const parts = {
    open: !deps.closing.aborted,
    keys: canSign(ctx, deps),
    store: await answersInTime(deps.store.ping()),
  }
  const sealed = deps.sealedBecause()
  const ready = parts.open && parts.keys && parts.store && sealed === undefined
  return json({ ready, ...parts, ...(sealed === undefined ? {} : { sealed }) }, 'never', ready ? 200 : 503)
}

function canSign(ctx: Ctx, deps: FaceDeps): boolean {
  try {
    deps.keys.signer(ctx, 'token')
    return true
  } catch {
    // Whatever the reason, this node cannot issue anything now; the loop that reads the keys logs it.
    return false
  }
}

async function answersInTime(ping: Promise<boolean>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>(resolve => {
    timer = setTimeout(resolve, pingMs, false)
  })
  try {
    return await Promise.race([ping.catch(() => false), late])
  } finally {
    clearTimeout(timer)
  }
}

async function metrics(ctx: Ctx, deps: FaceDeps & HealthFace, request: Request): Promise<Response> {
  const answer = async (): Promise<Response> =>
    new Response(await deps.metrics(), {
      headers: { 'content-type': openMetrics, 'cache-control': 'no-store' },
    })
  if (request.headers.has('authorization')) {
    const uri = `${new URL(ctx.issuer).origin}/metrics`
    return readGuarded(ctx, deps, { request, uri, type: 'metrics.read' }, async () => ({
      facts: {},
      answer: await answer(),
    }))
  }
  if (!isLocal(ctx, deps, request)) {
    const say = 'Metrics are for loopback addresses, or for holders of writ:events:read.'
    throw new Fault('access_denied', say, { kind: 'metrics_from_afar' })
  }
  return answer()
}

const forwarding = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via']

/**
 * Whether somebody on this machine asks. A connection from a loopback address proves that only where no proxy stands
 * on this machine; and the name in Host has to be that of a loopback address, because a page whose own name was made
 * to lead here (DNS rebinding) is read by its author, wherever he is.
 */
function isLocal(ctx: Ctx, { config }: FaceDeps, request: Request): boolean {
  if (ctx.peer === undefined || !isLoopback(ctx.peer)) return false
  if (config.trustedProxies !== '' || forwarding.some(name => request.headers.has(name))) return false
  // Reached under a public name though it listens on loopback only: there is a proxy, named or not.
  if (isLoopback(config.host) && !isLoopback(new URL(ctx.issuer).hostname)) return false
  return isLoopback(new URL(request.url).hostname)
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || /^(\[::1\]|::1|(::ffff:)?127(\.\d{1,3}){3})$/.test(host)
}
