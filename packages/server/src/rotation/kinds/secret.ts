// Secrets of the vault: a rotator makes the next version upstream; the former ends once nobody is left who uses it.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../../context.ts'
import {
  type DrainFacts,
  type DrainUser,
  drainOf,
  moveRotation,
  type Rotation,
} from '../../domain/rotation.ts'
import { type SecretVersion, secretIdentifier } from '../../domain/vault/secret.ts'
import { secretRotation } from '../../domain/vault/succession.ts'
import { secretsNamed } from '../../vault/rotator-use.ts'
import type { Kind, KindDeps, Look, Reach } from '../kind.ts'
import {
  bringIntoUse,
  clear,
  giveUp,
  held,
  propose,
  type Scene,
  sceneOf,
  stepWith,
  versionOf,
  versionsRotator,
  withdraw,
} from '../secret-steps.ts'

/** Secrets that one page of targets looks through. */
const secretsOfPage = 200
/** Callers of a version, the newest first: more of them change no decision. */
const mostUsers = 200
/** How often the sessions of the upstream are looked at while the former drains. */
const sessionsSeconds = 2

export const secret: Kind = {
  kind: 'secret',
  proof: 'last_use',

  async targets(ctx, deps, after) {
    const page = await deps.store.secrets.list(
      ctx,
      { limit: secretsOfPage, ...(after !== null && { after }) },
      {},
    )
    const rotated = page.items.filter(
      one =>
        one.status === 'active' &&
        deps.rotators.some(({ kind, makes }) => kind === one.rotator?.kind && makes === 'versions'),
    )
    return { items: rotated.map(({ id }) => id), next: page.next }
  },

  async begin(ctx, deps, ask) {
    const found = await deps.store.secrets.get(ctx, ask.target)
    if (found === undefined) throw new Fault('not_found', 'There is no such secret.', { kind: 'no_secret' })
    if (found.status === 'retired')
      throw new Fault('conflict', 'This secret is retired: it has no versions.', { kind: 'retired' })
    const using = versionsRotator(deps, found)
    if (using === undefined) {
      const say =
        found.rotator === null
          ? `${found.name} has no rotator: give its next version, POST /secrets/${found.name}/versions.`
          : `The rotator of ${found.name} makes a value for each lease: revoke the leases that should end.`
      throw new Fault('conflict', say, { kind: 'no_rotator' })
    }
    const [from] = await deps.store.secrets.versions(ctx, found.id, { states: ['active'] })
    await mustComeFirst(ctx, deps, found.id, from)
    const limitAt = ctx.now + deps.rules.drainLimitSeconds
    const about = { id: newId('rot', deps.randomBytes), secret: found, from, limitAt, ...ask }
    return { rotation: secretRotation({ ...about, proof: using.rotator.proof }, ctx.now), parts: {} }
  },

  async look(ctx, deps, { version: _, ...rotation }) {
    const scene = await sceneOf(ctx, deps, rotation)
    switch (rotation.state) {
      case 'staged':
        return staged(ctx, deps, scene)
      case 'active':
        return active(ctx, deps, scene)
      default:
        return retiring(ctx, deps, scene)
    }
  },

  async drain(ctx, deps, rotation) {
    const scene = await sceneOf(ctx, deps, rotation)
    try {
      return await factsOf(ctx, deps, scene)
    } catch (error) {
      if (!isFault(error)) throw error
      // For the meter alone: what cannot be seen counts as used.
      const users = await usersOf(ctx, deps, rotation)
      const unseen = { caller: 'sessions unknown: the upstream does not show them', from: null }
      return {
        proof: 'live_sessions',
        users: [...users, { ...unseen, firstUsedAt: null, lastUsedAt: ctx.now, until: null }],
        sessions: 1,
      }
    }
  },

  async reach(ctx, deps, rotation) {
    const { secret: of } = await sceneOf(ctx, deps, rotation)
    const identifier = secretIdentifier(ctx.issuer, of.name)
    const page = await deps.store.grants.list(
      ctx,
      { limit: mostUsers },
      { resource: identifier, liveAt: ctx.now },
    )
    const granted = new Set<string>(page.items.map(({ agent }) => agent))
    const consumers = of.consumers
      .filter(consumer => !consumer.startsWith('agt_') || granted.has(consumer))
      .map(
        (name): Reach => ({
          kind: name.startsWith('agt_') ? 'consumer' : 'secret',
          name,
          detail: name.startsWith('agt_') ? 'may read it' : 'its rotator may use it',
        }),
      )
    const upstream = of.rotator === null ? [] : [upstreamOf(of.rotator)]
    return [...upstream, ...consumers]
  },

  async holders(ctx, deps, rotation) {
    const users = await usersOf(ctx, deps, rotation)
    const holders = await Promise.all(
      users.map(async ({ caller }) =>
        caller.startsWith('ins_')
          ? ((await deps.store.agents.instance(ctx, caller))?.agent ?? caller)
          : caller,
      ),
    )
    return [...new Set(holders)]
  },
}

