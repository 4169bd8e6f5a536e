// Keys of agents' instances: the instance itself makes the successor, and shows it at `/rekey`; here it is asked to.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../../context.ts'
import { type Instance, isKeyLive, type Key, revokeKey } from '../../domain/agent.ts'
import type { EntryDraft } from '../../domain/audit-entry.ts'
import type { Put, Signal, Versioned } from '../../domain/change.ts'
import { askOf, instanceKeyRotation } from '../../domain/instance-key.ts'
import { type DrainFacts, drainOf, moveRotation, type Rotation } from '../../domain/rotation.ts'
import type { Begun, Kind, KindDeps, Look, Reach } from '../kind.ts'

/** Agents that one page of targets looks through. */
const agentsOfPage = 50
/** Instances of one page: each makes two writes of a change, which has at most a thousand, however many an agent has. */
const instancesOfPage = 200
/** How often an instance that has been asked is looked at: its answer arrives by itself, so this is only for its end. */
const askedSeconds = 300

export const instanceKey: Kind = {
  kind: 'instance_key',
  proof: 'last_use',

  /** A page begins after an agent or, where the instances of one did not fit, after an instance of it. */
  async targets(ctx, { store }, after) {
    const within = after === null ? undefined : await store.agents.instance(ctx, after)
    const rest = within === undefined ? [] : await restOf(ctx, store, within)
    if (rest.length > instancesOfPage) return firstOf(rest)
    const items = [...rest]
    let reached = within?.agent ?? after
    const page = await store.agents.list(
      ctx,
      { limit: agentsOfPage, ...(reached !== null && { after: reached }) },
      { status: 'active' },
    )
    for (const agent of page.items) {
      const live = await liveOf(ctx, store, agent.id)
      if (items.length + live.length > instancesOfPage) {
        return items.length === 0 ? firstOf(live) : { items, next: reached }
      }
      items.push(...live)
      reached = agent.id
    }
    return { items, next: page.next }
  },

  async begin(ctx, deps, ask) {
    const { agent, key } = await standing(ctx, deps, ask.target)
    const about = {
      id: newId('rot', deps.randomBytes),
      instance: ask.target,
      owner: agent.owner,
      key,
      limitAt: key.expiresAt ?? ctx.now + deps.rules.drainLimitSeconds,
    }
    const rotation = instanceKeyRotation({ ...about, reason: ask.reason, batch: ask.batch }, ctx.now)
    return ask.emergency ? cut(ctx, rotation, key) : asked(ctx, rotation, key)
  },

  async look(ctx, deps, rotation) {
    const key = await keyOf(ctx, deps, rotation.from)
    if (rotation.state === 'staged') return waiting(ctx, rotation, key)
    const drain = drainOf(rotation, await this.drain(ctx, deps, rotation), ctx.now, deps.rules.drainSeconds)
    const isOver = key === undefined || key.state !== 'retiring'
    if (!isOver && !drain.isDrained && rotation.wanted !== 'force') {
      return { rotation: { ...rotation, dueAt: drain.clearAt } }
    }
    const { version: _, ...bare } = rotation
    const ended = moveRotation(moveRotation(bare, 'drain', ctx.now), 'retire', ctx.now)
    if (isOver) return { rotation: ended }
    const entries = [told(ctx, 'key.retired', key, rotation.wanted === 'force' ? 'forced' : 'drained')]
    return { rotation: ended, parts: end(ctx, key), entries }
  },

  async drain(ctx, deps, rotation): Promise<DrainFacts> {
    const key = await keyOf(ctx, deps, rotation.from)
    if (key === undefined) return { proof: 'none' }
    const held = (await deps.store.keys.ofOwner(ctx, key.owner)).find(
      one => one.thumbprint === key.thumbprint,
    )
    const use = held?.use ?? null
    if (use === null) return { proof: 'last_use', users: [] }
    const user = { caller: rotation.target, from: use.lastUsedFrom, firstUsedAt: null, until: null }
    return { proof: 'last_use', users: [{ ...user, lastUsedAt: use.lastUsedAt }] }
  },

  async reach(ctx, deps, rotation) {
    const key = await keyOf(ctx, deps, rotation.from)
    if (key === undefined) return []
    const page = await deps.store.grants.list(
      ctx,
      { limit: mostReach },
      { agent: key.owner, liveAt: ctx.now },
    )
    return page.items.map(
      (grant): Reach => ({ kind: 'resource', name: grant.resource, detail: grant.scopes.join(' ') }),
    )
  },

  holders: async (_ctx, _deps, rotation) => (rotation.from === null ? [] : [`key:${rotation.from}`]),
}

/** Instances of the agent with a key in use, in the order of their ids: a key that came since then moves none of them. */
async function liveOf(ctx: Ctx, store: KindDeps['store'], agent: string): Promise<readonly string[]> {
  const keys = await store.keys.ofOwner(ctx, agent)
  const live = keys.filter(key => key.state === 'active' && isKeyLive(key, ctx.now))
  return [...new Set(live.flatMap(({ instance }) => (instance === null ? [] : [instance])))].sort()
}

