// Keys of the vault below the root: a new one wraps from now on, and what is left under the old one is rewrapped online.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../../context.ts'
import type { EntryDraft } from '../../domain/audit-entry.ts'
import type { Put, Signal, Versioned } from '../../domain/change.ts'
import type { IssuerKey } from '../../domain/issuer-key.ts'
import { type DrainFacts, moveRotation, newRotation, type Rotation } from '../../domain/rotation.ts'
import { activeVaultKey, moveVaultKey, type VaultKey, vaultKeySubject } from '../../domain/vault/key.ts'
import type { Kind, KindDeps, Look } from '../kind.ts'

/** Until every node has read a new key, by signal or by the poll behind it. */
const stagedSeconds = 5
/** Versions of secrets, and keys of the issuer, rewrapped in one commit: enough to share its cost, few enough to let others through. */
const perLook = 400

export const tenantKey: Kind = {
  kind: 'tenant_key',
  proof: 'no_records',
  unforced:
    'A key of the vault is not ended by force: every secret still under it would be lost. It ends by itself once the last one is wrapped anew.',
  targets: async ctx => ({ items: [ctx.tenant], next: null }),

  async begin(ctx, deps, ask) {
    mustBeOwn(ctx, ask.target)
    const keys = await deps.store.vaultKeys.list(ctx)
    const active = activeVaultKey(keys)
    if (active === undefined) throw new Fault('conflict', 'The vault has no key that could be rotated.')
    const at = { now: ctx.now, activatesAt: ctx.now + (ask.emergency ? 0 : stagedSeconds) }
    const { key: staged, basis } = await deps.keyring.stage(ctx, at)
    const rotation = newRotation(
      {
        id: newId('rot', deps.randomBytes),
        kind: 'tenant_key',
        target: ctx.tenant,
        owner: null,
        reason: ask.reason,
        batch: ask.batch,
        emergency: ask.emergency,
        from: active.id,
        to: staged.id,
        proof: 'no_records',
        limitAt: ctx.now + deps.rules.drainLimitSeconds,
        dueAt: at.activatesAt,
      },
      ctx.now,
    )
    // The successor that a rotation overtaken by this one had staged would stay so for ever.
    const overtaken = keys.filter(({ state }) => state === 'staged').map(key => withdrawn(ctx, key))
    return {
      rotation,
      parts: {
        bases: [basis],
        puts: [...overtaken.flatMap(({ puts }) => puts), { put: 'vaultKey', value: staged, ifVersion: 0 }],
        signals: [
          ...overtaken.flatMap(({ signals }) => signals),
          { subject: vaultKeySubject(staged.id), kind: 'changed' },
        ],
      },
      entries: [...overtaken.flatMap(({ entries }) => entries), told(ctx, 'vault_key.staged', staged)],
    }
  },

  async look(ctx, deps, { version: _, ...rotation }) {
    const keys = await deps.store.vaultKeys.list(ctx)
    const [old, next] = [named(keys, rotation.from), named(keys, rotation.to)]
    if (old === undefined || next === undefined)
      throw new Error(`a key of the rotation ${rotation.id} is gone`)
    if (rotation.state === 'staged') {
      return rotation.wanted === 'cancel'
        ? giveUp(ctx, rotation, next)
        : promote(ctx, rotation, { old, next })
    }
    // What was sealed under the new key on another node opens here only once it has been read.
    if (deps.vault.states(ctx).every(({ id, state }) => id !== next.id || state !== 'active')) {
      await deps.keyring.reload(ctx)
    }
    return (await rewrap(ctx, deps, { rotation, old })) ?? end(ctx, rotation, old)
  },

  async drain(ctx, deps, rotation): Promise<DrainFacts> {
    const versions = await deps.store.secrets.countUnder(ctx, rotation.from ?? '')
    return { proof: 'no_records', remaining: versions + (await ownUnder(ctx, deps, rotation.from)).length }
  },

  reach: async (ctx, deps, rotation) => {
    const held = await deps.store.secrets.countUnder(ctx, rotation.from ?? '')
    return [{ kind: 'secret', name: '*', detail: `${held} versions of secrets are wrapped by it` }]
  },
  holders: async () => [],
}

export function mustBeOwn(ctx: Ctx, target: string): void {
  if (target !== ctx.tenant) throw new Fault('not_found', 'There is no such vault here.', { kind: 'tenant' })
}

const named = (keys: readonly Versioned<VaultKey>[], id: string | null) => keys.find(key => key.id === id)

interface Pair {
  readonly old: Versioned<VaultKey>
  readonly next: Versioned<VaultKey>
}

