// The composition root: the only file that knows every adapter. It opens and joins; closing goes the way back.
import { randomUUID } from 'node:crypto'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { boundedCache } from '@writ/sdk/protocol/bounded-cache'
import { keyCache } from '@writ/sdk/protocol/jwk'
import { bootstrap } from './admin/bootstrap.ts'
import { auditLoops, auditVerifierKey, type Checkpoints, createCheckpoints } from './audit/checkpoint.ts'
import { createNoise } from './audit/noise.ts'
import { adoptIssuerKeys } from './compose/adoption.ts'
import { keepAuditKey, keptAuditKey } from './compose/audit-key-file.ts'
import { rotationOf, startBackground } from './compose/background.ts'
import { engineOf } from './compose/engine.ts'
import { keepingPublished } from './compose/kept-keys.ts'
import { type Opening, openOrStaySealed } from './compose/opening.ts'
import { founderOf } from './compose/operator-file.ts'
import { databaseFile, trialCertificateFile } from './compose/places.ts'
import type { Surroundings } from './compose/surroundings.ts'
import { type Config, ConfigProblem, proxiesOf } from './config.ts'
import type { Ctx } from './context.ts'
import { countingUse, createUsage, type UsageCounter, usageLoop } from './decision/usage.ts'
import { defaultTenant, type Tenant } from './domain/tenant.ts'
import { activationRoutes } from './http/activations.ts'
import { adminRoutes } from './http/admin.ts'
import { type Connection, createApp, type Observer } from './http/app.ts'
import { auditRoutes } from './http/audit.ts'
import { decisionReportsRoute } from './http/authzen/reports.ts'
import { authzenRoutes } from './http/authzen/routes.ts'
import { discoveryRoutes, documentRoutes } from './http/discovery.ts'
import { healthRoutes } from './http/health.ts'
import { instanceRoutes } from './http/instances.ts'
import { listen } from './http/listen.ts'
import { oauthRoutes } from './http/oauth.ts'
import { rateLimiter, unlimited } from './http/rate.ts'
import { registrationRoutes } from './http/registration.ts'
import type { FaceDeps, Route } from './http/route.ts'
import { sessionRoutes } from './http/sessions.ts'
import { createAudience } from './http/stream/audience.ts'
import { confirmationRoute, createPoints } from './http/stream/enforcement-points.ts'
import { revocationsRoute } from './http/stream/revocations.ts'
import { rotationEventsRoute } from './http/stream/rotation-events.ts'
import { vaultRoutes } from './http/vault.ts'
import { followKeys } from './keys/follow.ts'
import type { Keys } from './keys/keys.ts'
import { openKeys } from './keys/providers/local.ts'
import { decideRotation, ensureKeys } from './keys/rotation.ts'
import { createMetrics, type Metrics } from './observe/metrics.ts'
import type { VerifiedTokens } from './protocol/access.ts'
import type { EngineDeps } from './rotation/engine.ts'
import { openStore } from './store/sql/open.ts'
import type { Store } from './store/store.ts'
import { deferredRoot } from './vault/deferred-root.ts'
import { createKeyring, type Keyring } from './vault/keyring.ts'
import { openSealer } from './vault/sealers/index.ts'
import type { RootSealer } from './vault/sealers/sealer.ts'
import type { Vault } from './vault/vault.ts'
import type { Runner } from './work/runner.ts'

/** A server that is joined together and answers, without a socket of its own. */
export interface Composed {
  readonly issuer: string
  readonly store: Store
  /** Protects values as whoever commits them does. */
  readonly vault: Pick<Vault, 'protect'>
  fetch(request: Request, connection?: Connection): Promise<Response>
  /** Whether it is sealed, and when it opens. */
  readonly opening: Pick<Opening, 'sealedBecause' | 'opened'>
  /** Streams end here, so that draining the sockets does not wait for them. */
  endLongAnswers(): void
  /** Ends the long answers, then the loops, which may take so long (default `shutdownSeconds`), then the store. */
  close(withinSeconds?: number): Promise<void>
}

