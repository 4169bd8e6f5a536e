// Rotating the issuer's keys: decided from the stored records, committed with versions, so that races have one winner.
import { type AlgorithmName, algorithmNamed } from '@writ/sdk/protocol/algorithms'
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import type { Basis, Change, Committed, Fence, Put, Signal, Versioned } from '../domain/change.ts'
import {
  activeOf,
  type IssuerKey,
  isRotationDue,
  issuerKeySubject,
  type KeyLife,
  type KeyPurpose,
  plan,
  stagedOf,
} from '../domain/issuer-key.ts'
import { newRotation, type Rotation } from '../domain/rotation.ts'
import type { Keys } from './keys.ts'
import type { Watch } from './watch.ts'

/** What of the store the rotation of keys needs. */
export interface KeyStore {
  readonly issuerKeys: { list(scope: Pick<Ctx, 'tenant'>): Promise<readonly Versioned<IssuerKey>[]> }
  commit(ctx: Pick<Ctx, 'tenant' | 'now' | 'nowMs'>, change: Change): Promise<Committed>
}

export interface RotationSettings extends KeyLife {
  /** How long a key is published before it signs; at least as long as verifiers may cache the JWKS. */
  readonly publishSeconds: number
  /** After how long a token key is rotated without being asked; null for never. */
  readonly rotateSeconds: number | null
}

/** What deciding about a successor takes; nothing of it writes. */
export interface SuccessionDeps {
  readonly store: Pick<KeyStore, 'issuerKeys'>
  readonly keys: Pick<Keys, 'stage'>
  readonly settings: RotationSettings
  /** Cryptographically strong randomness. */
  readonly randomBytes: (length: number) => Uint8Array
}

export interface RotationDeps extends SuccessionDeps {
  readonly store: KeyStore
  readonly keys: Pick<Keys, 'stage' | 'reload'>
  /** Where a leased loop rotates: the fence of its lease. */
  readonly fence?: Fence | undefined
}

/** Who asked, as the audit entry names them. */
export type Asker = Omit<EntryDraft, 'type' | 'outcome' | 'facts' | 'requestId' | 'traceId' | 'peer'>

/** What the asker may say about the successor. */
export interface Wish {
  /** Its algorithm; null or left out for that of the key which signs now. */
  readonly alg?: string | null
  readonly batch?: string | null
}

/** The parts of a change that a rotation is; the caller adds what else has to become true with it. */
export interface Succession {
  /** The successor: the one made now, or the one that waits already. */
  readonly staged: Omit<IssuerKey, 'sealed'>
  /** Its rotation, which stands among `puts`; undefined where the successor waits already. */
  readonly rotation: Rotation | undefined
  readonly puts: readonly Put[]
  readonly signals: readonly Signal[]
  readonly bases: readonly Basis[]
  readonly entries: readonly [EntryDraft]
}

// A race is lost at most once per winner, and winners are nodes; whoever loses as often as this has another problem.
const mostAttempts = 8

/** How long a rotation may be late, beyond the instants of its keys, before it is blocked. */
const graceSeconds = 3600

/**
 * The successor of the token key with the record of its rotation, to be committed. Where one waits already, that one,
 * and an entry alone: a second request must not push the first one's key out of the JWKS before it has signed. Throws
 * `conflict` where the one that waits is of another algorithm than was asked for, `invalid_value` for an algorithm that
 * cannot be used here.
 */
export async function decideRotation(
  ctx: Ctx,
  deps: SuccessionDeps,
  by: Asker,
  wish: Wish = {},
): Promise<Succession> {
  const keys = await deps.store.issuerKeys.list(ctx)
  const active = activeOf(keys, 'token')
  if (active === undefined) {
    throw new Fault('temporarily_unavailable', 'The issuer has no key that could be rotated now.', {
      kind: 'no_active_key',
    })
  }
  const waiting = stagedOf(keys, 'token')
  if (waiting !== undefined) {
    if ((wish.alg ?? waiting.alg) !== waiting.alg) throw otherWaits(waiting)
    return {
      staged: open(waiting),
      rotation: undefined,
      puts: [],
      signals: [],
      bases: [],
      entries: [entryOf(ctx, 'already_staged', waiting, by)],
    }
  }
  const at = { now: ctx.now, activatesAt: ctx.now + deps.settings.publishSeconds }
  const alg = usable(wish.alg ?? active.alg)
  const { key: staged, bases } = await deps.keys.stage(ctx, 'token', { ...at, alg })
  const rotation = rotationTo(ctx, deps, {
    active,
    staged,
    reason: by.reason ?? 'asked',
    batch: wish.batch ?? null,
  })
  return {
    staged: open(staged),
    rotation,
    // The active record is written as it stands: two nodes that stage at once both need its version, and one has it.
    puts: [
      put(staged, 0),
      put(bare(active), active.version),
      { put: 'rotation', value: rotation, ifVersion: 0 },
    ],
    signals: [{ subject: issuerKeySubject(staged), kind: 'changed' }],
    bases,
    entries: [entryOf(ctx, 'staged', staged, by)],
  }
}

