// The engine of rotations: begins them, looks at those that are due, and is the only part of them that commits.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import type { Change, Committed, Fence, Versioned } from '../domain/change.ts'
import {
  type Drain,
  drainOf,
  hasEnded,
  moveRotation,
  type Rotation,
  type RotationKind,
} from '../domain/rotation.ts'
import type { Store } from '../store/store.ts'
import type { Ask, Begun, Kind, KindDeps, Look, Reach } from './kind.ts'

/** What deciding about rotations takes; nothing of it writes. */
export interface Planning {
  readonly kinds: readonly Kind[]
  readonly kindDeps: KindDeps
}

export interface EngineDeps extends Planning {
  readonly commit: Store['commit']
  /** Hears of what is not a refusal: our bugs. */
  readonly onError: (rotation: Rotation, error: unknown) => void
}

/** Rotations looked at in one run of the loop; the next run takes the next. */
const looksPerRun = 200
/** A run ends after so long, in milliseconds, so that the lease is renewed in time. */
const longestRunMs = 4000
/** What has nothing to wait for goes on at once, for so long before the next has its turn. */
const turnMs = 250
const longestPauseSeconds = 300
const blockedPauseSeconds = 60

export function kindNamed({ kinds }: Pick<Planning, 'kinds'>, name: RotationKind): Kind {
  const kind = kinds.find(one => one.kind === name)
  if (kind === undefined) throw new Fault('invalid_value', `There is no rotation of the kind ${name}.`)
  return kind
}

export interface Beginning extends Begun {
  readonly change: Pick<Change, 'puts' | 'creates' | 'signals' | 'bases'>
  /** The rotation that an emergency ends because both would replace one version. */
  readonly overtook?: Rotation['id']
}

/** How a rotation would begin, to be committed by the caller. Throws what `Kind.begin` throws, and `conflict`. */
export async function decideBeginning(
  ctx: Ctx,
  deps: Planning,
  name: RotationKind,
  ask: Ask,
): Promise<Beginning> {
  const begun = await kindNamed(deps, name).begin(ctx, deps.kindDeps, ask)
  const { rotation, parts } = begun
  if (rotation.from !== null) {
    const open = await deps.kindDeps.store.rotations.open(ctx, name, ask.target)
    const standing = open.find(one => one.from === rotation.from)
    // One version has one successor. An emergency does not wait for the rotation it overtakes.
    if (standing !== undefined && !ask.emergency) throw standingAlready(standing)
    if (standing !== undefined) {
      return { ...begun, change: overtaking(ctx, begun, standing), overtook: standing.id }
    }
  }
  const puts = [...(parts.puts ?? []), { put: 'rotation' as const, value: rotation, ifVersion: 0 }]
  return { ...begun, change: { ...parts, puts } }
}

function standingAlready(standing: Rotation): Fault {
  return new Fault('conflict', `This is being rotated already: see ${standing.id}.`, {
    kind: 'already_rotating',
    rotation: standing.id,
  })
}

/** The emergency and the rotation it overtakes would both replace one version: the older one ends with it. */
function overtaking(
  ctx: Ctx,
  { rotation, parts }: Begun,
  { version, ...standing }: Versioned<Rotation>,
): Pick<Change, 'puts' | 'creates' | 'signals' | 'bases'> {
  const ended: Rotation = {
    ...standing,
    state: 'failed',
    resumes: null,
    stateAt: ctx.now,
    dueAt: null,
    problem: `Overtaken by the emergency ${rotation.id}.`,
  }
  const puts = [
    { put: 'rotation' as const, value: ended, ifVersion: version },
    ...(parts.puts ?? []),
    { put: 'rotation' as const, value: rotation, ifVersion: 0 },
  ]
  return { ...parts, puts }
}

/**
 * Looks at every rotation that is due; answers how many moved. Bounded in number and time. One that has much to do, such
 * as a rewrap, goes on in turns with the others, so that none of them waits for its end.
 */
