// How roots refuse: the same words for the same case, whichever root it is.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Secret } from '@writ/sdk/protocol/secret'

/** What a root seals at most, in bytes: keys, never values. */
export const mostSealed = 2048

/** The root cannot be reached now: the server stays sealed, and asks again. */
export function away(say: string, facts: Readonly<Record<string, unknown>>, cause?: unknown): Fault {
  return new Fault('temporarily_unavailable', say, { ...facts, kind: 'sealer_away' }, { cause })
}

/** The root was reached, and is not one that can be used. */
export function unusable(say: string, facts: Readonly<Record<string, unknown>>): Fault {
  return new Fault('server_error', say, { kind: 'sealer_unusable', ...facts })
}

/** The setting is not of the form that its scheme has. Shows no more of it than the caller puts into the sentence. */
export function misspelt(say: string): Fault {
  return new Fault('invalid_value', say, { kind: 'sealer_setting' })
}

/** A person has to do something before the rotation can go on. */
export function forPeople(say: string, facts: Readonly<Record<string, unknown>>): Fault {
  return new Fault('conflict', say, { kind: 'sealer_waits', ...facts })
}

export function unknownVersion(version: string, place: string): Fault {
  return new Fault('conflict', `There is no root key version ${version} in ${place}.`, {
    kind: 'root_version_unknown',
    version,
  })
}

export function isCurrent(version: string): Fault {
  const say = `The root key version ${version} seals now; activate its successor before it is retired.`
  return new Fault('conflict', say, { kind: 'root_version_current', version })
}

export function bounded(plain: Secret<Uint8Array>): void {
  if (plain.reveal().length > mostSealed) {
    throw new Fault('server_error', `A root seals at most ${mostSealed} bytes.`, { kind: 'seal_too_long' })
  }
}