/** Both in one change: there is no instant with two keys that wrap, or with none. */
function promote(ctx: Ctx, rotation: Rotation, { old, next }: Pair): Look {
  if (next.activatesAt > ctx.now) return { rotation: { ...rotation, dueAt: next.activatesAt } }
  const [superseded, activated] = [
    moveVaultKey(old, 'supersede', ctx.now),
    moveVaultKey(next, 'activate', ctx.now),
  ]
  return {
    rotation: { ...moveRotation(rotation, 'promote', ctx.now), dueAt: ctx.now },
    parts: {
      // The old one first: the database holds at most one active key.
      puts: [put(superseded, old.version), put(activated, next.version)],
      signals: [
        // Whatever is being wrapped under it at this instant fails at its commit, on whatever node.
        { subject: vaultKeySubject(old.id), kind: 'narrowed' },
        { subject: vaultKeySubject(next.id), kind: 'changed' },
      ],
    },
    entries: [told(ctx, 'vault_key.superseded', superseded), told(ctx, 'vault_key.activated', activated)],
  }
}

function giveUp(ctx: Ctx, rotation: Rotation, next: Versioned<VaultKey>): Look {
  const { puts, signals, entries } = withdrawn(ctx, next)
  return {
    rotation: moveRotation({ ...rotation, problem: 'Cancelled.' }, 'fail', ctx.now),
    parts: { puts, signals },
    entries,
  }
}

/** A staged key wraps nothing, and goes at once. */
function withdrawn(ctx: Ctx, { version, ...key }: Versioned<VaultKey>) {
  const gone: VaultKey = { ...key, state: 'retired', sealed: '', stateAt: ctx.now }
  const signal: Signal = { subject: vaultKeySubject(key.id), kind: 'changed' }
  return { puts: [put(gone, version)], signals: [signal], entries: [told(ctx, 'vault_key.retired', gone)] }
}

/** One batch of what is left under the old key; undefined where nothing is. Resumable: what was done is not found again. */
async function rewrap(
  ctx: Ctx,
  deps: KindDeps,
  { rotation, old }: { readonly rotation: Rotation; readonly old: VaultKey },
): Promise<Look | undefined> {
  const puts: Put[] = []
  const bases = [...deps.keys.sealBases(ctx)]
  for (const { version, ...row } of await deps.store.secrets.under(ctx, old.id, perLook)) {
    const wrapped = deps.vault.rewrap(ctx, row)
    if (wrapped === undefined) continue
    const value = { ...row, sealed: wrapped.sealed, vaultKey: wrapped.vaultKey }
    puts.push({ put: 'secretVersion', value, ifVersion: version })
    if (bases.length === 0) bases.push(wrapped.basis)
  }
  for (const { version, ...key } of (await ownUnder(ctx, deps, old.id)).slice(0, perLook)) {
    const value = deps.keys.reseal(ctx, key)
    if (value !== undefined) puts.push({ put: 'issuerKey', value, ifVersion: version })
  }
  if (puts.length === 0) return undefined
  return {
    rotation: { ...rotation, dueAt: ctx.now },
    parts: { puts, bases },
    facts: { rewrapped: puts.length },
  }
}

/** The issuer's own keys that the vault key seals. */
async function ownUnder(
  ctx: Ctx,
  deps: KindDeps,
  id: string | null,
): Promise<readonly Versioned<IssuerKey>[]> {
  const keys = await deps.store.issuerKeys.list(ctx)
  return keys.filter(({ sealed }) => sealed !== '' && deps.keyring.keyOf(ctx, sealed) === id)
}

/**
 * Nothing is left, and whatever is on its way rests on the key being the active one: the key and its sealed form go.
 */
function end(ctx: Ctx, rotation: Rotation, { version, ...old }: Versioned<VaultKey>): Look {
  const retired = moveVaultKey(old, 'retire', ctx.now)
  return {
    rotation: moveRotation(moveRotation(rotation, 'drain', ctx.now), 'retire', ctx.now),
    parts: {
      puts: [put(retired, version)],
      signals: [{ subject: vaultKeySubject(old.id), kind: 'changed' }],
    },
    entries: [told(ctx, 'vault_key.retired', retired)],
  }
}

function put(key: VaultKey | Versioned<VaultKey>, ifVersion: number): Put {
  const { version: _, ...value } = key as Versioned<VaultKey>
  return { put: 'vaultKey', value, ifVersion }
}

export function told(ctx: Ctx, type: string, key: VaultKey): EntryDraft {
  return {
    type,
    outcome: 'allowed',
    requestId: ctx.requestId,
    facts: { vault_key: key.id, root: key.root, state: key.state },
  }
}
