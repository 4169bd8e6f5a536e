// Rotations of every kind: begin one or all, see who still uses the old version, and decide where it cannot go on.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { parseId } from '@writ/sdk/protocol/identifier'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import type { Caller } from '../../domain/caller.ts'
import type { Change, Versioned } from '../../domain/change.ts'
import { type Drain, hasEnded, moveRotation, type Rotation } from '../../domain/rotation.ts'
import {
  aboutBeginning,
  decideBeginning,
  drainNow,
  kindNamed,
  newBatch,
  rotationFacts,
} from '../../rotation/engine.ts'
import type { Ask } from '../../rotation/kind.ts'
import { mustReach } from '../ceiling.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'

export const rotationKinds = [
  'instance_key',
  'issuer_key',
  'root_key',
  'tenant_key',
  'secret',
  'client_secret',
] as const
const states = ['staged', 'active', 'retiring', 'retired', 'blocked', 'failed'] as const

const drainShown = z.strictObject({
  remaining: z.int().meta({ description: 'Users, records, sessions or seconds left; 0 when drained' }),
  clear_at: wire.shownInstant.meta({ description: 'The earliest instant at which it can be drained' }),
  users: z.array(
    z.strictObject({
      caller: z.string(),
      from: z.string().nullable(),
      first_used_at: wire.shownInstant.nullable(),
      last_used_at: wire.shownInstant,
      until: wire.shownInstant.nullable(),
    }),
  ),
})

export const rotationShown = z
  .strictObject({
    id: wire.id('rot'),
    kind: z.enum(rotationKinds),
    target: z.string(),
    owner: z.string().nullable().meta({ description: 'Whom to call when it cannot go on' }),
    state: z.enum(states),
    state_at: wire.shownInstant,
    emergency: z.boolean(),
    reason: z.string(),
    batch: z.string().nullable(),
    from: z.string().nullable().meta({ description: 'The version that is replaced' }),
    to: z.string().nullable().meta({ description: 'Its successor' }),
    proof: z
      .enum(['last_use', 'last_token', 'no_records', 'live_sessions', 'none'])
      .meta({ description: 'How it is known that nobody needs the old version' }),
    created_at: wire.shownInstant,
    active_at: wire.shownInstant.nullable(),
    due_at: wire.shownInstant.nullable(),
    limit_at: wire.shownInstant.meta({ description: 'From here on it is blocked unless it went on' }),
    problem: z.string().nullable(),
    drain: drainShown.nullable(),
  })
  .meta({ id: 'Rotation' })

export function showRotation(
  rotation: Rotation,
  drain: Drain | undefined = undefined,
): z.input<typeof rotationShown> {
  return {
    id: rotation.id,
    kind: rotation.kind,
    target: rotation.target,
    owner: rotation.owner,
    state: rotation.state,
    state_at: wire.rfc3339(rotation.stateAt),
    emergency: rotation.emergency,
    reason: rotation.reason,
    batch: rotation.batch,
    from: rotation.from,
    to: rotation.to,
    proof: rotation.proof,
    created_at: wire.rfc3339(rotation.createdAt),
    active_at: wire.rfc3339OrNull(rotation.activeAt),
    due_at: wire.rfc3339OrNull(rotation.dueAt),
    limit_at: wire.rfc3339(rotation.limitAt),
    problem: rotation.problem,
    drain: drain === undefined ? null : showDrain(drain),
  }
}

function showDrain({ remaining, clearAt, users }: Drain): z.input<typeof drainShown> {
  return {
    remaining,
    clear_at: wire.rfc3339(clearAt),
    users: users.map(user => ({
      caller: user.caller,
      from: user.from,
      first_used_at: wire.rfc3339OrNull(user.firstUsedAt),
      last_used_at: wire.rfc3339(user.lastUsedAt),
      until: wire.rfc3339OrNull(user.until),
    })),
  }
}

const target = z.string().min(1).max(256)

const create = operation({
  id: 'rotations.create',
  event: 'rotation.begun',
  method: 'POST',
  path: '/rotations',
  summary: 'Begin a rotation; an emergency cuts the old version at once',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      kind: z.enum(rotationKinds),
      target: target
        .optional()
        .meta({ description: 'The id of an instance or secret; left out for keys of the authority' }),
      reason: wire.reason.optional(),
      emergency: z.boolean().optional(),
      alg: z.string().max(32).optional().meta({ description: 'Of an issuer key: that of the successor' }),
    })
    .meta({ id: 'RotationCreate' }),
  status: 201,
  answer: rotationShown,
  async decide(ctx, deps, { body }, caller) {
    if (body.alg !== undefined && body.kind !== 'issuer_key') {
      throw new Fault('invalid_value', 'The member alg belongs to rotations of an issuer key.', {
        kind: 'alg',
      })
    }
    const ask: Ask = {
      target: body.target ?? standing(ctx, body.kind),
      reason: body.reason ?? 'asked',
      batch: null,
      emergency: body.emergency ?? false,
      alg: body.alg ?? null,
    }
    await mustReachTarget(ctx, deps, caller, ask.target)
    const begun = await decideBeginning(ctx, deps.engine, body.kind, ask)
    const { rotation, change } = begun
    return {
      change,
      about: { reason: ask.reason, ...aboutBeginning(begun) },
      answer: showRotation(rotation),
      location: `/rotations/${rotation.id}`,
      version: 1,
    }
  },
})

