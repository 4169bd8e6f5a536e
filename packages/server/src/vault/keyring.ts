// The tenant keys in memory, opened by the root: what makes the vault synchronous, and seals the issuer's own keys too.

import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { newId, type VaultKeyId } from '@writ/sdk/protocol/identifier'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../context.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import type { Basis, Versioned } from '../domain/change.ts'
import { activeVaultKey, rootSubject, type VaultKey, vaultKeySubject } from '../domain/vault/key.ts'
import type { SecretVersion } from '../domain/vault/secret.ts'
import { aesGcmSealer, keyBytes, sealerOf } from '../keys/aes-gcm.ts'
import type { Sealer } from '../keys/sealer.ts'
import type { Store } from '../store/store.ts'
import { encloseValue, mostValueBytes, openValue, parseEnvelope, rewrapValue } from './envelope.ts'
import type { RootSealer } from './sealers/sealer.ts'
import type { Protected, Vault } from './vault.ts'

type Scope = Pick<Ctx, 'tenant'>

export interface Keyring extends Vault {
  /** Seals and opens the issuer's own keys, under the tenant key that is active. */
  sealerOf(scope: Scope): Sealer
  /** Makes the first tenant key where there is none, and reads all. Nodes that start together end with one. */
  ensure(ctx: Ctx): Promise<void>
  /** Takes over what the store holds now. When it throws, what was read before keeps being used. */
  reload(scope: Scope): Promise<void>
  /** A new tenant key, sealed by the root, to be committed on its basis by whoever asks. */
  stage(scope: Scope, at: { readonly now: number; readonly activatesAt: number }): Promise<Staged>
  /** The same tenant key under the root's current version; undefined where it is already. Throws where it does not open. */
  reseal(scope: Scope, key: VaultKey): Promise<VaultKey | undefined>
  /** The tenant key that sealed this text of the issuer's keys; undefined where none did that is known. */
  keyOf(scope: Scope, sealed: string): VaultKeyId | undefined
}

export interface Staged {
  readonly key: VaultKey
  /** Rests on the version of the root that sealed it: one that is about to go must not be the only one to open it. */
  readonly basis: Basis
}

export interface KeyringOptions {
  readonly store: Pick<Store, 'vaultKeys' | 'signals' | 'commit'>
  readonly root: RootSealer
  readonly randomBytes: (length: number) => Uint8Array
  /** How long after the last reading of the store this node may still write under a tenant key. */
  readonly freshSeconds?: number
  /** Seconds by a clock that is never set. */
  readonly steadySeconds?: () => number
}

const usualFreshSeconds = 6

interface Opened {
  readonly row: Omit<VaultKey, 'sealed'>
  /** As it was opened: read again only when it changes. */
  readonly sealed: string
  readonly sealer: Sealer
}

interface Holding {
  readonly epoch: number
  readonly readAt: number
  readonly rows: readonly Omit<VaultKey, 'sealed'>[]
  /** By the id of the sealer, which stands in every text that it made. */
  readonly bySealer: ReadonlyMap<string, Opened>
  readonly active: Opened | undefined
}

