// How the versions of a secret follow one another, and the rotation that stands for it.
import type { RotationId } from '@writ/sdk/protocol/identifier'
import type { Put, Signal, Versioned } from '../change.ts'
import { type DrainProof, moveRotation, newRotation, type Rotation } from '../rotation.ts'
import { moveVersion, type SecretVersion, type VaultSecret } from './secret.ts'

/** The rotation of a secret at its beginning; `from` is null where its first version is to be made. */
export function secretRotation(
  about: Pick<Rotation, 'id' | 'reason' | 'batch' | 'emergency' | 'limitAt'> & {
    readonly secret: VaultSecret
    readonly from: SecretVersion | undefined
    readonly proof: DrainProof
  },
  at: number,
): Rotation {
  const { secret, from, emergency, proof, ...rest } = about
  return newRotation(
    {
      ...rest,
      kind: 'secret',
      target: secret.id,
      owner: secret.owner,
      from: from?.id ?? null,
      emergency,
      proof: emergency || from === undefined ? 'none' : proof,
    },
    at,
  )
}

export interface Succeeded {
  readonly puts: readonly Put[]
  readonly signals: readonly Signal[]
}

/**
 * The next version in use, the former on its way out. Whoever decided to hand the former out and has not committed it
 * decides again: the drain counts every use of it.
 */
export function succeedVersion(
  former: Versioned<SecretVersion> | undefined,
  next: { readonly value: SecretVersion; readonly ifVersion: number },
  at: number,
): Succeeded {
  const active: Put = { put: 'secretVersion', ...next }
  if (former === undefined)
    return { puts: [active], signals: [{ subject: next.value.secret, kind: 'changed' }] }
  const { version, ...bare } = former
  return {
    puts: [{ put: 'secretVersion', value: moveVersion(bare, 'supersede', at), ifVersion: version }, active],
    signals: [
      { subject: former.id, kind: 'narrowed' },
      { subject: next.value.secret, kind: 'changed' },
    ],
  }
}

/** The rotation of a version that a person has given: its successor is in use from the beginning. */
export function givenRotation(
  rotation: Rotation,
  next: SecretVersion,
  rules: { readonly drainSeconds: number; readonly drainLimitSeconds: number },
  at: number,
): Rotation {
  const active = moveRotation({ ...rotation, to: next.id }, 'promote', at)
  return { ...active, dueAt: at + rules.drainSeconds, limitAt: at + rules.drainLimitSeconds }
}

/** A version at its beginning, in the vault already. */
export function newVersion(
  about: Pick<SecretVersion, 'id' | 'secret' | 'number' | 'state' | 'vaultKey' | 'sealed' | 'handle'> & {
    readonly rotation: RotationId | null
  },
  at: number,
): SecretVersion {
  return { ...about, createdAt: at, stateAt: at }
}
