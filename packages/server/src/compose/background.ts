// The background loops of one node, with what they need.
import { randomUUID } from 'node:crypto'
import { postNotice } from '../approvals/channels/callback.ts'
import type { AuditLoop } from '../audit/checkpoint.ts'
import type { Config } from '../config.ts'
import type { Keys } from '../keys/keys.ts'
import type { RotationSettings } from '../keys/rotation.ts'
import { maxTokenSeconds } from '../limits.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { EngineDeps } from '../rotation/engine.ts'
import type { Store } from '../store/store.ts'
import type { Keyring } from '../vault/keyring.ts'
import { type LoopDeps, loopMemory, loops } from '../work/loops.ts'
import { type Runner, startRunner } from '../work/runner.ts'
import type { Surroundings } from './surroundings.ts'

export function rotationOf(config: Config): RotationSettings {
  return {
    publishSeconds: config.issuerKeyPublishSeconds,
    rotateSeconds: config.issuerKeySeconds,
    tokenSeconds: config.accessTokenSeconds,
    skewSeconds: config.clockSkewSeconds,
  }
}

export interface BackgroundParts {
  readonly store: Store
  readonly keys: Keys
  readonly metrics: Metrics
  readonly around: Surroundings
  readonly auditing: readonly AuditLoop[]
  readonly engine: EngineDeps
  readonly keyring: Keyring
}

export function startBackground(config: Config, parts: BackgroundParts): Runner {
  const { store, keys, metrics, around, auditing, engine, keyring } = parts
  const rememberSeconds = maxTokenSeconds + config.assertionSeconds + config.clockSkewSeconds
  const deps: LoopDeps = {
    store,
    keys,
    keyring,
    rotation: rotationOf(config),
    engine,
    memory: loopMemory(rememberSeconds, () => performance.now() / 1000),
    onLeaseError: (about, error) => around.log('error', { part: 'secret-leases', about }, error),
    postNotice,
    signalSeconds: maxTokenSeconds + 60,
  }
  return startRunner({
    loops: [...loops, ...auditing],
    deps,
    leases: store.leases,
    holder: randomUUID(),
    tenants: () => store.tenants.list(),
    nowMs: around.clockMs,
    log: around.log,
    onRun: metrics.ran,
  })
}
