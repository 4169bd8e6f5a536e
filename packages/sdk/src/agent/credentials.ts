// Who the running agent is and which key signs for it now; the key changes under it, the identity does not.
import type { SignKey } from '../protocol/jwk.ts'
import type { Held } from './keystores/keystore.ts'

/** One identity with one key, as assertions need them together. */
export interface Acting {
  readonly issuer: string
  readonly clientId: string
  readonly instance: string | undefined
  readonly key: SignKey
  readonly kid: string
  /** Epoch seconds by the issuer's clock. */
  readonly notBefore: number
  readonly expiresAt: number | null
}

export interface Credentials {
  current(): Acting
}

export interface KeptCredentials extends Credentials {
  /** Goes on with what the keystore holds now; what was handed out before keeps its key. */
  adopt(held: Held): void
}

/** Undefined for a keystore that holds no enrolled instance. */
export function keptCredentials(held: Held): KeptCredentials | undefined {
  const first = actingOf(held)
  if (first === undefined) return undefined
  let acting = first
  return {
    current: () => acting,
    adopt(next) {
      acting = actingOf(next) ?? acting
    },
  }
}

function actingOf({ member, active }: Held): Acting | undefined {
  if (member === undefined || active === undefined) return undefined
  const { issuer, clientId, instance } = member
  return { issuer, clientId, instance, ...active }
}
