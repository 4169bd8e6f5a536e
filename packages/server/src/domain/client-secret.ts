// Secrets of OAuth clients that still have one (RFC 6749 §2.3.1): hashed at rest, two live during a rotation.
import type { ClientId, ClientSecretId } from '@writ/sdk/protocol/identifier'

/** `active`: the newest. `retiring`: its successor is out, and it drains. */
export type ClientSecretState = 'active' | 'retiring' | 'retired' | 'revoked'

export interface ClientSecret {
  readonly id: ClientSecretId
  readonly client: ClientId
  /** SHA-256 of the secret, base64url: 256 random bits need no slow hash. The secret itself is never stored. */
  readonly hash: string
  readonly state: ClientSecretState
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly stateAt: number
}

/** At most so many prove a client at one instant. */
export const mostLiveSecrets = 2

export function isClientSecretLive(secret: ClientSecret, now: number): boolean {
  if (secret.state !== 'active' && secret.state !== 'retiring') return false
  return secret.expiresAt === null || now < secret.expiresAt
}