export async function advanceRotations(
  ctx: Ctx,
  deps: EngineDeps,
  fence: Fence | undefined,
): Promise<number> {
  const untilMs = performance.now() + longestRunMs
  let waiting = await deps.kindDeps.store.rotations.due(ctx, ctx.now, looksPerRun)
  let moved = 0
  while (waiting.length > 0) {
    const more: Versioned<Rotation>[] = []
    for (const rotation of waiting) {
      const nowMs = performance.now()
      if (nowMs > untilMs || deps.kindDeps.signal.aborted) return moved
      const turn = await advance(ctx, deps, rotation, { fence, untilMs: Math.min(untilMs, nowMs + turnMs) })
      moved += turn.moves
      if (turn.more !== undefined) more.push(turn.more)
    }
    waiting = more
  }
  return moved
}

interface Turn {
  readonly fence: Fence | undefined
  /** By the steady clock, when this turn has to end. */
  readonly untilMs: number
}

interface Taken {
  readonly moves: number
  /** As it stands, where it could have gone on. */
  readonly more?: Versioned<Rotation>
}

/** As far as it goes in one turn: each step is committed before the next is looked at. */
async function advance(
  ctx: Ctx,
  deps: EngineDeps,
  rotation: Versioned<Rotation>,
  { fence, untilMs }: Turn,
): Promise<Taken> {
  let current: Versioned<Rotation> = rotation
  let moves = 0
  for (;;) {
    const look = await lookAt(ctx, deps, current)
    if (look === undefined) return { moves }
    const committed = await commitLook(ctx, deps, { before: current, look, fence })
    // Somebody else changed it, or has the lease: whoever looks next reads again.
    if (committed.kind !== 'done') return { moves }
    if (look.rotation.state !== current.state) moves += 1
    if (hasEnded(look.rotation) || (look.rotation.dueAt ?? 0) > ctx.now) return { moves }
    current = { ...look.rotation, version: current.version + 1 }
    if (performance.now() > untilMs) return { moves, more: current }
  }
}

/** What has become of it, with every failure turned into a state of its own; undefined where nothing has. */
async function lookAt(ctx: Ctx, deps: EngineDeps, rotation: Versioned<Rotation>): Promise<Look | undefined> {
  const { version, ...bare } = rotation
  // A blocked one is looked at as what it was: what kept it may be gone.
  const goesOn = bare.state === 'blocked' ? moveRotation(bare, 'unblock', ctx.now) : bare
  try {
    const look = await kindNamed(deps, bare.kind).look(ctx, deps.kindDeps, { ...goesOn, version })
    return settled(ctx, deps, { before: bare, look })
  } catch (error) {
    if (!isFault(error)) deps.onError(bare, error)
    return { rotation: troubled(ctx, deps, bare, error) }
  }
}

function settled(
  ctx: Ctx,
  deps: EngineDeps,
  { before, look }: { readonly before: Rotation; readonly look: Look },
): Look | undefined {
  const { drainLimitSeconds } = deps.kindDeps.rules
  const next = look.rotation
  const isIdle = look.parts === undefined && next.state === (before.resumes ?? before.state)
  if (isIdle && before.state === 'blocked') {
    return { rotation: { ...before, dueAt: ctx.now + blockedPauseSeconds } }
  }
  if (isIdle && next.limitAt <= ctx.now && next.state !== 'blocked')
    return { rotation: blocked(ctx, deps, next) }
  if (next.state === 'active' && before.state !== 'active' && before.state !== 'blocked') {
    // From the promotion on the predecessor has its own time to drain.
    return { ...look, rotation: { ...next, limitAt: ctx.now + drainLimitSeconds } }
  }
  if (isIdle && next.dueAt === before.dueAt) {
    return { ...look, rotation: { ...next, dueAt: ctx.now + 1 } }
  }
  // A limit that comes earlier than the next look is looked at when it comes.
  if (next.dueAt !== null && next.limitAt > ctx.now && next.dueAt > next.limitAt) {
    return { ...look, rotation: { ...next, dueAt: next.limitAt } }
  }
  return look
}

function blocked(ctx: Ctx, deps: Pick<Planning, 'kinds'>, rotation: Rotation): Rotation {
  const whom = rotation.owner === null ? 'its owner' : rotation.owner
  const orForce = kindNamed(deps, rotation.kind).unforced === undefined ? ', or end it by force' : ''
  const problem =
    rotation.problem ??
    (rotation.state === 'staged'
      ? `The successor did not come into use by its limit; ask ${whom}.`
      : `The old version is still used after its limit; ask ${whom}${orForce}.`)
  return {
    ...moveRotation({ ...rotation, problem }, 'block', ctx.now),
    dueAt: ctx.now + blockedPauseSeconds,
  }
}

