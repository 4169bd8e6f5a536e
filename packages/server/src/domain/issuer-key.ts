// Signing keys of the issuer: their states, and when each may sign and must be published (threat C56).
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

export type IssuerKeyMove = 'activate' | 'supersede' | 'retire' | 'abandon' | 'cut'

/** The life of a key; there is no way back, and no way past a state. */
const moves: Readonly<
  Record<IssuerKeyMove, { readonly from: readonly IssuerKeyState[]; readonly to: IssuerKeyState }>
> = {
  activate: { from: ['staged'], to: 'active' },
  supersede: { from: ['active'], to: 'retiring' },
  retire: { from: ['retiring'], to: 'retired' },
  // It never signed: nobody misses it.
  abandon: { from: ['staged'], to: 'retired' },
  // Somebody else may sign with it: it goes from the JWKS at once, and everything it signed is dead.
  cut: { from: ['active', 'retiring'], to: 'retired' },
}

/** What bounds the life of a key; all in seconds. */
export interface KeyLife {
  /** The longest life of a token that any node signs. */
  readonly tokenSeconds: number
  /** How far the clocks of our nodes may disagree. */
  readonly skewSeconds: number
}

/** What is known about time when moves are planned. The clock may have been set, forwards or back. */
export interface Times {
  readonly now: number
  /** The highest reading of the clock so far: a token may carry it, even where the clock was set back since. */
  readonly latestAt: number
  /** For how long, by a clock that nobody can set, the key has been seen in the state it is in. */
  seenSeconds(key: IssuerKey): number
}

/** One step: the record as it was read, and as it becomes. */
export interface Transition<K extends IssuerKey> {
  readonly move: IssuerKeyMove
  readonly from: K
  readonly to: IssuerKey
}

/** The key after the move. Throws where its state does not have it: no caller may skip a state. */
export function moveKey(key: IssuerKey, move: IssuerKeyMove, at: number): IssuerKey {
  const { from, to } = moves[move]
  if (!from.includes(key.state)) throw new Error(`an issuer key that is ${key.state} cannot ${move}`)
  const moved = { ...key, state: to, stateAt: at }
  // Without an end of its last token it is published by no clock.
  return move === 'cut' ? { ...moved, retiresAt: null } : moved
}

/**
 * Every step that is due. A staged key and the active one of its purpose change places in one step of the store, so
 * that there is no instant with two signers or with none.
 */
export function plan<K extends IssuerKey>(
  keys: readonly K[],
  times: Times,
  life: KeyLife,
): readonly Transition<K>[] {
  const steps: Transition<K>[] = []
  for (const key of keys) {
    if (key.state === 'retiring' && isRetirementDue(key, times, life)) {
      steps.push({ move: 'retire', from: key, to: moveKey(key, 'retire', times.now) })
    }
    if (key !== stagedOf(keys, key.purpose) || !isActivationDue(key, times, life)) continue
    const active = keys.filter(each => each.purpose === key.purpose && each.state === 'active')
    // Two signers are not our doing; which of them to believe is for a person to say.
    if (active.length > 1) continue
    for (const former of active) steps.push(supersede(former, keys, times, life))
    steps.push({ move: 'activate', from: key, to: moveKey(key, 'activate', times.now) })
  }
  return steps
}

function isActivationDue(key: IssuerKey, times: Times, life: KeyLife): boolean {
  if (key.activatesAt <= times.now) return true
  // Staged by a clock that ran ahead and was set back since: its instants lie in a future that may be years away.
  const ranAhead = key.createdAt > times.now + life.skewSeconds
  return ranAhead && times.seenSeconds(key) >= key.activatesAt - key.createdAt
}

/**
 * A clock set forwards makes every token look expired here, but nowhere else: so a key only goes once a whole life of a
 * token has passed by a clock that cannot be set. A restart begins that count again, which costs nothing.
 */
function isRetirementDue(key: IssuerKey, times: Times, life: KeyLife): boolean {
  if (key.retiresAt === null || key.retiresAt > times.now) return false
  return times.seenSeconds(key) >= life.tokenSeconds + life.skewSeconds
}

// The last token of a superseded key was signed by the highest clock there has been: this node's, or that of whichever
// node wrote a key.
function supersede<K extends IssuerKey>(
  active: K,
  keys: readonly K[],
  times: Times,
  life: KeyLife,
): Transition<K> {
  const written = keys.map(key => Math.max(key.createdAt, key.stateAt))
  const lastSignedAt = Math.max(times.now, times.latestAt, ...written)
  const retiresAt = lastSignedAt + life.tokenSeconds + life.skewSeconds
  return { move: 'supersede', from: active, to: { ...moveKey(active, 'supersede', times.now), retiresAt } }
}

/** The one key of the purpose that signs; undefined where there is none, and where there are two: then nobody signs. */
export function activeOf<K extends IssuerKey>(keys: readonly K[], purpose: KeyPurpose): K | undefined {
  const active = keys.filter(key => key.purpose === purpose && key.state === 'active')
  return active.length === 1 ? active[0] : undefined
}

/** The successor that waits already; a purpose has at most one. */
export function stagedOf<K extends IssuerKey>(keys: readonly K[], purpose: KeyPurpose): K | undefined {
  return keys.find(key => key.purpose === purpose && key.state === 'staged')
}

/** Whether the key of the purpose has signed for `rotateSeconds` and nobody waits to take its place. */
export function isRotationDue(
  keys: readonly IssuerKey[],
  purpose: KeyPurpose,
  now: number,
  rotateSeconds: number,
): boolean {
  const active = activeOf(keys, purpose)
  return (
    active !== undefined && stagedOf(keys, purpose) === undefined && active.stateAt + rotateSeconds <= now
  )
}

/**
 * Whether the JWKS holds the key: from before its first signature until its last token has expired. A key that went is
 * back while the clock is before its `retiresAt`, because its tokens are then unexpired again.
 */
export function isPublished(key: Pick<IssuerKey, 'state' | 'retiresAt'>, now: number): boolean {
  return key.state !== 'retired' || (key.retiresAt !== null && now < key.retiresAt)
}

/** The subject of signals and bases that names the key: narrowed when it stops signing. */
export function issuerKeySubject({ kid }: Pick<IssuerKey, 'kid'>): string {
  return `issuer-key:${kid}`
}
