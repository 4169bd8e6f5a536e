// The engine of rotations with everything that its kinds read and call.
import type { Config } from '../config.ts'
import type { Keys } from '../keys/keys.ts'
import type { EngineDeps } from '../rotation/engine.ts'
import { kinds } from '../rotation/kinds/index.ts'
import type { Store } from '../store/store.ts'
import type { Keyring } from '../vault/keyring.ts'
import { rotators } from '../vault/rotators/index.ts'
import type { RootSealer } from '../vault/sealers/sealer.ts'
import { rotationOf } from './background.ts'
import type { Surroundings } from './surroundings.ts'

export interface EngineParts {
  readonly store: Store
  readonly keys: Keys
  readonly keyring: Keyring
  readonly root: RootSealer
  readonly around: Pick<Surroundings, 'randomBytes' | 'log'>
  /** Aborts when the server stops. */
  readonly signal: AbortSignal
}

export function engineOf(
  config: Config,
  { store, keys, keyring, root, around, signal }: EngineParts,
): EngineDeps {
  return {
    kinds,
    commit: store.commit,
    onError: ({ id, kind, state }, error) =>
      around.log('error', { part: 'rotation', rotation: id, kind, state }, error),
    kindDeps: {
      store,
      keys,
      vault: keyring,
      keyring,
      rotators,
      root,
      rules: {
        drainSeconds: config.drainSeconds,
        drainLimitSeconds: config.drainLimitSeconds,
        spreadSeconds: config.rotationSpreadSeconds,
      },
      issuerKeys: rotationOf(config),
      randomBytes: around.randomBytes,
      signal,
    },
  }
}