export function createKeyring(options: KeyringOptions): Keyring {
  const { store, root, randomBytes, freshSeconds = usualFreshSeconds } = options
  const steadySeconds = options.steadySeconds ?? (() => performance.now() / 1000)
  const holdings = new Map<Scope['tenant'], Holding>()
  const running = new Map<Scope['tenant'], Promise<void>>()
  let because: string | undefined = 'The vault has not been opened yet.'

  const holdingOf = ({ tenant }: Scope): Holding => {
    const holding = holdings.get(tenant)
    if (holding === undefined) throw away('vault_sealed', because)
    return holding
  }
  /** The key to write under: not by a node that may have missed its end. */
  const writingWith = (scope: Scope): { readonly holding: Holding; readonly active: Opened } => {
    const holding = holdingOf(scope)
    if (steadySeconds() - holding.readAt > freshSeconds) throw away('vault_keys_outdated')
    if (holding.active === undefined) throw away('no_active_vault_key')
    return { holding, active: holding.active }
  }
  const read = async ({ tenant }: Scope): Promise<void> => {
    const readAt = steadySeconds()
    // The head first: what the list shows is then at least as new as the epoch that is claimed for it.
    const epoch = await store.signals.head({ tenant })
    const rows = await store.vaultKeys.list({ tenant })
    try {
      holdings.set(tenant, await hold({ tenant, epoch, readAt, rows }, root, holdings.get(tenant)))
      because = undefined
    } catch (error) {
      if (isFault(error) && holdings.get(tenant) === undefined) because = error.message
      throw error
    }
  }
  const reload = (scope: Scope): Promise<void> => {
    // In turn: an older reading must not replace a newer one.
    const next = (running.get(scope.tenant) ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => read(scope))
    running.set(scope.tenant, next)
    return next
  }
  const stage: Keyring['stage'] = async ({ tenant }, { now, activatesAt }) => {
    const id = newId('vky', randomBytes)
    const secret = new Secret<Uint8Array>(new Uint8Array(randomBytes(keyBytes)))
    // Before it is sealed: a version of the root that is superseded after this reading makes the commit stale.
    const epoch = await store.signals.head({ tenant })
    const { text, root: version } = await root.seal(secret, identityOf(tenant, id))
    const life = { createdAt: now, activatesAt, stateAt: now }
    return {
      key: { id, state: 'staged', sealed: text, root: version, ...life },
      basis: { epoch, subjects: [rootSubject(version)] },
    }
  }

  return {
    protect(scope, value, of) {
      if (Buffer.byteLength(value.reveal()) > mostValueBytes) {
        throw new Fault('invalid_value', `A secret has at most ${mostValueBytes} bytes.`, {
          kind: 'secret_size',
        })
      }
      const { holding, active } = writingWith(scope)
      const sealed = encloseValue(active.sealer, value, { ...of, tenant: scope.tenant })
      return protectedBy(active, holding, sealed)
    },
    reveal(scope, version) {
      const holding = holdingOf(scope)
      const envelope = parseEnvelope(version.sealed)
      const found = envelope && openedFor(holding, envelope.wrapped)
      const value =
        found && envelope && openValue(found.sealer, envelope, { ...version, tenant: scope.tenant })
      if (value === undefined) throw unopened(version, holding)
      return value
    },
    rewrap(scope, version) {
      const { holding, active } = writingWith(scope)
      const envelope = parseEnvelope(version.sealed)
      const from = envelope && openedFor(holding, envelope.wrapped)
      if (from === active) return undefined
      const sealed =
        from &&
        envelope &&
        rewrapValue(from.sealer, active.sealer, envelope, { ...version, tenant: scope.tenant })
      if (sealed === undefined) throw unopened(version, holding)
      return protectedBy(active, holding, sealed)
    },
    states: scope => holdingOf(scope).rows,
    sealedBecause: () => (holdings.size === 0 ? because : undefined),
    sealerOf: scope => ({
      get id() {
        return holdingOf(scope).active?.sealer.id ?? ''
      },
      seal: (plain, identity) => writingWith(scope).active.sealer.seal(plain, identity),
      open: (text, identity) => openedFor(holdingOf(scope), text)?.sealer.open(text, identity),
      basis() {
        const { holding, active } = writingWith(scope)
        return basisOf(active, holding)
      },
    }),
    keyOf: (scope, sealed) => openedFor(holdingOf(scope), sealed)?.row.id as VaultKeyId | undefined,
    async ensure(ctx) {
      const stored = await store.vaultKeys.list(ctx)
      if (stored.length === 0) {
        const { key, basis } = await stage(ctx, { now: ctx.now, activatesAt: ctx.now })
        const first: VaultKey = { ...key, state: 'active' }
        // The database holds one active key of a tenant: of nodes that start together, one has made it.
        const committed = await store.commit(ctx, {
          bases: [basis],
          puts: [{ put: 'vaultKey', value: first, ifVersion: 0 }],
          signals: [{ subject: vaultKeySubject(first.id), kind: 'changed' }],
          entries: [entryOf(ctx, 'vault_key.activated', first)],
        })
        if (committed.kind !== 'done' && committed.kind !== 'conflict')
          throw away(`vault_key_${committed.kind}`)
      }
      await reload(ctx)
    },
    reload,
    stage,
    async reseal({ tenant }, key) {
      if (key.root === (await root.current())) return undefined
      const opened = await root.open(key.sealed, identityOf(tenant, key.id))
      if (opened === undefined) throw strangeRoot(key, root)
      const { text, root: version } = await root.seal(opened, identityOf(tenant, key.id))
      return { ...key, sealed: text, root: version }
    },
  }
}