export async function compose(config: Config, issuer: string, around: Surroundings): Promise<Composed> {
  mkdirSync(config.data, { recursive: true, mode: 0o700 })
  const metrics = createMetrics()
  const opened = await openStore(databaseOf(config), {
    randomBytes: around.randomBytes,
    onError: error => around.log('error', { part: 'store' }, error),
  })
  const uncounted = metrics.counted(around.wrapStore?.(opened) ?? opened)
  const usage = createUsage({ store: uncounted })
  const store = countingUse(uncounted, usage)
  try {
    const tenant = await standingTenant(store, issuer, around)
    const root = rootOf(config, store, tenant, around)
    const keyring = createKeyring({ store, root, randomBytes: around.randomBytes })
    const now = (): number => Math.floor(around.clockMs() / 1000)
    const keys = keepingPublished(openKeys({ store, sealer: keyring.sealerOf, now }), {
      data: config.data,
      store,
      now,
    })
    const { randomBytes } = around
    const opening = await openOrStaySealed(async () => {
      const opened = startingContext(tenant, around)
      // Before anything that may be out of reach: which of the keys that were kept are still published.
      await keys.readPublished(opened)
      await keyring.ensure(opened)
      await adoptIssuerKeys(opened, { store, keyring, root })
      await ensureKeys(opened, { store, keys })
      keepAuditKey(config.data, auditVerifierKey(issuer, keys, opened))
      await bootstrap(opened, { store, randomBytes }, () => founderOf(config.data, issuer, randomBytes))
    }, around)
    return joined(config, { tenant, store, usage, keys, keyring, root, opening, metrics }, around)
  } catch (error) {
    await store.close()
    throw error
  }
}

export function databaseOf(config: Config): Parameters<typeof openStore>[0] {
  return config.databaseUrl === undefined
    ? { kind: 'sqlite', file: databaseFile(config.data) }
    : { kind: 'postgres', url: config.databaseUrl }
}

/** The tenant at the root. A store belongs to the issuer it was made for: tokens and audit log name it. */
async function standingTenant(store: Store, issuer: string, around: Surroundings): Promise<Tenant> {
  const tenant = await store.tenants.ensure({
    id: defaultTenant,
    issuer,
    createdAt: Math.floor(around.clockMs() / 1000),
  })
  if (tenant.issuer !== issuer) {
    throw new ConfigProblem(
      'issuer',
      `the data belongs to ${tenant.issuer}; start with that issuer, or with another folder or database`,
    )
  }
  return tenant
}

function startingContext(tenant: Tenant, around: Surroundings): Ctx {
  const nowMs = around.clockMs()
  return {
    tenant: tenant.id,
    issuer: tenant.issuer,
    now: Math.floor(nowMs / 1000),
    nowMs,
    requestId: randomUUID(),
    traceId: undefined,
    peer: undefined,
    note: () => {},
  }
}

/** The root that the configuration names. It is opened when it is first needed. */
function rootOf(config: Config, store: Store, { id: tenant }: Tenant, around: Surroundings): RootSealer {
  const described = { kind: config.sealer.split(':', 1)[0] ?? '', place: `the sealer ${config.sealer}` }
  return deferredRoot(described, async () => {
    const [below, issuers] = [await store.vaultKeys.list({ tenant }), await store.issuerKeys.list({ tenant })]
    return openSealer(config.sealer, {
      data: config.data,
      // Issuer keys without a tenant key are of an older program, which sealed them with the root itself.
      hasSealed: below.length + issuers.length > 0,
      randomBytes: around.randomBytes,
    })
  })
}

interface Parts {
  readonly tenant: Tenant
  readonly store: Store
  readonly usage: UsageCounter
  readonly keys: Keys
  readonly keyring: Keyring
  readonly root: RootSealer
  readonly opening: Opening
  readonly metrics: Metrics
}

function joined(config: Config, parts: Parts, around: Surroundings): Composed {
  const { tenant, store, usage, keys, keyring, root, opening, metrics } = parts
  const closing = new AbortController()
  const limited = config.rateLimits === 'on'
  const callers = limited ? rateLimiter(config.ratePerSecond) : unlimited
  const noise = createNoise({ store })
  const checkpoints = createCheckpoints({ store, keys })
  const engine = engineOf(config, { store, keys, keyring, root, around, signal: closing.signal })
  const deps: FaceDeps = {
    config,
    store,
    keys,
    settings: config,
    randomBytes: around.randomBytes,
    importedKeys: keyCache(importedKeysKept),
    noise,
    mayProceed: (id, nowMs) => callers.take(id, nowMs),
    auditKey: scope =>
      opening.sealedBecause() === undefined
        ? auditVerifierKey(tenant.issuer, keys, scope)
        : (keptAuditKey(config.data) ?? ''),
    sealedBecause: opening.sealedBecause,
    closing: closing.signal,
  }
  const app = createApp(
    {
      tenant: tenant.id,
      issuer: tenant.issuer,
      deps,
      rates: limited ? rateLimiter(config.ratePerSecond) : unlimited,
      trustedProxies: new Set(proxiesOf(config)),
      observer: counting(around.observer, metrics),
      clockMs: around.clockMs,
    },
    routesOf(config, parts, { checkpoints, engine, closing: closing.signal }),
  )
  metrics.watch({ store, checkpoints, keys, tenants: () => store.tenants.list(), clockMs: around.clockMs })
  const unfollow = followKeys(store.signals, { keys, keyring }, error =>
    around.log('error', { part: 'keys' }, error),
  )
  const { checkpointSeconds, noiseSeconds } = config
  const auditing = [...auditLoops({ checkpoints, noise, checkpointSeconds, noiseSeconds }), usageLoop(usage)]
  // While it is sealed nothing runs that writes.
  let runner: Runner | undefined
  void opening.opened.then(() => {
    if (!closing.signal.aborted) runner = startBackground(config, { ...parts, around, auditing, engine })
  })
  // A clean stop loses no count; a store that is away keeps nobody from stopping.
  const flushCounts = async (): Promise<void> => {
    const ctx = startingContext(tenant, around)
    for (const [part, counts] of Object.entries({ noise, usage }))
      await counts.flush(ctx).catch((error: unknown) => around.log('error', { part }, error))
  }
  return {
    issuer: tenant.issuer,
    store,
    vault: keyring,
    fetch: async (request, connection = {}) => app.fetch(request, connection),
    opening,
    endLongAnswers: () => closing.abort(),
    async close(withinSeconds = config.shutdownSeconds) {
      closing.abort()
      unfollow()
      opening.stop()
      await runner?.stop(withinSeconds)
      await flushCounts()
      await store.close()
      await root.close()
    },
  }
}

