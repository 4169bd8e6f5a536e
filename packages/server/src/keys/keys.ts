// The port of the issuer's own keys: sign, publish, rotate. Providers hold the private halves; nobody else sees them.
import type { Ctx } from '../context.ts'
import type { IssuerKey, KeyPurpose } from '../domain/issuer-key.ts'

/** The active key of a purpose. `sign` is synchronous where the key is in memory; a key service may take its time. */
export interface Signer {
  readonly kid: string
  readonly alg: string
  /** The signature over `input` in JOSE form (raw R||S for ECDSA). */
  sign(input: string): Uint8Array | Promise<Uint8Array>
}

export interface Keys {
  /** Signs with the key that is active now. The kid belongs into the `Basis` of what is signed (`issuer-key:<kid>`). */
  signer(scope: Pick<Ctx, 'tenant'>, purpose: Exclude<KeyPurpose, 'nonce'>): Signer
  /** The JWK Set to publish: staged, active and retiring token keys, public members only (RFC 7517 §5). */
  published(scope: Pick<Ctx, 'tenant'>): { readonly keys: readonly Readonly<Record<string, unknown>>[] }
  /** The public keys that may verify our own tokens now, by kid. */
  verifier(scope: Pick<Ctx, 'tenant'>, kid: string): import('@writ/sdk/protocol/jwk').VerifyKey | undefined
  /** Every token key with its state and instants, oldest first; the sealed half left out. */
  states(scope: Pick<Ctx, 'tenant'>): readonly Omit<IssuerKey, 'sealed'>[]
  /** HMAC-SHA-256 under the nonce key, shared by all nodes of the tenant. */
  nonceMac(scope: Pick<Ctx, 'tenant'>, input: string): Uint8Array
  /** Makes a new key pair of the purpose, sealed and staged; the caller commits it. */
  stage(scope: Pick<Ctx, 'tenant'>, purpose: KeyPurpose, at: { readonly now: number; readonly activatesAt: number }): IssuerKey
  /** Takes over what the store holds now. Called at start, after a signal about a key, and by a poll behind it. */
  reload(scope: Pick<Ctx, 'tenant'>): Promise<void>
}
