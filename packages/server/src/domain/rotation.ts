// Rotations: one record and one state machine for every kind of key; an old version ends by proof, not by a timer.
import type { RotationId } from '@writ/sdk/protocol/identifier'

/** What can be rotated; `rotation/kinds/` has one file for each. */
export type RotationKind =
  | 'instance_key'
  | 'issuer_key'
  | 'root_key'
  | 'tenant_key'
  | 'secret'
  | 'client_secret'

/**
 * `staged`: the successor is asked for or made, and not used yet. `active`: the successor is in use, the predecessor
 * still works and drains. `retiring`: nobody needs the predecessor, it is being withdrawn. `retired`: it is gone.
 * `blocked`: it could not go on by its limit; both versions work, and a person has to look. `failed`: the successor
 * never came into use and is withdrawn; the predecessor stays.
 */
export type RotationState = 'staged' | 'active' | 'retiring' | 'retired' | 'blocked' | 'failed'

/**
 * How it is known that nobody needs the predecessor. `last_use`: nobody used it for the drain window. `last_token`: the
 * last token it signed has expired. `no_records`: nothing is stored under it. `live_sessions`: the upstream shows no
 * session of it. `none`: it was cut at once.
 */
export type DrainProof = 'last_use' | 'last_token' | 'no_records' | 'live_sessions' | 'none'

export interface Rotation {
  readonly id: RotationId
  readonly kind: RotationKind
  /** Whose key: the id of an instance, secret or client; `token` for the issuer's; the tenant for the vault's. */
  readonly target: string
  /** Whom to call when it cannot go on: the owner of the target, where it has one. */
  readonly owner: string | null
  readonly state: RotationState
  /** The state a blocked rotation goes on from. */
  readonly resumes: 'staged' | 'active' | 'retiring' | null
  readonly emergency: boolean
  /** Why somebody asked for it, or `scheduled`, `due`, `self_service`. */
  readonly reason: string
  /** Shared by those that one request began together. */
  readonly batch: string | null
  /** The versions: thumbprint, kid or id, as the kind names them. `to` is null until there is a successor. */
  readonly from: string | null
  readonly to: string | null
  /** Of an issuer key: the algorithm of the successor. */
  readonly alg: string | null
  readonly proof: DrainProof
  readonly createdAt: number
  readonly stateAt: number
  /** When the successor came into use. */
  readonly activeAt: number | null
  /** When it should be looked at next; null once it has ended. */
  readonly dueAt: number | null
  /** From here on a rotation that has not gone on is blocked. */
  readonly limitAt: number
  /** Failed attempts of the step it stands at. */
  readonly attempts: number
  /** What a person has decided: to give the successor up, or to end the predecessor undrained. */
  readonly wanted: 'cancel' | 'force' | null
  /** What keeps it from going on, for people; null while nothing does. Never a secret. */
  readonly problem: string | null
}

export type RotationMove = 'promote' | 'drain' | 'retire' | 'block' | 'unblock' | 'fail'

const moves: Readonly<
  Record<RotationMove, { readonly from: readonly RotationState[]; readonly to: RotationState | 'resumes' }>
> = {
  promote: { from: ['staged'], to: 'active' },
  drain: { from: ['active'], to: 'retiring' },
  retire: { from: ['retiring'], to: 'retired' },
  block: { from: ['staged', 'active', 'retiring'], to: 'blocked' },
  unblock: { from: ['blocked'], to: 'resumes' },
  // Before the successor is used there is a way back; after that only forward, for somebody may rely on it.
  fail: { from: ['staged'], to: 'failed' },
}

/** Whether nothing will happen to it any more. */
export function hasEnded({ state }: Pick<Rotation, 'state'>): boolean {
  return state === 'retired' || state === 'failed'
}

