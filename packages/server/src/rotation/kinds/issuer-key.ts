// Keys that sign tokens: a successor is published before it signs, and the old key stays until its last token expired.

import { Fault } from '@writ/sdk/protocol/fault'
import { cutSubject } from '@writ/sdk/protocol/revocation'
import type { Ctx } from '../../context.ts'
import type { EntryDraft } from '../../domain/audit-entry.ts'
import type { Put, Signal, Versioned } from '../../domain/change.ts'
import { activeOf, type IssuerKey, issuerKeySubject, moveKey, stagedOf } from '../../domain/issuer-key.ts'
import { type DrainFacts, moveRotation, type Rotation, type RotationMove } from '../../domain/rotation.ts'
import {
  bare,
  decideRotation,
  entryOf,
  put,
  rotationTo,
  type SuccessionDeps,
  usable,
} from '../../keys/rotation.ts'
import type { Ask, Begun, Kind, KindDeps, Look } from '../kind.ts'

type Keys = readonly Versioned<IssuerKey>[]

/** How long after the end of its last token a key may still be there before a person has to look. */
const graceSeconds = 3600
/** Grants looked at for what tokens of a key could reach. */
const mostReach = 200
const mostHolders = 50

/** The moves of the keys themselves are those of the loop `issuer-keys`; this follows them, and cuts. */
export const issuerKey: Kind = {
  kind: 'issuer_key',
  proof: 'last_token',
  targets: async () => ({ items: ['token'], next: null }),

  async begin(ctx, deps, ask) {
    if (ask.target !== 'token') {
      throw new Fault('not_found', 'There is no such key of the issuer: the target is token.', {
        kind: 'target',
      })
    }
    const keys = await deps.store.issuerKeys.list(ctx)
    return ask.emergency ? cutActive(ctx, deps, ask, keys) : succeed(ctx, deps, ask, keys)
  },

  async look(ctx, deps, { version: _, ...rotation }) {
    const keys = await deps.store.issuerKeys.list(ctx)
    const [from, to] = [named(keys, rotation.from), named(keys, rotation.to)]
    if (rotation.state === 'staged') return whileStaged(ctx, rotation, { from, to })
    if (from === undefined || from.state === 'retired')
      return { rotation: moved(ctx, rotation, ['drain', 'retire']) }
    if (rotation.wanted === 'force') return forced(ctx, rotation, from)
    const endsAt = from.retiresAt ?? ctx.now
    const limitAt = Math.max(rotation.limitAt, endsAt + graceSeconds)
    return { rotation: { ...rotation, limitAt, dueAt: Math.max(endsAt, ctx.now + 1) } }
  },

  async drain(ctx, deps, rotation): Promise<DrainFacts> {
    const from = named(await deps.store.issuerKeys.list(ctx), rotation.from)
    return { proof: 'last_token', expiresAt: from?.retiresAt ?? ctx.now }
  },

  async reach(ctx, deps) {
    const page = await deps.store.grants.list(ctx, { limit: mostReach }, { liveAt: ctx.now })
    const scopes = new Map<string, Set<string>>()
    for (const grant of page.items) {
      const known = scopes.get(grant.resource) ?? new Set()
      for (const scope of grant.scopes) known.add(scope)
      scopes.set(grant.resource, known)
    }
    return [...scopes].map(([name, those]) => ({ kind: 'resource', name, detail: [...those].join(' ') }))
  },

  // A thief of the key can be anybody; those who hold tokens of it are the agents that have a grant.
  async holders(ctx, deps) {
    const page = await deps.store.grants.list(ctx, { limit: mostReach }, { liveAt: ctx.now })
    return [...new Set(page.items.map(grant => grant.agent))].slice(0, mostHolders)
  },
}

const named = (keys: Keys, kid: string | null) => keys.find(key => key.kid === kid && key.purpose === 'token')

const depsOf = ({ store, keys, issuerKeys, randomBytes }: KindDeps): SuccessionDeps => ({
  store,
  keys,
  settings: issuerKeys,
  randomBytes,
})

function moved(ctx: Ctx, rotation: Rotation, moves: readonly RotationMove[]): Rotation {
  return moves.reduce<Rotation>((at, move) => moveRotation(at, move, ctx.now), rotation)
}

async function succeed(ctx: Ctx, deps: KindDeps, ask: Ask, keys: Keys): Promise<Begun> {
  const { reason, batch, alg } = ask
  const { rotation, puts, signals, bases, entries } = await decideRotation(
    ctx,
    depsOf(deps),
    { reason },
    { alg, batch },
  )
  if (rotation !== undefined) {
    // The engine adds the record itself.
    return { rotation, parts: { puts: puts.filter(one => one.put !== 'rotation'), signals, bases }, entries }
  }
  const [active, staged] = [mustBeActive(keys), stagedOf(keys, 'token')]
  if (staged === undefined) throw gone()
  // One that waits without a record of its own: of an older program. Where it has one, the engine finds it.
  const adopted = rotationTo(ctx, deps, { active, staged, reason, batch })
  return { rotation: adopted, parts: { puts: [put(bare(active), active.version)] }, entries }
}

