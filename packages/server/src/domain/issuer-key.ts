// Signing keys of the issuer: their states, and when each may sign and must be published.
import type { PublicJwk } from '@writ/sdk/protocol/jwk'

/** `token`: access tokens (in the JWKS). `checkpoint`: the audit log's notes. `nonce`: DPoP nonces, symmetric. */
export type KeyPurpose = 'token' | 'checkpoint' | 'nonce'

/**
 * `staged`: published, not signing, so that every verifier has it before its first signature. `active`: signs.
 * `retiring`: published, no longer signing, until the last token it signed has expired. `retired`: gone.
 */
export type IssuerKeyState = 'staged' | 'active' | 'retiring' | 'retired'

export interface IssuerKey {
  readonly kid: string
  readonly purpose: KeyPurpose
  readonly alg: string
  /** Null for the symmetric nonce key. */
  readonly jwk: PublicJwk | null
  /** The private key, sealed; the sealer's id is part of the text. Never in clear in a database. */
  readonly sealed: string
  readonly state: IssuerKeyState
  readonly createdAt: number
  /** When a staged key becomes active. */
  readonly activatesAt: number
  /** When a retiring key may leave the JWKS: no token it signed is unexpired then. Null before it retires. */
  readonly retiresAt: number | null
  readonly stateAt: number
}

/** Whether the JWKS holds the key: from before its first signature until its last token has expired. */
export function isPublished(key: IssuerKey): boolean {
  return key.state !== 'retired'
}