/** The record of the rotation from the one key to the other, at its beginning. */
export function rotationTo(
  ctx: Ctx,
  { randomBytes }: Pick<SuccessionDeps, 'randomBytes'>,
  about: Pick<Rotation, 'reason' | 'batch'> & { readonly active: IssuerKey; readonly staged: IssuerKey },
): Rotation {
  const { active, staged, reason, batch } = about
  return newRotation(
    {
      id: newId('rot', randomBytes),
      kind: 'issuer_key',
      target: 'token',
      owner: null,
      reason,
      batch,
      from: active.kid,
      to: staged.kid,
      alg: staged.alg,
      proof: 'last_token',
      dueAt: staged.activatesAt,
      limitAt: staged.activatesAt + graceSeconds,
    },
    ctx.now,
  )
}

/** Throws `invalid_value` where the issuer cannot sign so. */
export function usable(alg: string): AlgorithmName {
  const name = algorithmNamed(alg, 'issuer')
  if (name !== undefined) return name
  throw new Fault('invalid_value', `The issuer cannot sign with ${alg.slice(0, 32)} here.`, { kind: 'alg' })
}

function otherWaits(waiting: IssuerKey): Fault {
  return new Fault(
    'conflict',
    `A successor of the algorithm ${waiting.alg} waits already: cancel its rotation, or rotate again once it signs.`,
    { kind: 'other_algorithm_waits', kid: waiting.kid },
  )
}

/**
 * Stages a successor of the token key and answers it, or the one that waits already. Throws `temporarily_unavailable`
 * when the store cannot be reached. `deps.store.commit` may add to the change what the caller needs with it.
 */
export async function rotateIssuerKey(
  ctx: Ctx,
  deps: RotationDeps,
  by: Asker,
  wish: Wish = {},
): Promise<Omit<IssuerKey, 'sealed'>> {
  for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
    const { staged, rotation: _, ...change } = await decideRotation(ctx, deps, by, wish)
    const committed = await deps.store.commit(ctx, { ...change, ...fenced(deps) })
    if (committed.kind === 'conflict') continue
    if (committed.kind !== 'done') throw lost(committed)
    await deps.keys.reload(ctx)
    return staged
  }
  throw lost({ kind: 'conflict' })
}

/**
 * Makes the first key of each purpose where it is missing, in one change, and reads all keys. Nodes that start together
 * on an empty store end with one set. Throws what `reload` throws when another sealing key sealed what is stored.
 */
export async function ensureKeys(
  ctx: Ctx,
  deps: Omit<RotationDeps, 'settings' | 'randomBytes'>,
): Promise<void> {
  for (let attempt = 0; attempt < mostAttempts; attempt += 1) {
    const stored = await deps.store.issuerKeys.list(ctx)
    const missing = (['token', 'checkpoint', 'nonce'] as const).filter(
      purpose => !stored.some(key => key.purpose === purpose),
    )
    if (missing.length === 0) return deps.keys.reload(ctx)
    // What is stored must open here before anything is added to it: else two sealing keys would share one store.
    if (stored.length > 0) await deps.keys.reload(ctx)
    const committed = await deps.store.commit(ctx, await firstKeys(ctx, deps, missing, stored))
    if (committed.kind !== 'done' && committed.kind !== 'conflict') throw lost(committed)
  }
  throw lost({ kind: 'conflict' })
}

