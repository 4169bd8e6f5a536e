// The composition root: the only file that knows every adapter. It opens and joins; closing goes the way back.
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { keyCache } from '@writ/sdk/protocol/jwk'
import { bootstrap } from './admin/bootstrap.ts'
import { auditLoops, auditVerifierKey, createCheckpoints } from './audit/checkpoint.ts'
import { createNoise } from './audit/noise.ts'
import { founderOf } from './compose/operator-file.ts'
import { type Config, ConfigProblem } from './config.ts'
import type { Ctx } from './context.ts'
import { defaultTenant, type Tenant } from './domain/tenant.ts'
import { adminRoutes } from './http/admin.ts'
import { type Connection, createApp, type Observer } from './http/app.ts'
import { discoveryRoutes, documentRoutes } from './http/discovery.ts'
import { instanceRoutes } from './http/instances.ts'
import { listen } from './http/listen.ts'
import { oauthRoutes } from './http/oauth.ts'
import { rateLimiter, unlimited } from './http/rate.ts'
import { revocationsRoute } from './http/revocations.ts'
import type { FaceDeps, Route } from './http/route.ts'
import { followKeys } from './keys/follow.ts'
import type { Keys } from './keys/keys.ts'
import { openKeyFile } from './keys/providers/key-file.ts'
import { openKeys } from './keys/providers/local.ts'
import { decideRotation, ensureKeys, type RotationSettings } from './keys/rotation.ts'
import type { Sealer } from './keys/sealer.ts'
import { maxTokenSeconds } from './limits.ts'
import { openStore } from './store/sql/open.ts'
import type { Store } from './store/store.ts'
import { type LoopDeps, loopMemory, loops } from './work/loops.ts'
import { type Runner, startRunner } from './work/runner.ts'

/** What the outside world is to the server; a test hands in its own. */
export interface Surroundings {
  /** Epoch milliseconds. */
  readonly clockMs: () => number
  readonly randomBytes: (length: number) => Uint8Array
  readonly observer: Observer
}

/** A server that is joined together and answers, without a socket of its own. */
export interface Composed {
  readonly issuer: string
  readonly store: Store
  fetch(request: Request, connection?: Connection): Promise<Response>
  /** Streams end here, so that draining the sockets does not wait for them. */
  endLongAnswers(): void
  /** Ends the long answers, then the loops, then the store. */
  close(): Promise<void>
}

const sealPath = (config: Config): string => join(config.data, 'seal.key')

export async function compose(config: Config, issuer: string, around: Surroundings): Promise<Composed> {
  mkdirSync(config.data, { recursive: true, mode: 0o700 })
  const store = await openStore(databaseOf(config), {
    randomBytes: around.randomBytes,
    onError: error => around.observer.bug(error, 'store'),
  })
  try {
    const tenant = await standingTenant(store, issuer, around)
    const ctx = startingContext(tenant, around)
    const sealer = await openSealer(store, config, tenant)
    const keys = openKeys({ store, sealer, now: () => Math.floor(around.clockMs() / 1000) })
    await ensureKeys(ctx, { store, keys })
    const { randomBytes } = around
    await bootstrap(ctx, { store, randomBytes }, () => founderOf(config.data, issuer, randomBytes))
    return joined(config, { tenant, store, keys }, around)
  } catch (error) {
    await store.close()
    throw error
  }
}