/** An upstream that is away is tried again, ever more slowly; one that refuses is for a person. */
function troubled(ctx: Ctx, deps: Pick<Planning, 'kinds'>, rotation: Rotation, error: unknown): Rotation {
  const say = isFault(error) ? error.message : 'An internal error; the log says more.'
  const attempts = rotation.attempts + 1
  const refused = isFault(error) && error.code === 'conflict'
  const isOver = rotation.limitAt <= ctx.now
  if (rotation.state !== 'blocked' && (refused || isOver)) {
    return { ...blocked(ctx, deps, { ...rotation, problem: say }), attempts }
  }
  const pause = Math.min(2 ** Math.min(attempts, 16), longestPauseSeconds)
  return { ...rotation, attempts, problem: say, dueAt: ctx.now + pause }
}

interface Step {
  readonly before: Versioned<Rotation>
  readonly look: Look
  readonly fence: Fence | undefined
}

function commitLook(ctx: Ctx, deps: EngineDeps, { before, look, fence }: Step): Promise<Committed> {
  const { rotation, parts = {}, facts } = look
  const type = rotation.state === before.state ? 'rotation.checked' : `rotation.${rotation.state}`
  return deps.commit(ctx, {
    ...parts,
    ...(fence && { fence }),
    puts: [...(parts.puts ?? []), { put: 'rotation', value: rotation, ifVersion: before.version }],
    entries: [entryOf(ctx, type, rotation, facts), ...(look.entries ?? [])],
  })
}

/** The drain of one rotation as it stands, for the meter. */
export async function drainNow(ctx: Ctx, deps: Planning, rotation: Rotation): Promise<Drain | undefined> {
  if (rotation.state === 'staged' || hasEnded(rotation)) return undefined
  const facts = await kindNamed(deps, rotation.kind).drain(ctx, deps.kindDeps, rotation)
  return drainOf(rotation, facts, ctx.now, deps.kindDeps.rules.drainSeconds)
}

export interface BlastRadius {
  readonly reach: readonly Reach[]
  readonly holders: readonly string[]
}

/** What the old version could reach, and under which names its holders stand in the audit log. */
export async function blastRadius(ctx: Ctx, deps: Planning, rotation: Rotation): Promise<BlastRadius> {
  const kind = kindNamed(deps, rotation.kind)
  const [reach, holders] = await Promise.all([
    kind.reach(ctx, deps.kindDeps, rotation),
    kind.holders(ctx, deps.kindDeps, rotation),
  ])
  return { reach, holders }
}

/** A name for those that one request begins together. */
export function newBatch({ kindDeps }: Pick<Planning, 'kindDeps'>): string {
  return newId('rot', kindDeps.randomBytes).replace('rot_', 'all_')
}

export function entryOf(
  ctx: Ctx,
  type: string,
  rotation: Rotation,
  facts: EntryDraft['facts'] = {},
): EntryDraft {
  return {
    type,
    outcome: rotation.state === 'failed' || rotation.state === 'blocked' ? 'failed' : 'allowed',
    reason: rotation.problem ?? rotation.reason,
    requestId: ctx.requestId,
    traceId: ctx.traceId ?? null,
    peer: ctx.peer ?? null,
    facts: { ...rotationFacts(rotation), ...facts },
  }
}

/** What the one entry of a request tells of what it began: also what ended or appeared with it, and for whom. */
export function aboutBeginning({
  rotation,
  entries = [],
  overtook,
}: Pick<Beginning, 'rotation' | 'entries' | 'overtook'>): Pick<EntryDraft, 'agent' | 'instance' | 'facts'> {
  const [first] = entries
  return {
    agent: first?.agent ?? null,
    instance: first?.instance ?? null,
    facts: {
      ...rotationFacts(rotation),
      also: entries.map(({ type }) => type),
      ...(overtook === undefined ? {} : { overtook }),
    },
  }
}

export function rotationFacts(rotation: Rotation): EntryDraft['facts'] & object {
  return {
    rotation: rotation.id,
    kind: rotation.kind,
    target: rotation.target,
    owner: rotation.owner,
    state: rotation.state,
    from: rotation.from,
    to: rotation.to,
    proof: rotation.proof,
    emergency: rotation.emergency,
    batch: rotation.batch,
  }
}
