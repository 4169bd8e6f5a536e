// The root of the vault: its next version seals the tenant keys anew, and the former one is forgotten.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../../context.ts'
import type { Put, Signal, Versioned } from '../../domain/change.ts'
import { type DrainFacts, moveRotation, newRotation, type Rotation } from '../../domain/rotation.ts'
import { rootSubject, type VaultKey, vaultKeySubject } from '../../domain/vault/key.ts'
import type { Kind, KindDeps, Look } from '../kind.ts'
import { mustBeOwn, told } from './tenant-key.ts'

export const rootKey: Kind = {
  kind: 'root_key',
  proof: 'no_records',
  unforced:
    'A root is not ended by force: every secret of a tenant key still under it would be lost. It ends by itself once the last one is sealed anew.',
  targets: async ctx => ({ items: [ctx.tenant], next: null }),

  async begin(ctx, deps, ask) {
    mustBeOwn(ctx, ask.target)
    const [standing] = await deps.store.rotations.open(ctx, 'root_key', ctx.tenant)
    const from = await deps.root.current()
    // Two that both tell the root what seals would turn it to and fro.
    if (standing !== undefined && standing.from !== from) {
      throw new Fault('conflict', `The root is being rotated already: see ${standing.id}.`, {
        kind: 'already_rotating',
        rotation: standing.id,
      })
    }
    const rotation = newRotation(
      {
        id: newId('rot', deps.randomBytes),
        kind: 'root_key',
        target: ctx.tenant,
        owner: null,
        reason: ask.reason,
        batch: ask.batch,
        emergency: ask.emergency,
        from,
        proof: 'no_records',
        limitAt: ctx.now + deps.rules.drainLimitSeconds,
      },
      ctx.now,
    )
    return { rotation, parts: {} }
  },

  async look(ctx, deps, { version: _, ...rotation }) {
    if (rotation.state === 'staged') return stage(ctx, deps, rotation)
    const to = rotation.to ?? ''
    // Repeated by whichever node goes on: a root may have to be told on each.
    await deps.root.activate(to)
    const resealed = await reseal(ctx, deps, rotation)
    if (resealed !== undefined) return resealed
    if (rotation.state === 'active') {
      const retiring = { ...moveRotation(rotation, 'drain', ctx.now), dueAt: ctx.now }
      return { rotation: retiring, parts: { signals: former(rotation) } }
    }
    await deps.root.retire(rotation.from ?? '')
    return { rotation: moveRotation(rotation, 'retire', ctx.now) }
  },

  async drain(ctx, deps, rotation): Promise<DrainFacts> {
    return { proof: 'no_records', remaining: (await left(ctx, deps, rotation)).length }
  },

  reach: async (ctx, deps) => {
    const keys = await deps.store.vaultKeys.list(ctx)
    return keys.map(({ id, state }) => ({ kind: 'secret', name: id, detail: `a tenant key, ${state}` }))
  },
  holders: async () => [],
}

/** A successor that waits at the root is known by the rotation, so that staging again makes no second one. */
async function stage(ctx: Ctx, deps: KindDeps, rotation: Rotation): Promise<Look> {
  // Once it seals, though a crash kept that from being written down, there is no way back.
  const seals = rotation.to !== null && rotation.to === (await deps.root.current())
  if (rotation.wanted === 'cancel' && !seals) {
    if (rotation.to !== null) await deps.root.retire(rotation.to)
    return { rotation: moveRotation({ ...rotation, problem: 'Cancelled.' }, 'fail', ctx.now) }
  }
  const to = rotation.to ?? (await deps.root.stage(rotation.id))
  // First that it is known, then that it is used: a crash between the two loses no version.
  if (rotation.to === null) return { rotation: { ...rotation, to, dueAt: ctx.now } }
  await deps.root.activate(to)
  const promoted = { ...moveRotation(rotation, 'promote', ctx.now), dueAt: ctx.now }
  return { rotation: promoted, parts: { signals: former(rotation) } }
}

/** What the former version is sealing at this instant fails at its commit: nobody would find it to seal it anew. */
function former({ from }: Rotation): readonly Signal[] {
  return [{ subject: rootSubject(from ?? ''), kind: 'narrowed' }]
}

/** Tenant keys that another version of the root sealed: a root may end older ones together with the former one. */
async function left(ctx: Ctx, deps: KindDeps, { to }: Rotation): Promise<readonly Versioned<VaultKey>[]> {
  const keys = await deps.store.vaultKeys.list(ctx)
  return keys.filter(key => key.state !== 'retired' && key.root !== to)
}

async function reseal(ctx: Ctx, deps: KindDeps, rotation: Rotation): Promise<Look | undefined> {
  const puts: Put[] = []
  const entries = []
  for (const { version, ...key } of await left(ctx, deps, rotation)) {
    const value = await deps.keyring.reseal(ctx, key)
    if (value === undefined) continue
    puts.push({ put: 'vaultKey', value, ifVersion: version })
    entries.push(told(ctx, 'vault_key.resealed', value))
  }
  if (puts.length === 0) return undefined
  const signals = puts.map(({ value }) => ({
    subject: vaultKeySubject((value as VaultKey).id),
    kind: 'changed' as const,
  }))
  return { rotation: { ...rotation, dueAt: ctx.now }, parts: { puts, signals }, entries }
}
