// Self-service rotation of an instance's key: the old key names the new one in its assertion, the new one signs the proof.
// Ours.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import { type Key, retireKey } from '../domain/agent.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import type { Basis, Change, Versioned } from '../domain/change.ts'
import { instanceKeyRotation } from '../domain/instance-key.ts'
import { moveRotation, type Rotation as RotationRecord } from '../domain/rotation.ts'
import { askedBy } from './asked-by.ts'
import type { Binding } from './binding/dpop.ts'
import { bindNewKey, mustHaveOwnName, type NewKey } from './binding/new-key.ts'
import { admit, standingOf } from './client-auth/admit.ts'
import { known, type Proven } from './client-auth/method.ts'
import { proveAssertion } from './client-auth/private-key-jwt.ts'
import type { Deps } from './deps.ts'
import { mustNotBeHalted } from './halted.ts'
import { recordRefusal } from './refusal.ts'

export interface Rekey extends NewKey {
  readonly assertion: string
}

export interface Rekeyed {
  readonly agent: string
  readonly instance: string
  readonly key: Pick<Key, 'kid' | 'notBefore' | 'expiresAt'>
  readonly previous: Pick<Key, 'kid' | 'expiresAt'>
}

/**
 * The successor is good at once, the predecessor until it is drained, so that nothing in flight fails. Repeating the
 * request with the same new key is the retry of a lost answer and yields the same. Throws `invalid_client`,
 * `invalid_dpop_proof`, `access_denied` while something of the instance is halted, or `conflict` when the new key is known
 * already or another successor was faster.
 */
export async function rekey(ctx: Ctx, deps: Deps, request: Rekey): Promise<Rekeyed> {
  const binding = bindNewKey(ctx, deps, request)
  // For this successor alone (RFC 7800 §3.1): an assertion that was made for a token, and seen before it was used, is
  // worth one token of minutes there, and must not be worth the whole instance here.
  const agreed = { confirms: binding.jkt }
  const proven = known(ctx, deps, await proveAssertion(ctx, deps, request.assertion, agreed))
  try {
    admit(ctx, proven)
    return await succeed(ctx, deps, { request, binding, proven })
  } catch (error) {
    if (isFault(error)) {
      await recordRefusal(ctx, deps, {
        type: 'key.rotated',
        fault: error,
        proven,
        claims: [...proven.claims, binding.claim],
      })
    }
    throw error
  }
}

/** How often is looked again after a lost race. */
const attempts = 4

interface Succession {
  readonly request: Rekey
  readonly binding: Binding
  readonly proven: Proven
}

/** A lost race used nothing up: whoever was faster may have looked at the rotation only, and made no successor. */
async function succeed(ctx: Ctx, deps: Deps, succession: Succession): Promise<Rekeyed> {
  for (let attempt = 1; attempt <= attempts; attempt++) {
    const rekeyed = await tried(ctx, deps, succession)
    if (rekeyed !== undefined) return rekeyed
  }
  throw new Fault('conflict', 'The key was rotated by somebody else just now.', { kind: 'lost_race' })
}

/** Undefined where the race was lost. */
async function tried(
  ctx: Ctx,
  deps: Deps,
  { request, binding, proven }: Succession,
): Promise<Rekeyed | undefined> {
  const { key } = proven.by
  const old = key === null ? undefined : await deps.store.keys.byThumbprint(ctx, key.thumbprint)
  if (old === undefined || old.instance === null || proven.agent === undefined) {
    throw new Fault('access_denied', 'Only the key of an instance rotates itself.', {
      kind: 'not_an_instance',
    })
  }
  // Whoever holds a key that was halted would go on with its successor, which was not.
  const unhalted = await mustNotBeHalted(ctx, deps, proven)
  const standing = await deps.store.keys.byThumbprint(ctx, binding.jkt)
  if (standing !== undefined) {
    const isRetry =
      standing.instance === old.instance && standing.state === 'active' && old.state === 'retiring'
    if (!isRetry)
      throw new Fault('conflict', 'The new key is known already; make another.', { kind: 'key_taken' })
    const again = againOf(ctx, { proven, unhalted, binding, old, next: standing })
    return (await isCommitted(ctx, deps, again)) ? answerOf(proven, old.instance, standing, old) : undefined
  }
  // A key that was replaced has had its successor; a second one would fork the instance.
  if (old.state !== 'active')
    throw new Fault('conflict', 'This key has a successor already.', { kind: 'already_rotated' })
  const next: Key = {
    thumbprint: binding.jkt,
    kid: request.jwk.kid ?? binding.jkt,
    owner: old.owner,
    instance: old.instance,
    jwk: request.jwk,
    state: 'active',
    notBefore: ctx.now,
    // A key without an end was wanted so: its successor must not lock out whoever is away for longer than it would live.
    expiresAt: old.expiresAt === null ? null : ctx.now + deps.settings.agentKeySeconds,
    createdAt: ctx.now,
    stateAt: ctx.now,
    stateReason: null,
  }
  mustHaveOwnName(next, await deps.store.keys.named(ctx, next.owner, [next.kid, next.thumbprint]))
  const retiring = retireKey(old, ctx.now)
  const record = await recordOf(ctx, deps, { proven, old, next })
  const change = changeOf(ctx, { proven, unhalted, binding, old, retiring, next, record })
  return (await isCommitted(ctx, deps, change)) ? answerOf(proven, old.instance, next, retiring) : undefined
}