/** Those of the same agent that come after the instance. */
async function restOf(
  ctx: Ctx,
  store: KindDeps['store'],
  { id, agent }: Instance,
): Promise<readonly string[]> {
  if ((await store.agents.get(ctx, agent))?.status !== 'active') return []
  return (await liveOf(ctx, store, agent)).filter(other => other > id)
}

function firstOf(instances: readonly string[]) {
  const items = instances.slice(0, instancesOfPage)
  return { items, next: instances.length > items.length ? (items.at(-1) ?? null) : null }
}

const mostReach = 200

/** The one key of the instance that is in use, and its agent. */
async function standing(ctx: Ctx, deps: KindDeps, target: string) {
  const instance = await deps.store.agents.instance(ctx, target)
  const agent = instance && (await deps.store.agents.get(ctx, instance.agent))
  if (agent === undefined) throw new Fault('not_found', 'There is no such instance.', { kind: 'instance' })
  if (agent.status === 'retired') {
    throw new Fault('conflict', 'The agent of this instance is retired: it has no keys that live.', {
      kind: 'retired',
    })
  }
  const key = (await deps.store.keys.ofOwner(ctx, agent.id)).find(
    one => one.instance === target && one.state === 'active' && isKeyLive(one, ctx.now),
  )
  if (key === undefined) {
    throw new Fault('conflict', 'This instance has no live key: enrol it again.', { kind: 'no_live_key' })
  }
  return { agent, key }
}

async function keyOf(
  ctx: Ctx,
  deps: KindDeps,
  thumbprint: string | null,
): Promise<Versioned<Key> | undefined> {
  return thumbprint === null ? undefined : deps.store.keys.byThumbprint(ctx, thumbprint)
}

/** The key remembers that its holder was asked, so that one who is away hears of it with its next token. */
function asked(ctx: Ctx, rotation: Rotation, key: Versioned<Key>): Begun {
  const signals: Signal[] = [
    { subject: key.owner, kind: 'changed' },
    { subject: askOf(rotation.target), kind: 'changed' },
  ]
  return {
    rotation: { ...rotation, dueAt: Math.min(ctx.now + askedSeconds, rotation.limitAt) },
    parts: { puts: [put({ ...key, askedAt: ctx.now }, key.version)], signals },
  }
}

/** Nobody can be asked for a successor by a key that a thief may hold: the instance enrols again. */
function cut(ctx: Ctx, rotation: Rotation, key: Versioned<Key>): Begun {
  const revoked = revokeKey(key, 'emergency', ctx.now)
  if (revoked === undefined) throw new Fault('conflict', 'This key has ended.', { kind: 'no_live_key' })
  const ended = (['promote', 'drain', 'retire'] as const).reduce<Rotation>(
    (at, move) => moveRotation(at, move, ctx.now),
    { ...rotation, emergency: true, proof: 'none' },
  )
  return {
    rotation: { ...ended, problem: 'Its key was cut: give the instance a new enrolment.' },
    parts: {
      puts: [put(revoked, key.version)],
      signals: [
        { subject: `key:${key.thumbprint}`, kind: 'narrowed' },
        { subject: key.owner, kind: 'changed' },
      ],
    },
    entries: [told(ctx, 'key.revoked', key, 'emergency')],
  }
}

function told(ctx: Ctx, type: 'key.retired' | 'key.revoked', key: Key, reason: string): EntryDraft {
  return {
    type,
    outcome: 'allowed',
    reason,
    agent: key.owner,
    instance: key.instance,
    key: key.thumbprint,
    requestId: ctx.requestId,
    facts: { kid: key.kid, thumbprint: key.thumbprint },
  }
}

/** Not answered yet: the instance is offline, or spreads. It stays staged until it answers, its key ends, or somebody cancels. */
function waiting(
  ctx: Ctx,
  { version: _, ...rotation }: Versioned<Rotation>,
  key: Versioned<Key> | undefined,
): Look {
  const isOver = key === undefined || !isKeyLive(key, ctx.now) || key.state !== 'active'
  if (!isOver && rotation.wanted !== 'cancel') {
    return { rotation: { ...rotation, dueAt: ctx.now + askedSeconds } }
  }
  const problem = isOver ? 'The key ended before its instance answered.' : 'Cancelled.'
  const failed = moveRotation({ ...rotation, problem }, 'fail', ctx.now)
  if (isOver) return { rotation: failed }
  return { rotation: failed, parts: { puts: [put({ ...key, askedAt: null }, key.version)] } }
}

// Tokens that were issued to it live on to their own expiry: a rotation must not fail a call.
function end(ctx: Ctx, key: Versioned<Key>): Look['parts'] & object {
  return {
    puts: [put({ ...key, state: 'retired', stateAt: ctx.now }, key.version)],
    signals: [{ subject: key.owner, kind: 'changed' }],
  }
}

function put(value: Key, ifVersion: number): Put {
  return { put: 'key', value, ifVersion }
}
