// The table of background loops: to add one, add a row. `runner.ts` runs it.
import type { TenantId } from '../domain/tenant.ts'
import type { Keys } from '../keys/keys.ts'
import { advanceIssuerKeys, type RotationSettings } from '../keys/rotation.ts'
import { type Watch, watchKeys } from '../keys/watch.ts'
import { advanceRotations, type EngineDeps } from '../rotation/engine.ts'
import { serveSchedules } from '../rotation/schedules.ts'
import type { Store } from '../store/store.ts'
import type { Keyring } from '../vault/keyring.ts'
import { endLeases, type LeaseMemory, type LeaseWork } from '../vault/leases.ts'
import { retireAgentKeys } from './agent-keys.ts'
import { type ApprovalWork, settleApprovals } from './approvals.ts'
import type { Loop } from './runner.ts'
import { settledClock } from './settled-clock.ts'

export interface LoopDeps {
  readonly store: Store
  readonly keys: Keys
  readonly keyring: Pick<Keyring, 'reload'>
  readonly rotation: RotationSettings
  readonly engine: EngineDeps
  readonly memory: Memory
  /** Hears of our bugs that leases of secrets met. */
  readonly onLeaseError: LeaseWork['onLeaseError']
  /** Tells the outcomes of tasks to whoever asked to be told. */
  readonly postNotice: ApprovalWork['post']
  /** How long signals are kept: longer than any token lives. */
  readonly signalSeconds: number
}

/** What the loops of one process remember from run to run. */
export interface Memory {
  watch(tenant: TenantId): Watch
  leases(tenant: TenantId): LeaseMemory
  /** The instant to delete and to end things by, epoch seconds. */
  settled(now: number): number
}

/** `windowSeconds`: longer than any token and replay mark lives. `steadySeconds`: a clock that is never set. */
export function loopMemory(windowSeconds: number, steadySeconds: () => number): Memory {
  const watches = new Map<TenantId, Watch>()
  const leases = new Map<TenantId, LeaseMemory>()
  return {
    settled: settledClock(steadySeconds, windowSeconds),
    watch(tenant) {
      const watch = watches.get(tenant) ?? watchKeys(steadySeconds)
      watches.set(tenant, watch)
      return watch
    },
    leases(tenant) {
      const known = leases.get(tenant) ?? { heardUntil: undefined, sweptAt: undefined }
      leases.set(tenant, known)
      return known
    },
  }
}

export const loops: readonly Loop<LoopDeps>[] = [
  {
    name: 'issuer-keys',
    everySeconds: 1,
    leased: true,
    per: 'tenant',
    run: (ctx, { store, keys, rotation, engine, memory }, fence) => {
      const { randomBytes } = engine.kindDeps
      const deps = { store, keys, settings: rotation, randomBytes, fence }
      return advanceIssuerKeys(ctx, deps, memory.watch(ctx.tenant))
    },
  },
  {
    // Behind the signals, which may get lost; also what keeps a node fit to sign.
    name: 'reload-keys',
    everySeconds: 2,
    leased: false,
    per: 'tenant',
    run: async (ctx, { keys, keyring }) => {
      // The vault's first: what seals the issuer's may be new.
      await keyring.reload(ctx)
      await keys.reload(ctx)
      return 0
    },
  },
  {
    name: 'agent-keys',
    everySeconds: 5,
    leased: true,
    per: 'tenant',
    run: (ctx, { store, memory }, fence) => retireAgentKeys(ctx, store, memory.settled(ctx.now), fence),
  },
  {
    name: 'rotations',
    everySeconds: 1,
    leased: true,
    per: 'tenant',
    // By a clock that jumped forwards nobody has been silent for as long as it says.
    run: (ctx, { engine, memory }, fence) =>
      advanceRotations({ ...ctx, now: memory.settled(ctx.now) }, engine, fence),
  },
  {
    name: 'secret-leases',
    everySeconds: 1,
    leased: true,
    per: 'tenant',
    run(ctx, { engine, memory, onLeaseError }, fence) {
      const deps = { ...engine.kindDeps, commit: engine.commit, onLeaseError }
      return endLeases({ ...ctx, now: memory.settled(ctx.now) }, deps, memory.leases(ctx.tenant), fence)
    },
  },
  {
    name: 'schedules',
    everySeconds: 1,
    leased: true,
    per: 'tenant',
    run: (ctx, { engine, memory }, fence) =>
      serveSchedules({ ...ctx, now: memory.settled(ctx.now) }, engine, fence),
  },
  {
    name: 'approvals',
    everySeconds: 1,
    leased: true,
    per: 'tenant',
    run(ctx, { store, keys, postNotice, engine, memory }, fence) {
      const work = { store, keys, post: postNotice, signal: engine.kindDeps.signal }
      return settleApprovals(ctx, work, memory.settled(ctx.now), fence)
    },
  },
  {
    name: 'sweep',
    everySeconds: 10,
    leased: true,
    per: 'store',
    run: (ctx, { store, memory, signalSeconds }) => {
      const at = memory.settled(ctx.now)
      return store.sweeping.sweep(at, { signalsBeforeMs: (at - signalSeconds) * 1000 })
    },
  },
]
