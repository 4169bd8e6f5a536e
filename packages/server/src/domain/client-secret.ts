// Secrets of OAuth clients that still have one (RFC 6749 §2.3.1): hashed at rest, two live during a rotation.
import type { ClientId, ClientSecretId } from '@writ/sdk/protocol/identifier'
import { sha256 } from './hash.ts'

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

/** The prefix lets secret scanners find a secret that leaked. */
export const clientSecretPrefix = 'writ_cs_'

/** At most so many prove a client at one instant. */
export const mostLiveSecrets = 2

/** What is kept of a secret. */
export function hashOfSecret(text: string): string {
  return sha256(text).toString('base64url')
}

export function isClientSecretLive(secret: ClientSecret, now: number): boolean {
  if (secret.state !== 'active' && secret.state !== 'retiring') return false
  return secret.expiresAt === null || now < secret.expiresAt
}

/** The subject of the signal that this secret has ended. */
export function secretSubject({ id }: Pick<ClientSecret, 'id'>): string {
  return `client-secret:${id}`
}
