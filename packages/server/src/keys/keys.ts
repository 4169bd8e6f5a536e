// The port of the issuer's own keys: sign, publish, rotate. Providers hold the private halves; nobody else sees them.
import type { AlgorithmName } from '@writ/sdk/protocol/algorithms'
import type { PublicJwk, VerifyKey } from '@writ/sdk/protocol/jwk'
import type { Ctx } from '../context.ts'
import type { Basis, Versioned } from '../domain/change.ts'
import type { IssuerKey, KeyPurpose } from '../domain/issuer-key.ts'

/** A key pair's purposes; the nonce key is symmetric and signs nothing. */
export type SigningPurpose = Exclude<KeyPurpose, 'nonce'>

/** The active key of a purpose. `sign` is synchronous where the key is in memory; a key service may take its time. */
export interface Signer {
  readonly kid: string
  readonly alg: string
  /** The public half. */
  readonly jwk: PublicJwk
  /**
   * The epoch of the feed of signals at which the key was known to be active. The `Basis` of what is signed must not
   * be newer: a key that was superseded between this epoch and a newer one would go unnoticed by the commit.
   */
  readonly epoch: number
  /** How long each of its signatures is. */
  readonly signatureBytes: number
  /** The signature over `input` in JOSE form (raw R||S for ECDSA). */
  sign(input: string): Uint8Array | Promise<Uint8Array>
}

/** What of the store a provider reads. */
export interface KeyReader {
  readonly issuerKeys: { list(scope: Pick<Ctx, 'tenant'>): Promise<readonly Versioned<IssuerKey>[]> }
  readonly signals: { head(scope: Pick<Ctx, 'tenant'>): Promise<number> }
}

/**
 * The kid of a tenant's first nonce key. It is fixed, so that two nodes which begin on one empty store collide in it
 * and end with one set of keys.
 */
export const firstNonceKid = 'nonce-1'

/** A new key to be committed, and what the change rests on: that what sealed it still seals. */
export interface StagedKey {
  readonly key: IssuerKey
  readonly bases: readonly Basis[]
}

export interface Keys {
  /**
   * Signs with the key whose stored state is active. The kid belongs into the `Basis` of what is signed
   * (`issuer-key:<kid>`). Throws `temporarily_unavailable` when the store has not been read for so long that another
   * node may have superseded the key unseen.
   */
  signer(scope: Pick<Ctx, 'tenant'>, purpose: SigningPurpose): Signer
  /**
   * The JWK Set to publish: staged, active and retiring token keys, and a retired one while the clock is before its
   * `retiresAt`; public members only (RFC 7517 §5). The same object until something changes.
   */
  published(scope: Pick<Ctx, 'tenant'>): { readonly keys: readonly Readonly<Record<string, unknown>>[] }
  /** The public keys that may verify our own tokens now, by kid: those that are published. */
  verifier(scope: Pick<Ctx, 'tenant'>, kid: string): VerifyKey | undefined
  /** Every token key with its state and instants, oldest first; the sealed half left out. */
  states(scope: Pick<Ctx, 'tenant'>): readonly Omit<IssuerKey, 'sealed'>[]
  /** HMAC-SHA-256 under the nonce key, shared by all nodes of the tenant. */
  nonceMac(scope: Pick<Ctx, 'tenant'>, input: string): Uint8Array
  /**
   * Makes a new key of the purpose, sealed and staged; the caller commits it on its bases. The kid of a pair is its RFC
   * 7638 thumbprint, so that none comes twice; that of the nonce key is always `firstNonceKid`. `alg` is for token keys.
   * May take seconds, in which signing goes on.
   */
  stage(
    scope: Pick<Ctx, 'tenant'>,
    purpose: KeyPurpose,
    at: { readonly now: number; readonly activatesAt: number; readonly alg?: AlgorithmName | undefined },
  ): Promise<StagedKey>
  /**
   * The same key under what seals now; undefined where it is already. Throws `server_error` where the row does not open.
   */
  reseal(scope: Pick<Ctx, 'tenant'>, key: IssuerKey): IssuerKey | undefined
  /** What a change rests on that stores a key of `reseal`: that what sealed it still seals. */
  sealBases(scope: Pick<Ctx, 'tenant'>): readonly Basis[]
  /**
   * Takes over what the store holds now, all or nothing. Called at start, after a signal about a key, and by a poll
   * behind it. When it throws, what was read before keeps being served.
   */
  reload(scope: Pick<Ctx, 'tenant'>): Promise<void>
}