/** The rotation after the move. Throws where its state does not have it: no caller may skip a state. */
export function moveRotation(rotation: Rotation, move: RotationMove, at: number): Rotation {
  const { from, to } = moves[move]
  if (!from.includes(rotation.state)) throw new Error(`a rotation that is ${rotation.state} cannot ${move}`)
  const state = to === 'resumes' ? (rotation.resumes ?? 'active') : to
  const moved: Rotation = {
    ...rotation,
    state,
    stateAt: at,
    wanted: move === 'unblock' ? rotation.wanted : null,
    resumes: move === 'block' ? (rotation.state as 'staged' | 'active' | 'retiring') : null,
    attempts: 0,
    problem: move === 'block' || move === 'fail' ? rotation.problem : null,
    activeAt: move === 'promote' ? at : rotation.activeAt,
  }
  return hasEnded(moved) ? { ...moved, dueAt: null } : moved
}

/** Somebody who still uses the predecessor, and how that is known. */
export interface DrainUser {
  /** An agent, instance, client or upstream session. */
  readonly caller: string
  /** Address or place, where it is known. */
  readonly from: string | null
  readonly firstUsedAt: number | null
  readonly lastUsedAt: number
  /** Until when it may rely on what it was given: the end of its lease. */
  readonly until: number | null
}

/** What is known about the use of the predecessor, by the proof that its kind has. */
export type DrainFacts =
  | { readonly proof: 'last_use'; readonly users: readonly DrainUser[] }
  | { readonly proof: 'last_token'; readonly expiresAt: number }
  | { readonly proof: 'no_records'; readonly remaining: number }
  | { readonly proof: 'live_sessions'; readonly users: readonly DrainUser[]; readonly sessions: number }
  | { readonly proof: 'none' }

export interface Drain {
  readonly isDrained: boolean
  /** The meter: users, records or sessions left, or seconds where time is the proof. Zero when drained. */
  readonly remaining: number
  /** The earliest instant at which it can be drained, as far as is known now. */
  readonly clearAt: number
  readonly users: readonly DrainUser[]
}

/**
 * Whether the predecessor is proven unneeded. It must have gone unused for `drainSeconds`, counted from the promotion
 * at the earliest: whoever read the old version just before may come back with it.
 */
export function drainOf(
  { activeAt }: Pick<Rotation, 'activeAt'>,
  facts: DrainFacts,
  now: number,
  drainSeconds: number,
): Drain {
  const began = activeAt ?? now
  switch (facts.proof) {
    case 'none':
      return { isDrained: true, remaining: 0, clearAt: now, users: [] }
    case 'last_token': {
      const left = Math.max(0, facts.expiresAt - now)
      return { isDrained: left === 0, remaining: left, clearAt: facts.expiresAt, users: [] }
    }
    case 'no_records':
      return { isDrained: facts.remaining === 0, remaining: facts.remaining, clearAt: now, users: [] }
    case 'last_use':
    case 'live_sessions': {
      const until = (user: DrainUser): number => Math.max(user.lastUsedAt + drainSeconds, user.until ?? 0)
      const users = facts.users.filter(user => until(user) > now)
      const clearAt = Math.max(began + drainSeconds, ...users.map(until))
      const sessions = facts.proof === 'live_sessions' ? facts.sessions : 0
      return {
        isDrained: clearAt <= now && sessions === 0,
        remaining: Math.max(users.length, sessions),
        clearAt,
        users,
      }
    }
  }
}

/** A rotation at its beginning; what the kind knows is given. */
export function newRotation(
  about: Pick<Rotation, 'id' | 'kind' | 'target' | 'owner' | 'reason' | 'from' | 'proof' | 'limitAt'> &
    Partial<Pick<Rotation, 'to' | 'alg' | 'batch' | 'emergency' | 'dueAt'>>,
  at: number,
): Rotation {
  return {
    state: 'staged',
    resumes: null,
    emergency: false,
    batch: null,
    to: null,
    alg: null,
    createdAt: at,
    stateAt: at,
    activeAt: null,
    dueAt: at,
    attempts: 0,
    wanted: null,
    problem: null,
    ...about,
  }
}
