// Secrets in the vault: who owns and may have them, their versions, and the leases under which they are handed out.
import type {
  AgentId,
  InstanceId,
  PersonId,
  ResourceId,
  RotationId,
  SecretId,
  SecretLeaseId,
  SecretVersionId,
  VaultKeyId,
} from '@writ/sdk/protocol/identifier'
import { prefixOf } from '@writ/sdk/protocol/identifier'

export interface VaultSecret {
  readonly id: SecretId
  /** Unique in the tenant, never changed: part of the URI of the secret. */
  readonly name: string
  readonly description: string
  readonly owner: PersonId | AgentId
  readonly labels: Readonly<Record<string, string>>
  /** The only agents that may have it, by their ids, and the secrets whose rotators may use it, by their names. */
  readonly consumers: readonly string[]
  /** How long whoever is given it may rely on it before asking again. */
  readonly leaseSeconds: number
  /** How it is rotated upstream; null where a person gives each version. */
  readonly rotator: RotatorUse | null
  /** The protected resource that grants for this very secret name. */
  readonly resource: ResourceId
  readonly status: 'active' | 'retired'
  readonly createdAt: number
  readonly updatedAt: number
}

/** `options` as the rotator's own schema took them; never a secret: those are named, as other secrets of the vault. */
export interface RotatorUse {
  readonly kind: string
  readonly options: Readonly<Record<string, unknown>>
}

/** `staged`: made and not handed out. `active`: handed out. `retiring`: nobody is given it any more, it drains. */
export type SecretVersionState = 'staged' | 'active' | 'retiring' | 'retired' | 'failed'

export interface SecretVersion {
  readonly id: SecretVersionId
  readonly secret: SecretId
  /** From 1, contiguous. */
  readonly number: number
  readonly state: SecretVersionState
  /** The vault key that wraps its data key; null once nothing is left. */
  readonly vaultKey: VaultKeyId | null
  /** The wrapped data key and what it encrypts; empty once retired or failed. */
  readonly sealed: string
  /** What the upstream calls it, such as the name of a role. Never a secret. */
  readonly handle: string | null
  readonly rotation: RotationId | null
  readonly createdAt: number
  readonly stateAt: number
}

/**
 * A secret that was made for one holder and ends with the lease. `pending`: written before the upstream is told, so that
 * nothing made there is forgotten. `ending`: to be withdrawn upstream.
 */
export interface SecretLease {
  readonly id: SecretLeaseId
  readonly secret: SecretId
  readonly agent: AgentId
  readonly instance: InstanceId | null
  readonly handle: string
  readonly state: 'pending' | 'live' | 'ending' | 'ended'
  readonly createdAt: number
  readonly expiresAt: number
  readonly stateAt: number
  /** Failed attempts to withdraw it, and when the next is due; null once ended. */
  readonly attempts: number
  readonly dueAt: number | null
}

/** The scope that grants for a secret name; its resource is that of the very secret. */
export const secretScope = 'secret:read'

/** The resource identifier of one secret: the URI it is read at, and the `aud` of tokens for it. */
export function secretIdentifier(issuer: string, name: string): string {
  return `${issuer}/vault/${name}`
}

const namePattern = /^[a-z0-9][a-z0-9._-]{0,63}$/

/**
 * Whether the text may name a secret: it stands in a URI in its one canonical form. No identifier is a name, for both
 * stand in the same places.
 */
export function isSecretName(name: string): boolean {
  return namePattern.test(name) && !name.includes('..') && prefixOf(name) === undefined
}

/** Whether this agent may have the secret at all; a grant on its resource has to come on top. */
export function isConsumer(secret: VaultSecret, agent: string): boolean {
  return secret.status === 'active' && secret.consumers.some(consumer => consumer === agent)
}

export type VersionMove = 'activate' | 'supersede' | 'retire' | 'fail'

const versionMoves: Readonly<
  Record<VersionMove, { readonly from: readonly SecretVersionState[]; readonly to: SecretVersionState }>
> = {
  activate: { from: ['staged'], to: 'active' },
  supersede: { from: ['active'], to: 'retiring' },
  // With its secret a version ends from wherever it is.
  retire: { from: ['staged', 'active', 'retiring'], to: 'retired' },
  fail: { from: ['staged'], to: 'failed' },
}

/** The version after the move. Throws where its state does not have it. One that has ended keeps nothing to open. */
export function moveVersion(version: SecretVersion, move: VersionMove, at: number): SecretVersion {
  const { from, to } = versionMoves[move]
  if (!from.includes(version.state)) throw new Error(`a version that is ${version.state} cannot ${move}`)
  const moved: SecretVersion = { ...version, state: to, stateAt: at }
  return to === 'retired' || to === 'failed' ? { ...moved, sealed: '', vaultKey: null } : moved
}

/** The lease on its way to its end: withdrawn upstream as soon as the loop comes by. */
export function endLease(lease: SecretLease, at: number): SecretLease {
  return { ...lease, state: 'ending', stateAt: at, attempts: 0, dueAt: at }
}