/** The one target of the kinds that have one. */
function standing(ctx: Ctx, kind: (typeof rotationKinds)[number]): string {
  if (kind === 'issuer_key') return 'token'
  if (kind === 'root_key' || kind === 'tenant_key') return ctx.tenant
  throw new Fault('invalid_value', 'The member target is missing: name what to rotate.', {
    kind: 'no_target',
  })
}

/** Cutting the key of somebody who stands above the caller would be power over them (threat C60). */
async function mustReachTarget(ctx: Ctx, deps: Reads, caller: Caller, name: string): Promise<void> {
  const instance = parseId('ins', name) && (await deps.store.agents.instance(ctx, name))
  if (instance) await mustReach(ctx, deps, caller, { id: instance.agent })
}

/** Writes of one page of a batch: a change has at most a thousand. */
const mostPuts = 800

const batch = operation({
  id: 'rotations.batch',
  event: 'rotation.batch_begun',
  method: 'POST',
  path: '/rotations/batch',
  summary:
    'Begin rotations of every target of a kind, a page at a time: ask again with `after` until `next` is null',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      kind: z.enum(rotationKinds),
      reason: wire.reason.optional(),
      batch: z
        .string()
        .regex(/^all_[0-9a-hjkmnp-tv-z]{26}$/, 'is not the name of a batch')
        .optional()
        .meta({ description: 'The `batch` of the answer before, so that all are one' }),
      after: z.string().min(1).max(256).optional(),
    })
    .meta({ id: 'RotationBatch' }),
  status: 200,
  answer: z
    .strictObject({
      batch: z.string(),
      items: z.array(rotationShown),
      skipped: z.array(z.strictObject({ target: z.string(), because: z.string() })),
      next: z.string().nullable(),
    })
    .meta({ id: 'RotationBatchBegun' }),
  async decide(ctx, deps, { body }, caller) {
    const name = body.batch ?? newBatch(deps.engine)
    const kind = kindNamed(deps.engine, body.kind)
    const page = await kind.targets(ctx, deps.engine.kindDeps, body.after ?? null)
    const begun: Rotation[] = []
    const skipped: { target: string; because: string }[] = []
    const puts: NonNullable<Change['puts']>[number][] = []
    const rest: Pick<Change, 'creates' | 'signals' | 'bases'>[] = []
    for (const item of page.items) {
      const ask = { target: item, reason: body.reason ?? 'asked', batch: name, emergency: false, alg: null }
      try {
        await mustReachTarget(ctx, deps, caller, item)
        const { rotation, change } = await decideBeginning(ctx, deps.engine, body.kind, ask)
        begun.push(rotation)
        puts.push(...(change.puts ?? []))
        rest.push(change)
      } catch (error) {
        // One that cannot begin must not keep the others: it is told, never counted as done.
        if (!isFault(error) || error.code === 'temporarily_unavailable') throw error
        skipped.push({ target: item, because: error.message })
      }
    }
    if (puts.length > mostPuts) throw new Error('a page of targets makes more writes than one change holds')
    return {
      change: {
        puts,
        creates: rest.flatMap(one => one.creates ?? []),
        signals: rest.flatMap(one => one.signals ?? []),
        bases: rest.flatMap(one => one.bases ?? []),
      },
      about: {
        reason: body.reason ?? 'asked',
        facts: {
          batch: name,
          kind: body.kind,
          rotations: begun.map(({ id }) => id),
          targets: begun.map(one => one.target),
          skipped: skipped.map(one => one.target),
        },
      },
      answer: { batch: name, items: begun.map(one => showRotation(one)), skipped, next: page.next },
    }
  },
})