async function firstKeys(
  ctx: Ctx,
  deps: Pick<RotationDeps, 'keys'>,
  missing: readonly KeyPurpose[],
  stored: readonly Versioned<IssuerKey>[],
): Promise<Change> {
  const at = { now: ctx.now, activatesAt: ctx.now }
  const staged = await Promise.all(missing.map(purpose => deps.keys.stage(ctx, purpose, at)))
  const made = staged.map(({ key }) => key)
  const [witness] = stored
  const entries = made.flatMap(key => [
    entryOf(ctx, 'staged', key, { reason: 'first_key' }),
    entryOf(ctx, 'activated', key, { reason: 'first_key' }),
  ])
  const [first, ...others] = entries
  if (first === undefined) throw new Error('there is no key to make')
  return {
    // Without a predecessor there is nothing to wait for: no verifier has cached a JWKS of this issuer.
    puts: [
      ...made.map(key => put({ ...key, state: 'active' }, 0)),
      // The kid of the nonce key is always the same, so that two nodes on an empty store collide; later the version
      // of a record that stands does that.
      ...(witness === undefined ? [] : [put(bare(witness), witness.version)]),
    ],
    signals: made.map(key => ({ subject: issuerKeySubject(key), kind: 'changed' as const })),
    bases: staged.flatMap(({ bases }) => bases),
    entries: [first, ...others],
  }
}

/**
 * Takes every step that is due, in one change: staged keys become active, their predecessors retire, and go when their
 * last token has expired. Answers how many steps it took.
 */
export async function advanceIssuerKeys(ctx: Ctx, deps: RotationDeps, watch: Watch): Promise<number> {
  const keys = await deps.store.issuerKeys.list(ctx)
  const { settings } = deps
  const steps = plan(keys, watch.look(ctx.now, keys), settings)
  const [first, ...others] = steps.map(({ to }) => entryOf(ctx, passed[to.state], to, {}))
  if (first === undefined) {
    if (settings.rotateSeconds === null) return 0
    if (!isRotationDue(keys, 'token', ctx.now, settings.rotateSeconds)) return 0
    await rotateIssuerKey(ctx, deps, { reason: 'due' })
    return 1
  }
  const committed = await deps.store.commit(ctx, {
    puts: steps.map(({ from, to }) => put(bare({ ...to, version: from.version }), from.version)),
    signals: steps.map(({ move, to }) => ({
      subject: issuerKeySubject(to),
      // What the old key signs from here on fails at its commit, on whatever node.
      kind: move === 'supersede' ? ('narrowed' as const) : ('changed' as const),
    })),
    entries: [first, ...others],
    ...fenced(deps),
  })
  // Another node was faster, or has the lease by now: its steps are the same.
  if (!['done', 'conflict', 'stale'].includes(committed.kind)) throw lost(committed)
  await deps.keys.reload(ctx)
  return committed.kind === 'done' ? steps.length : 0
}

/** The participle of the audit entry for a key that entered the state. */
const passed = { staged: 'staged', active: 'activated', retiring: 'superseded', retired: 'retired' } as const

const iso = (at: number | null): string | null => (at === null ? null : new Date(at * 1000).toISOString())

export function entryOf(
  ctx: Ctx,
  what: (typeof passed)[keyof typeof passed] | 'already_staged' | 'abandoned' | 'cut',
  key: Omit<IssuerKey, 'sealed'>,
  by: Asker,
): EntryDraft {
  return {
    ...by,
    type: `issuer_key.${what}`,
    outcome: 'allowed',
    requestId: ctx.requestId,
    traceId: ctx.traceId ?? null,
    peer: ctx.peer ?? null,
    facts: {
      kid: key.kid,
      purpose: key.purpose,
      alg: key.alg,
      activates_at: iso(key.activatesAt),
      retires_at: iso(key.retiresAt),
    },
  }
}

export function put(value: IssuerKey, ifVersion: number): Put {
  return { put: 'issuerKey', value, ifVersion }
}

export function bare({ version: _, ...key }: Versioned<IssuerKey>): IssuerKey {
  return key
}

function open({ sealed: _, ...key }: IssuerKey): Omit<IssuerKey, 'sealed'> {
  return key
}

function fenced({ fence }: Pick<RotationDeps, 'fence'>): Pick<Change, 'fence'> {
  return fence === undefined ? {} : { fence }
}

function lost(committed: Pick<Committed, 'kind'>): Fault {
  return new Fault('temporarily_unavailable', 'The issuer keys could not be changed now; try again.', {
    ...committed,
    kind: `issuer_keys_${committed.kind}`,
  })
}