/** Keys of callers kept imported: beyond it the longest unused are imported again when they come. */
const importedKeysKept = 20_000

function counting(observer: Observer, metrics: Metrics): Observer {
  return {
    request(line) {
      metrics.request(line)
      observer.request(line)
    },
    bug: observer.bug,
  }
}

/** Tokens kept verified at once by the audit and metrics pages: their readers are few. */
const readersKept = 256
/** The same of enforcement points. */
const enforcementPointsKept = 10_000
/** The same of those who read secrets: as many as agents do. */
const holdersKept = 10_000

function routesOf(
  config: Config,
  { tenant, store, keys, metrics }: Parts,
  {
    checkpoints,
    engine,
    closing,
  }: { readonly checkpoints: Checkpoints; readonly engine: EngineDeps; readonly closing: AbortSignal },
): readonly Route[] {
  const { randomBytes } = engine.kindDeps
  const planning = { store, keys, settings: rotationOf(config), randomBytes }
  const verifiedTokens: VerifiedTokens = boundedCache(readersKept)
  const routes = [
    ...oauthRoutes,
    ...instanceRoutes,
    ...activationRoutes,
    ...registrationRoutes,
    ...sessionRoutes,
    revocationsRoute(createAudience(closing), createPoints(randomUUID().slice(0, 8))),
    confirmationRoute,
    decisionReportsRoute({ verifiedTokens }),
    // Before the routes of single rotations, which would take its path.
    rotationEventsRoute({ verifiedTokens }),
    ...adminRoutes({
      engine,
      planRotation: (ctx, wish) => decideRotation(ctx, planning, {}, wish),
    }),
    ...authzenRoutes({ verifiedTokens: boundedCache(enforcementPointsKept) }),
    ...vaultRoutes({ engine, verifiedTokens: boundedCache(holdersKept) }),
    ...auditRoutes({ checkpoints, verifiedTokens }),
    ...healthRoutes({ metrics: metrics.page, verifiedTokens }),
    ...documentRoutes,
  ]
  return [...routes, ...discoveryRoutes(new URL(tenant.issuer).pathname.replace(/\/$/, ''), routes)]
}

/** A server with a socket. */
export interface Started {
  readonly issuer: string
  readonly opening: Composed['opening']
  close(): Promise<void>
}

/** Binds, opens, and answers: until it is ready every request hears 503. */
export async function start(config: Config, around: Surroundings): Promise<Started> {
  const socket = await listen(config)
  try {
    const composed = await compose(config, config.issuer ?? socket.origin, around)
    socket.answerWith(composed.fetch)
    if (socket.certificate !== undefined) publishCertificate(config.data, socket.certificate)
    return {
      issuer: composed.issuer,
      opening: composed.opening,
      async close() {
        const endMs = performance.now() + config.shutdownSeconds * 1000
        composed.endLongAnswers()
        await socket.close(config.shutdownSeconds)
        await composed.close(Math.max(0, endMs - performance.now()) / 1000)
      },
    }
  } catch (error) {
    await socket.close(0)
    throw error
  }
}

/** For whoever shall trust it. Only once this server holds the folder: that of another must not be replaced. */
function publishCertificate(data: string, certificate: string): void {
  const file = trialCertificateFile(data)
  writeFileSync(`${file}.new`, certificate, { mode: 0o644 })
  renameSync(`${file}.new`, file)
}
