// How the secrets of a client follow one another: one in use, one that drains, and what ends them.
import type { RotationId } from '@writ/sdk/protocol/identifier'
import type { Put, Signal, Versioned } from './change.ts'
import type { Client } from './client.ts'
import { type ClientSecret, mostLiveSecrets, secretSubject } from './client-secret.ts'
import { moveRotation, newRotation, type Rotation } from './rotation.ts'

export interface SecretChange {
  readonly puts: readonly Put[]
  readonly signals: readonly Signal[]
}

/** Ends them; what they proved is dead at once. Those that have ended already are left as they are. */
export function endSecrets(
  secrets: readonly Versioned<ClientSecret>[],
  state: 'retired' | 'revoked',
  at: number,
): SecretChange {
  const live = secrets.filter(secret => secret.state === 'active' || secret.state === 'retiring')
  return {
    puts: live.map(({ version, ...secret }) => ({
      put: 'clientSecret',
      value: { ...secret, state, stateAt: at },
      ifVersion: version,
    })),
    signals: live.map(secret => ({ subject: secretSubject(secret), kind: 'narrowed' })),
  }
}

/** A rotation at its beginning, with what the client is called by: its first contact, where it has named one. */
export function clientSecretRotation(
  about: Pick<Rotation, 'id' | 'reason' | 'batch' | 'limitAt'> & {
    readonly client: Client
    readonly from: ClientSecret
  },
  at: number,
): Rotation {
  const { client, from, ...rest } = about
  const contacts = client.metadata['contacts']
  const owner = Array.isArray(contacts) && typeof contacts[0] === 'string' ? contacts[0] : null
  return newRotation(
    { ...rest, kind: 'client_secret', target: client.id, owner, from: from.id, proof: 'last_use' },
    at,
  )
}

/** What is known when a client gets one more secret. */
export interface Succession {
  readonly client: Client
  /** Those that live, oldest first. */
  readonly live: readonly Versioned<ClientSecret>[]
  /** Whether the newest of them has ever proved its client, or is shown by it now. */
  readonly isNewestUsed: boolean
  /** The rotation under way, where there is one. */
  readonly rotation: Versioned<Rotation> | undefined
  readonly next: ClientSecret
  readonly rotationId: RotationId
  readonly reason: string
  readonly drainSeconds: number
  readonly drainLimitSeconds: number
}

export interface Succeeded extends SecretChange {
  /** Null where the secret is the first one. */
  readonly rotation: Rotation | null
}

/**
 * The next secret in use, the one before it draining. While two live already, the newest is replaced if nobody has used
 * it yet: its answer may have been lost, and asking again must not lock the client out. Undefined where both are used:
 * a third would end one that somebody needs.
 */
export function succeedSecret(succession: Succession, at: number): Succeeded | undefined {
  const { live, next, isNewestUsed, rotation } = succession
  const newest = live.at(-1)
  const added: Put = { put: 'clientSecret', value: next, ifVersion: 0 }
  if (newest === undefined) return { puts: [added], signals: [], rotation: null }
  if (live.length < mostLiveSecrets) {
    const { version, ...before } = newest
    const drained: Put = {
      put: 'clientSecret',
      value: { ...before, state: 'retiring', stateAt: at },
      ifVersion: version,
    }
    const begun = inUse(begin(succession, before, at), succession, at)
    return {
      puts: [drained, added, { put: 'rotation', value: begun, ifVersion: 0 }],
      signals: [],
      rotation: begun,
    }
  }
  if (isNewestUsed || rotation === undefined) return undefined
  const replaced = endSecrets([newest], 'revoked', at)
  const { version, ...open } = rotation
  const goesOn = inUse(open.state === 'blocked' ? moveRotation(open, 'unblock', at) : open, succession, at)
  return {
    puts: [...replaced.puts, added, { put: 'rotation', value: goesOn, ifVersion: version }],
    signals: replaced.signals,
    rotation: goesOn,
  }
}

/** Its successor was revoked: the former is the one in use again, and the rotation between them has failed. */
export function reviveFormer(
  { version, ...former }: Versioned<ClientSecret>,
  { version: ofRotation, ...rotation }: Versioned<Rotation>,
  at: number,
): readonly Put[] {
  // Past `staged` the state machine only goes forward; but what it would go forward to is gone.
  const ended: Rotation = {
    ...rotation,
    state: 'failed',
    resumes: null,
    stateAt: at,
    dueAt: null,
    problem: 'The new secret was revoked.',
  }
  return [
    { put: 'clientSecret', value: { ...former, state: 'active', stateAt: at }, ifVersion: version },
    { put: 'rotation', value: ended, ifVersion: ofRotation },
  ]
}

function begin({ client, rotationId, reason }: Succession, from: ClientSecret, at: number): Rotation {
  const about = { id: rotationId, client, from, reason, batch: null, limitAt: at }
  return moveRotation(clientSecretRotation(about, at), 'promote', at)
}

/** From now on the former drains, with its own time for it. */
function inUse(
  rotation: Rotation,
  { next, drainSeconds, drainLimitSeconds }: Succession,
  at: number,
): Rotation {
  return { ...rotation, to: next.id, activeAt: at, dueAt: at + drainSeconds, limitAt: at + drainLimitSeconds }
}