/** The rotation that asked for this, or one of its own: in use from now on, and draining. */
async function recordOf(
  ctx: Ctx,
  deps: Deps,
  { proven, old, next }: Pick<Repetition, 'proven' | 'old' | 'next'>,
): Promise<Versioned<RotationRecord>> {
  const { drainSeconds, drainLimitSeconds } = deps.settings
  const instance = old.instance ?? old.owner
  const open = await deps.store.rotations.open(ctx, 'instance_key', instance)
  const limitAt = ctx.now + drainLimitSeconds
  const owner = proven.agent?.owner ?? null
  const begun = waitingAmong(open, old) ?? {
    ...instanceKeyRotation(
      {
        id: newId('rot', deps.randomBytes),
        instance,
        owner,
        key: old,
        reason: 'self_service',
        batch: null,
        limitAt,
      },
      ctx.now,
    ),
    version: 0,
  }
  const promoted = moveRotation({ ...begun, to: next.thumbprint }, 'promote', ctx.now)
  return { ...promoted, limitAt, dueAt: ctx.now + drainSeconds, version: begun.version }
}

/** One that is past its limit waits as well: who was away for long must still get in, and one version has one successor. */
function waitingAmong(
  open: readonly Versioned<RotationRecord>[],
  { thumbprint: from }: Pick<Key, 'thumbprint'>,
): Versioned<RotationRecord> | undefined {
  const waiting = open.find(one => one.from === from && (one.resumes ?? one.state) === 'staged')
  if (waiting?.state !== 'blocked') return waiting
  return { ...moveRotation(waiting, 'unblock', waiting.stateAt), version: waiting.version }
}

/** False where the race was lost, and another look may tell more. */
async function isCommitted(ctx: Ctx, deps: Pick<Deps, 'store'>, change: Change): Promise<boolean> {
  const committed = await deps.store.commit(ctx, change)
  switch (committed.kind) {
    case 'done':
      return true
    case 'conflict':
      return false
    case 'replayed':
      throw new Fault('invalid_client', 'The client could not be authenticated.', {
        kind: 'evidence_replayed',
      })
    default:
      throw new Fault('temporarily_unavailable', 'The standing of this agent just changed; try again.', {
        kind: committed.kind,
      })
  }
}

interface Repetition {
  readonly proven: Proven
  readonly unhalted: Basis
  readonly binding: Binding
  readonly old: Versioned<Key>
  readonly next: Key
}

interface Rotation extends Repetition {
  readonly retiring: Key
  readonly record: Versioned<RotationRecord>
}

function changeOf(ctx: Ctx, made: Rotation): Change {
  const { proven, unhalted, binding, old, retiring, next, record } = made
  const { version, ...rotation } = record
  return {
    bases: [{ epoch: proven.facts.epoch, subjects: standingOf(proven) }, unhalted],
    claims: [...proven.claims, binding.claim],
    puts: [
      { put: 'key', value: retiring, ifVersion: old.version },
      { put: 'key', value: next, ifVersion: 0 },
      { put: 'rotation', value: rotation, ifVersion: version },
    ],
    signals: [{ subject: proven.id, kind: 'changed' }],
    touches: [{ thumbprint: old.thumbprint, from: ctx.peer ?? null }],
    entries: [
      entryOf(ctx, 'key.rotated', {
        rotation: made,
        facts: { successor: next.thumbprint, rotation: rotation.id },
      }),
    ],
  }
}

/** The retry of a lost answer: it makes nothing, uses up what it showed, and is an entry of its own. */
function againOf(ctx: Ctx, rotation: Repetition): Change {
  const { proven, unhalted, binding, old, next } = rotation
  return {
    bases: [
      { epoch: proven.facts.epoch, subjects: [...standingOf(proven), `key:${next.thumbprint}`] },
      unhalted,
    ],
    claims: [...proven.claims, binding.claim],
    touches: [{ thumbprint: old.thumbprint, from: ctx.peer ?? null }],
    entries: [entryOf(ctx, 'rotation.repeated', { rotation, facts: { successor: next.thumbprint } })],
  }
}

function entryOf(
  ctx: Ctx,
  type: 'key.rotated' | 'rotation.repeated',
  { rotation: { proven }, facts }: { rotation: Repetition; facts: EntryDraft['facts'] & object },
): EntryDraft {
  return {
    type,
    outcome: 'allowed',
    ...askedBy(ctx, proven),
    action: 'rotate',
    decision: { rule: 'old_and_new_key', epoch: proven.facts.epoch },
    facts,
  }
}

function answerOf(proven: Proven, instance: string, key: Key, previous: Key): Rekeyed {
  return { agent: proven.id, instance, key, previous }
}