const list = operation({
  id: 'rotations.list',
  event: readEvent,
  method: 'GET',
  path: '/rotations',
  summary: 'List rotations, the oldest first; the drain of each is shown with the single one',
  params: wire.noParams,
  query: z.strictObject({
    ...wire.paging,
    kind: z.enum(rotationKinds).optional(),
    target: target.optional(),
    state: z.enum(states).optional(),
    batch: z.string().min(1).max(64).optional(),
  }),
  body: null,
  status: 200,
  answer: wire.listOf(rotationShown),
  async decide(ctx, deps, { query }) {
    const { kind, target: of, state, batch: together } = query
    const filter = wire.given({ kind, target: of, state, batch: together })
    const page = await deps.store.rotations.list(ctx, wire.pageOf(query), filter)
    return { about: {}, answer: wire.shownPage(page, one => showRotation(one)) }
  },
})

const params = z.strictObject({ id: wire.id('rot') })

const get = operation({
  id: 'rotations.get',
  event: readEvent,
  method: 'GET',
  path: '/rotations/{id}',
  summary: 'See one rotation, with who still uses the old version, from where and since when',
  params,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: rotationShown,
  async decide(ctx, deps, input) {
    const { version, ...rotation } = await find(ctx, deps, input.params.id)
    const drain = await drainNow(ctx, deps.engine, rotation)
    return { about: {}, answer: showRotation(rotation, drain), version }
  },
})

export async function find(ctx: Ctx, deps: Reads, id: string): Promise<Versioned<Rotation>> {
  const rotation = await deps.store.rotations.get(ctx, id)
  if (rotation === undefined)
    throw new Fault('not_found', 'There is no such rotation.', { kind: 'no_rotation' })
  return rotation
}

interface Verb {
  readonly name: 'cancel' | 'force' | 'retry'
  readonly summary: string
  /** The rotation as it is wanted, or undefined where its state does not allow it. */
  apply(rotation: Rotation, at: number): Rotation | undefined
  readonly otherwise: string
}

const standsAt = (rotation: Rotation): Rotation['state'] => rotation.resumes ?? rotation.state

const verbs: readonly Verb[] = [
  {
    name: 'cancel',
    summary: 'Give the successor up while it is not in use; the old version stays',
    apply: (rotation, at) =>
      standsAt(rotation) === 'staged' ? { ...unblocked(rotation, at), wanted: 'cancel' } : undefined,
    otherwise: 'Only a rotation whose successor is not in use can be cancelled; after that it only goes on.',
  },
  {
    name: 'force',
    summary: 'End the old version although it is not proven unused: whoever still uses it fails',
    apply: (rotation, at) =>
      standsAt(rotation) === 'active' ? { ...unblocked(rotation, at), wanted: 'force' } : undefined,
    otherwise: 'Only a rotation whose successor is in use can be forced to its end.',
  },
  {
    name: 'retry',
    summary: 'Look at it again now, for example after the upstream was mended',
    apply: (rotation, at) => (hasEnded(rotation) ? undefined : unblocked(rotation, at)),
    otherwise: 'This rotation has ended.',
  },
]

/** It gets a fresh limit: a person has looked at it. */
function unblocked(rotation: Rotation, at: number): Rotation {
  const patience = Math.max(60, rotation.limitAt - rotation.createdAt)
  const open = rotation.state === 'blocked' ? moveRotation(rotation, 'unblock', at) : rotation
  return { ...open, attempts: 0, dueAt: at, limitAt: Math.max(open.limitAt, at + patience) }
}

const decisions = verbs.map(({ name, summary, apply, otherwise }) =>
  operation({
    id: `rotations.${name}`,
    event: `rotation.${name === 'cancel' ? 'cancelled' : name === 'force' ? 'forced' : 'retried'}`,
    method: 'POST',
    path: `/rotations/{id}/${name}`,
    summary,
    params,
    query: wire.noQuery,
    body: z.strictObject({ reason: wire.reason }),
    status: 200,
    answer: rotationShown,
    async decide(ctx, deps, { params: { id }, body, ifVersion }, caller) {
      const { version, ...rotation } = await find(ctx, deps, id)
      if (ifVersion !== null && ifVersion !== version) {
        throw new Fault('conflict', 'This was changed since you read it; look again.', { kind: 'if_match' })
      }
      await mustReachTarget(ctx, deps, caller, rotation.target)
      const { unforced } = kindNamed(deps.engine, rotation.kind)
      // In every state: whoever is told to wait for another one would try again, and count on it.
      if (name === 'force' && unforced !== undefined)
        throw new Fault('conflict', unforced, { kind: 'unforced' })
      const wanted = apply(rotation, ctx.now)
      if (wanted === undefined) throw new Fault('conflict', otherwise, { kind: rotation.state })
      return {
        change: { puts: [{ put: 'rotation', value: wanted, ifVersion: version }] },
        about: { reason: body.reason, facts: rotationFacts(wanted) },
        answer: showRotation(wanted),
        version: version + 1,
      }
    },
  }),
)

export const rotationOperations = [create, batch, list, get, ...decisions]