function upstreamOf({ kind, options }: { readonly kind: string; readonly options: object }): Reach {
  const named = secretsNamed(options)
  return {
    kind: 'upstream',
    name: kind,
    detail: named.length === 0 ? 'what its rotator opens' : `administered by the secret ${named.join(', ')}`,
  }
}

/** Two that make the next version at once would both be its successor, also where there is none yet to replace. */
async function mustComeFirst(
  ctx: Ctx,
  deps: KindDeps,
  target: string,
  from: SecretVersion | undefined,
): Promise<void> {
  const open = await deps.store.rotations.open(ctx, 'secret', target)
  const coming = open.find(one => (one.resumes ?? one.state) === 'staged' && one.from !== (from?.id ?? ''))
  if (coming === undefined) return
  throw new Fault('conflict', `Its next version is being made already: see ${coming.id}.`, {
    kind: 'already_rotating',
    rotation: coming.id,
  })
}

async function staged(ctx: Ctx, deps: KindDeps, scene: Scene): Promise<Look> {
  const { rotation, secret: of, versions } = scene
  if (rotation.wanted === 'cancel') return giveUp(ctx, deps, scene, 'Cancelled.')
  if (of.status === 'retired') return giveUp(ctx, deps, scene, 'The secret was retired.')
  const inUse = versions.find(({ state }) => state === 'active')
  if ((inUse?.id ?? null) !== rotation.from)
    return giveUp(ctx, deps, scene, 'Another version came into use meanwhile.')
  if (rotation.to === null) {
    const left = versions.find(({ state }) => state === 'staged')
    return left === undefined ? propose(ctx, deps, scene) : clear(ctx, deps, scene, left)
  }
  const next = versionOf(scene, rotation.to)
  if (next?.state !== 'staged')
    return giveUp(ctx, deps, scene, 'Its successor ended before it came into use.')
  return bringIntoUse(ctx, deps, scene, next)
}

async function active(ctx: Ctx, deps: KindDeps, scene: Scene): Promise<Look> {
  const { rotation } = scene
  const former = versionOf(scene, rotation.from)
  const drained = moveRotation(rotation, 'drain', ctx.now)
  if (former?.state !== 'retiring') return { rotation: { ...drained, dueAt: ctx.now } }
  if (rotation.wanted !== 'force') {
    const drain = drainOf(rotation, await factsOf(ctx, deps, scene), ctx.now, deps.rules.drainSeconds)
    if (!drain.isDrained) {
      return { rotation: { ...rotation, dueAt: Math.max(drain.clearAt, ctx.now + sessionsSeconds) } }
    }
  }
  return { rotation: { ...drained, dueAt: ctx.now } }
}

async function retiring(ctx: Ctx, deps: KindDeps, scene: Scene): Promise<Look> {
  const former = versionOf(scene, scene.rotation.from)
  if (former?.state !== 'retiring') return { rotation: moveRotation(scene.rotation, 'retire', ctx.now) }
  return withdraw(ctx, deps, scene, former)
}

const usersOf = async (ctx: Ctx, deps: KindDeps, { from }: Rotation): Promise<readonly DrainUser[]> =>
  from === null ? [] : deps.store.uses.of(ctx, from, mostUsers)

/** Throws where the upstream cannot be asked: nothing is drained on doubt. */
async function factsOf(ctx: Ctx, deps: KindDeps, scene: Scene): Promise<DrainFacts> {
  const { rotation, secret: of } = scene
  const former = versionOf(scene, rotation.from)
  if (former === undefined || rotation.proof === 'none') return { proof: 'none' }
  const users = await usersOf(ctx, deps, rotation)
  const using = versionsRotator(deps, of)
  if (using?.rotator.sessions === undefined || former.state !== 'retiring')
    return { proof: 'last_use', users }
  const sessions = await stepWith(ctx, deps, scene, {
    next: held(ctx, deps, former),
    step: async (rotator, context) => (await rotator.sessions?.(context)) ?? [],
  })
  return { proof: 'live_sessions', users: [...users, ...sessions], sessions: sessions.length }
}