function protectedBy(by: Opened, holding: Holding, sealed: string): Protected {
  return { vaultKey: by.row.id, sealed, basis: basisOf(by, holding) }
}

function basisOf({ row }: Opened, { epoch }: Holding): Basis {
  return { epoch, subjects: [vaultKeySubject(row.id)] }
}

/** The tenant key that made the text, by the name that stands in it. */
function openedFor({ bySealer }: Holding, text: string): Opened | undefined {
  return bySealer.get(sealerOf(text) ?? '')
}

interface Reading extends Scope, Pick<Holding, 'epoch' | 'readAt'> {
  readonly rows: readonly Versioned<VaultKey>[]
}

/** Opens what is new among the rows. Throws where the root cannot open one: it is another one, or the row was altered. */
async function hold(reading: Reading, root: RootSealer, before: Holding | undefined): Promise<Holding> {
  const { tenant, epoch, readAt, rows } = reading
  const known = new Map([...(before?.bySealer.values() ?? [])].map(one => [one.row.id, one]))
  const opened: Opened[] = []
  for (const { version: _, sealed, ...row } of rows) {
    if (row.state === 'retired') continue
    const same = known.get(row.id)
    if (same !== undefined && same.sealed === sealed) {
      opened.push({ ...same, row })
      continue
    }
    const key = await root.open(sealed, identityOf(tenant, row.id))
    if (key === undefined || key.reveal().length !== keyBytes) throw strangeRoot(row, root)
    opened.push({ row, sealed, sealer: same?.sealer ?? aesGcmSealer(key) })
  }
  const active = activeVaultKey(rows)
  return {
    epoch,
    readAt,
    rows: rows.map(({ version: _, sealed: __, ...row }) => row),
    bySealer: new Map(opened.map(one => [one.sealer.id, one])),
    active: opened.find(({ row }) => row.id === active?.id),
  }
}

/** The record a sealed tenant key belongs to. */
function identityOf(tenant: string, id: string): string {
  return JSON.stringify(['vault-key', tenant, id])
}

function entryOf(ctx: Ctx, type: string, key: VaultKey): EntryDraft {
  return {
    type,
    outcome: 'allowed',
    reason: 'first_key',
    requestId: ctx.requestId,
    facts: { vault_key: key.id, root: key.root },
  }
}

function away(kind: string, say = 'The vault cannot be used now; try again.'): Fault {
  return new Fault('temporarily_unavailable', say, { kind })
}

function strangeRoot({ id, root: by }: Omit<VaultKey, 'sealed'>, root: RootSealer): Fault {
  return new Fault(
    'server_error',
    `The vault key ${id} does not open with ${root.place}: it was sealed by another key (${by}). Start with the root that sealed it, or restore the database if it was altered.`,
    { kind: 'vault_key_unopened', key: id, root: by },
  )
}

function unopened(version: SecretVersion, { rows }: Holding): Fault {
  // Most likely a key that was made since this node last read them; the next reading is under way.
  if (version.sealed !== '' && rows.every(({ id }) => id !== version.vaultKey)) {
    return away(
      'vault_key_unread',
      `The vault key ${version.vaultKey} is not among those that this node has read: try again; if that stays so, the database was altered.`,
    )
  }
  return new Fault(
    'server_error',
    `The stored text of the version ${version.id} is not what was sealed for it: the database was altered; restore it.`,
    { kind: 'secret_unopened', version: version.id, secret: version.secret },
  )
}