function databaseOf(config: Config): Parameters<typeof openStore>[0] {
  return config.databaseUrl === undefined
    ? { kind: 'sqlite', file: join(config.data, 'writ.db') }
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
    throw new ConfigProblem('issuer', `the data belongs to ${tenant.issuer}; start with that issuer, or with another folder or database`)
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

async function openSealer(store: Store, config: Config, tenant: Tenant): Promise<Sealer> {
  const sealed = (await store.issuerKeys.list({ tenant: tenant.id })).map(key => key.sealed)
  return openKeyFile({ path: sealPath(config), sealed })
}

interface Parts {
  readonly tenant: Tenant
  readonly store: Store
  readonly keys: Keys
}

function joined(config: Config, { tenant, store, keys }: Parts, around: Surroundings): Composed {
  const closing = new AbortController()
  const limited = config.rateLimits === 'on'
  const callers = limited ? rateLimiter(config.ratePerSecond) : unlimited
  const noise = createNoise({ store })
  const checkpoints = createCheckpoints({ store, keys })
  const deps: FaceDeps = {
    config,
    store,
    keys,
    settings: config,
    randomBytes: around.randomBytes,
    importedKeys: keyCache(importedKeysKept),
    noise,
    mayProceed: (id, nowMs) => callers.take(id, nowMs),
    auditKey: scope => auditVerifierKey(tenant.issuer, keys, scope),
    closing: closing.signal,
  }
  const app = createApp(
    {
      tenant: tenant.id,
      issuer: tenant.issuer,
      deps,
      rates: limited ? rateLimiter(config.ratePerSecond) : unlimited,
      trustedProxies: new Set(config.trustedProxies.split(/[ ,]+/).filter(Boolean)),
      observer: around.observer,
      clockMs: around.clockMs,
    },
    routesOf(config, { tenant, store, keys }),
  )
  const unfollow = followKeys(store.signals, keys, error => around.observer.bug(error, 'keys'))
  const { checkpointSeconds, noiseSeconds } = config
  const auditing = auditLoops({ checkpoints, noise, checkpointSeconds, noiseSeconds })
  const runner = background(config, { tenant, store, keys }, { around, auditing })
  return {
    issuer: tenant.issuer,
    store,
    fetch: async (request, connection = {}) => app.fetch(request, connection),
    endLongAnswers: () => closing.abort(),
    async close() {
      closing.abort()
      unfollow()
      await runner.stop(config.shutdownSeconds)
      await store.close()
    },
  }
}

/** Keys of callers kept imported: beyond it the longest unused are imported again when they come. */
const importedKeysKept = 20_000

function routesOf(config: Config, { tenant, store, keys }: Parts): readonly Route[] {
  const settings = rotationOf(config)
  const routes = [
    ...oauthRoutes,
    ...instanceRoutes,
    revocationsRoute,
    ...adminRoutes({ planRotation: ctx => decideRotation(ctx, { store, keys, settings }, {}) }),
    ...documentRoutes,
  ]
  return [...routes, ...discoveryRoutes(new URL(tenant.issuer).pathname.replace(/\/$/, ''), routes)]
}

function rotationOf(config: Config): RotationSettings {
  return {
    publishSeconds: config.issuerKeyPublishSeconds,
    rotateSeconds: null,
    tokenSeconds: config.accessTokenSeconds,
    skewSeconds: config.clockSkewSeconds,
  }
}

interface Background {
  readonly around: Surroundings
  readonly auditing: ReturnType<typeof auditLoops>
}

function background(config: Config, { store, keys }: Parts, { around, auditing }: Background): Runner {
  const rememberSeconds = maxTokenSeconds + config.assertionSeconds + config.clockSkewSeconds
  const deps: LoopDeps = {
    store,
    keys,
    rotation: rotationOf(config),
    memory: loopMemory(rememberSeconds, () => performance.now() / 1000),
    signalSeconds: maxTokenSeconds + 60,
  }
  return startRunner({
    loops: [...loops, ...auditing],
    deps,
    leases: store.leases,
    holder: randomUUID(),
    tenants: () => store.tenants.list(),
    nowMs: around.clockMs,
    log: (level, facts, error) => (level === 'error' ? around.observer.bug(error, String(facts['loop'])) : undefined),
  })
}

/** The surroundings of a real process. */
export function realSurroundings(observer: Observer): Surroundings {
  return { clockMs: Date.now, randomBytes: pooledRandomBytes(), observer }
}

/** Strong randomness in small pieces from a larger reading: one call into the system for hundreds of identifiers. */
function pooledRandomBytes(): (length: number) => Uint8Array {
  let pool = Buffer.alloc(0)
  return length => {
    if (length > pool.length) pool = randomBytes(Math.max(4096, length))
    const piece = pool.subarray(0, length)
    pool = pool.subarray(length)
    return piece
  }
}

/** A server with a socket. */
export interface Started {
  readonly issuer: string
  close(): Promise<void>
}

/** Binds, opens, and answers: until it is ready every request hears 503. */
export async function start(config: Config, around: Surroundings): Promise<Started> {
  const socket = await listen(config)
  try {
    const composed = await compose(config, config.issuer ?? socket.origin, around)
    socket.answerWith(composed.fetch)
    return {
      issuer: composed.issuer,
      async close() {
        composed.endLongAnswers()
        await socket.close(config.shutdownSeconds)
        await composed.close()
      },
    }
  } catch (error) {
    await socket.close(0)
    throw error
  }
}