interface Pair {
  readonly from: Versioned<IssuerKey> | undefined
  readonly to: Versioned<IssuerKey> | undefined
}

/**
 * Whether the successor took its predecessor's place. The keys move by themselves: while nobody followed the rotation,
 * as after the death of its leader, the successor may have signed, been superseded and gone. Only who was superseded has
 * an end of its last token.
 */
function hasSucceeded({ from, to }: Pair): boolean {
  if (to?.state === 'active' || to?.state === 'retiring') return true
  return (to?.retiresAt ?? null) !== null || (from?.retiresAt ?? null) !== null
}

function whileStaged(ctx: Ctx, rotation: Rotation, { from, to }: Pair): Look {
  if (hasSucceeded({ from, to })) {
    return { rotation: { ...moved(ctx, rotation, ['promote']), dueAt: ctx.now } }
  }
  if (to === undefined || to.state === 'retired') {
    const problem = 'The successor is gone.'
    return { rotation: moveRotation({ ...rotation, problem }, 'fail', ctx.now) }
  }
  if (rotation.wanted !== 'cancel') {
    return { rotation: { ...rotation, dueAt: Math.max(to.activatesAt, ctx.now + 1) } }
  }
  const abandoned = moveKey(bare(to), 'abandon', ctx.now)
  return {
    rotation: moveRotation({ ...rotation, problem: 'Cancelled.' }, 'fail', ctx.now),
    parts: {
      puts: [put(abandoned, to.version)],
      signals: [{ subject: issuerKeySubject(to), kind: 'changed' }],
    },
    entries: [entryOf(ctx, 'abandoned', abandoned, { reason: 'cancelled' })],
  }
}

/** A person says that nobody needs the tokens of the old key: it goes, and they are dead. */
function forced(ctx: Ctx, rotation: Rotation, from: Versioned<IssuerKey>): Look {
  const { puts, signals, entries } = cut(ctx, from, 'forced')
  return { rotation: moved(ctx, rotation, ['drain', 'retire']), parts: { puts, signals }, entries }
}

/**
 * Somebody else may sign with the key: it leaves the JWKS now and everything it signed is dead, while the successor signs
 * from now on, although verifiers have yet to read it.
 */
async function cutActive(ctx: Ctx, deps: KindDeps, ask: Ask, keys: Keys): Promise<Begun> {
  const active = mustBeActive(keys)
  const waiting = stagedOf(keys, 'token')
  const alg = usable(ask.alg ?? waiting?.alg ?? active.alg)
  const fitting = waiting?.alg === alg ? waiting : undefined
  const at = { now: ctx.now, activatesAt: ctx.now, alg }
  const { key: staged, bases } =
    fitting === undefined ? await deps.keys.stage(ctx, 'token', at) : { key: bare(fitting), bases: [] }
  const successor = moveKey(staged, 'activate', ctx.now)
  const of = cut(ctx, active, 'emergency')
  const puts: Put[] = [...of.puts, put(successor, fitting?.version ?? 0)]
  if (waiting !== undefined && fitting === undefined) {
    puts.push(put(moveKey(bare(waiting), 'abandon', ctx.now), waiting.version))
  }
  const begun = rotationTo(ctx, deps, { active, staged, reason: ask.reason, batch: ask.batch })
  const rotation = moved(ctx, { ...begun, emergency: true, proof: 'none' }, ['promote', 'drain', 'retire'])
  return {
    rotation,
    parts: {
      puts,
      signals: [...of.signals, { subject: issuerKeySubject(staged), kind: 'changed' }],
      bases,
    },
    entries: [...of.entries, entryOf(ctx, 'activated', successor, { reason: 'emergency' })],
  }
}

interface Cut {
  readonly puts: readonly Put[]
  readonly signals: readonly Signal[]
  readonly entries: readonly EntryDraft[]
}

function cut(ctx: Ctx, key: Versioned<IssuerKey>, reason: string): Cut {
  const ended = moveKey(bare(key), 'cut', ctx.now)
  return {
    puts: [put(ended, key.version)],
    signals: [
      // What is being signed with it at this instant fails at its commit.
      { subject: issuerKeySubject(key), kind: 'narrowed' },
      { subject: cutSubject(key.kid), kind: 'narrowed' },
    ],
    entries: [entryOf(ctx, 'cut', ended, { reason })],
  }
}

function mustBeActive(keys: Keys): Versioned<IssuerKey> {
  const active = activeOf(keys, 'token')
  if (active === undefined) throw gone()
  return active
}

function gone(): Fault {
  return new Fault('temporarily_unavailable', 'The issuer has no key that could be rotated now.', {
    kind: 'no_active_key',
  })
}
