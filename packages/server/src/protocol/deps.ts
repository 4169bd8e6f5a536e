// What the use cases of the protocols are given: ports, numbers and randomness. Each picks what it needs.
import type { KeyCache } from '@writ/sdk/protocol/jwk'
import type { Keys } from '../keys/keys.ts'
import type { Store } from '../store/store.ts'

/** The numbers of the configuration that decisions depend on; all in seconds. */
export interface Settings {
  readonly accessTokenSeconds: number
  readonly assertionSeconds: number
  readonly clockSkewSeconds: number
  readonly dpopNonce: 'required' | 'optional'
  readonly dpopProofSeconds: number
  readonly agentKeySeconds: number
  readonly drainSeconds: number
  readonly drainLimitSeconds: number
  readonly rotationSpreadSeconds: number
}

export interface Deps {
  readonly store: Store
  readonly keys: Keys
  readonly settings: Settings
  /** Cryptographically strong randomness. */
  readonly randomBytes: (length: number) => Uint8Array
  /** Imported keys of clients and of proofs, so that a key is imported once and not with each request. */
  readonly importedKeys: KeyCache
  /** Counts what was refused before anybody was known: bounded, and summed up in the audit log. */
  readonly noise: Noise
  /** Takes one request from the caller's allowance; false when it is used up. */
  readonly mayProceed: (callerId: string, nowMs: number) => boolean
}

export interface Noise {
  count(
    ctx: { readonly tenant: string; readonly peer: string | undefined },
    what: { readonly endpoint: string; readonly code: string },
  ): void
}
