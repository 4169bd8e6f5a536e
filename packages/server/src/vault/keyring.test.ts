// The vault as whoever can write to its database attacks it: swapped, flipped, moved, planted, and keys that were superseded.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import { Secret } from '@writ/sdk/protocol/secret'
import fc from 'fast-check'
import type { Ctx } from '../context.ts'
import { defaultTenant, type TenantId } from '../domain/tenant.ts'
import { moveVaultKey, type VaultKey, vaultKeySubject } from '../domain/vault/key.ts'
import type { SecretVersion } from '../domain/vault/secret.ts'
import { openStore } from '../store/sql/open.ts'
import type { Store } from '../store/store.ts'
import { createKeyring, type Keyring } from './keyring.ts'
import { openSealer } from './sealers/index.ts'
import type { RootSealer } from './sealers/sealer.ts'

const start = 1_700_000_000
const other = 'other' as TenantId

const ctxAt = (now: number, tenant = defaultTenant): Ctx => ({
  tenant,
  issuer: 'https://issuer.example',
  now,
  nowMs: now * 1000,
  requestId: `request-${now}`,
  traceId: undefined,
  peer: undefined,
  note: () => undefined,
})

const ctx = ctxAt(start)

interface Site {
  readonly store: Store
  readonly root: RootSealer
  readonly keyring: Keyring
  readonly data: string
  /** Another node on the same store and root. */
  another(): Keyring
}

async function site(t: TestContext): Promise<Site> {
  const data = mkdtempSync(join(tmpdir(), 'writ-vault-'))
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(async () => {
    await store.close()
    rmSync(data, { recursive: true, force: true })
  })
  for (const id of [defaultTenant, other]) {
    await store.tenants.ensure({ id, issuer: `https://${id}.example`, createdAt: start })
  }
  const root = await openSealer('file:', { data, hasSealed: false, randomBytes })
  const another = (): Keyring => createKeyring({ store, root, randomBytes })
  const keyring = another()
  await keyring.ensure(ctx)
  await keyring.ensure(ctxAt(start, other))
  return { store, root, keyring, data, another }
}

const versionOf = (sealed: string, more: Partial<SecretVersion> = {}): SecretVersion => ({
  id: newId('ver', randomBytes),
  secret: newId('sec', randomBytes),
  number: 1,
  state: 'active',
  vaultKey: null,
  sealed,
  handle: null,
  rotation: null,
  createdAt: start,
  stateAt: start,
  ...more,
})

/** A version that holds the value, as it would be stored. */
function stored(keyring: Keyring, value: string, scope = ctx): SecretVersion {
  const version = versionOf('')
  const { sealed, vaultKey } = keyring.protect(scope, new Secret(value), version)
  return { ...version, sealed, vaultKey }
}

const kindOf = (act: () => unknown): string => {
  try {
    act()
  } catch (error) {
    if (isFault(error)) return String(error.why?.kind)
    throw error
  }
  return 'opened'
}

test('a value opens for its own version alone, whatever texts are swapped, cut, flipped or mixed', async t => {
  const { keyring } = await site(t)
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 200 }), value => {
      const one = stored(keyring, value)
      assert.equal(keyring.reveal(ctx, one).reveal(), value)
      const two = stored(keyring, `${value}!`)
      const [wrapped = '', enclosed = ''] = one.sealed.split('~')
      const [wrappedToo = '', enclosedToo = ''] = two.sealed.split('~')
      for (const sealed of [
        two.sealed,
        `${wrapped}~${enclosedToo}`,
        `${wrappedToo}~${enclosed}`,
        `${enclosed}~${wrapped}`,
        wrapped,
        '',
        `${one.sealed}~`,
      ]) {
        assert.equal(
          kindOf(() => keyring.reveal(ctx, { ...one, sealed })),
          'secret_unopened',
        )
      }
      // Moved to another version, another secret, another tenant.
      assert.equal(
        kindOf(() => keyring.reveal(ctx, { ...one, id: two.id })),
        'secret_unopened',
      )
      assert.equal(
        kindOf(() => keyring.reveal(ctx, { ...one, secret: two.secret })),
        'secret_unopened',
      )
      assert.equal(
        kindOf(() => keyring.reveal(ctxAt(start, other), one)),
        'vault_key_unread',
      )
    }),
    { numRuns: 30 },
  )
  const one = stored(keyring, 'a value that is flipped')
  for (let at = 0; at < one.sealed.length; at += 1) {
    const letter = one.sealed[at] === 'A' ? 'B' : 'A'
    const sealed = one.sealed.slice(0, at) + letter + one.sealed.slice(at + 1)
    assert.notEqual(
      kindOf(() => keyring.reveal(ctx, { ...one, sealed })),
      'opened',
      `changed at ${at}`,
    )
  }
})

test('nothing in a stored text or an error shows the value, and equal values look different', async t => {
  const { keyring } = await site(t)
  const canary = 'canary-0123456789'
  const [one, two] = [stored(keyring, canary), stored(keyring, canary)]
  assert.ok(!one.sealed.includes(canary) && !one.sealed.includes(Buffer.from(canary).toString('base64url')))
  assert.notEqual(one.sealed.split('~')[1], two.sealed.split('~')[1])
  try {
    keyring.reveal(ctx, { ...one, id: two.id })
    assert.fail('it opened')
  } catch (error) {
    assert.ok(!JSON.stringify(error).includes(canary) && !String(error).includes(one.sealed))
  }
  assert.equal(
    kindOf(() => keyring.protect(ctx, new Secret('x'.repeat(8193)), one)),
    'secret_size',
  )
})

test('a tenant key that was planted, altered or moved is believed by no node', async t => {
  const { store, root, keyring, another } = await site(t)
  const [row] = await store.vaultKeys.list(ctx)
  const [foreign] = await store.vaultKeys.list({ tenant: other })
  assert.ok(row && foreign)
  const { version, ...key } = row
  const planted: Partial<VaultKey>[] = [
    { sealed: foreign.sealed },
    { sealed: (await root.seal(new Secret<Uint8Array>(randomBytes(32)), 'another record')).text },
    { sealed: `${key.sealed.slice(0, -2)}AA` },
    { sealed: '' },
  ]
  let at = version
  for (const change of planted) {
    const altered = { put: 'vaultKey', value: { ...key, ...change }, ifVersion: at } as const
    await store.commit(ctx, { puts: [altered], entries: [{ type: 't', outcome: 'allowed', requestId: 'r' }] })
    at += 1
    await assert.rejects(another().reload(ctx), error => isFault(error) && error.code === 'server_error')
    // Whoever runs keeps what was read before.
    await assert.rejects(keyring.reload(ctx))
    assert.equal(keyring.reveal(ctx, stored(keyring, 'still')).reveal(), 'still')
  }
})

test('what is sealed under a key that was superseded meanwhile is never committed', async t => {
  const { store, keyring, another } = await site(t)
  const node = another()
  await node.reload(ctx)
  const late = versionOf('')
  const held = node.protect(ctx, new Secret('late'), late)
  const [row] = await store.vaultKeys.list(ctx)
  assert.ok(row)
  const { key: staged } = await keyring.stage(ctx, { now: start, activatesAt: start })
  const { version, ...old } = row
  const entries = [{ type: 't', outcome: 'allowed', requestId: 'r' }] as const
  const made = await store.commit(ctx, { puts: [{ put: 'vaultKey', value: staged, ifVersion: 0 }], entries })
  assert.equal(made.kind, 'done')
  const moved = await store.commit(ctx, {
    puts: [
      { put: 'vaultKey', value: moveVaultKey(old, 'supersede', start), ifVersion: version },
      { put: 'vaultKey', value: moveVaultKey(staged, 'activate', start), ifVersion: 1 },
    ],
    signals: [{ subject: vaultKeySubject(old.id), kind: 'narrowed' }],
    entries,
  })
  assert.equal(moved.kind, 'done')
  const value = { ...late, sealed: held.sealed, vaultKey: held.vaultKey }
  const put = { put: 'secretVersion', value, ifVersion: 0 } as const
  assert.equal((await store.commit(ctx, { puts: [put], bases: [held.basis], entries })).kind, 'stale')
  await node.reload(ctx)
  const again = node.protect(ctx, new Secret('late'), late)
  assert.equal(again.vaultKey, staged.id)
  const [wrapped] = [node.rewrap(ctx, { ...late, sealed: held.sealed, vaultKey: held.vaultKey })]
  assert.equal(wrapped?.vaultKey, staged.id)
  assert.equal(node.reveal(ctx, { ...late, sealed: wrapped?.sealed ?? '' }).reveal(), 'late')
  assert.equal(node.rewrap(ctx, { ...late, sealed: wrapped?.sealed ?? '' }), undefined)
  // A wrap whose value was cut off is no secret that was rewrapped already.
  const cut = { ...late, sealed: (wrapped?.sealed ?? '').split('~')[0] ?? '', vaultKey: staged.id }
  assert.equal(
    kindOf(() => node.rewrap(ctx, cut)),
    'secret_unopened',
  )
})

test('a node that has not heard of its store for too long writes nothing, and still opens what it holds', async t => {
  const { store, root } = await site(t)
  let steady = 0
  const keyring = createKeyring({ store, root, randomBytes, freshSeconds: 5, steadySeconds: () => steady })
  await keyring.ensure(ctx)
  const one = stored(keyring, 'kept')
  steady = 6
  assert.equal(
    kindOf(() => stored(keyring, 'new')),
    'vault_keys_outdated',
  )
  assert.equal(keyring.reveal(ctx, one).reveal(), 'kept')
  await keyring.reload(ctx)
  stored(keyring, 'new')
})

test('nodes that start together on an empty store end with one tenant key', async t => {
  const data = mkdtempSync(join(tmpdir(), 'writ-vault-'))
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(async () => {
    await store.close()
    rmSync(data, { recursive: true, force: true })
  })
  await store.tenants.ensure({ id: defaultTenant, issuer: 'https://issuer.example', createdAt: start })
  const root = await openSealer('file:', { data, hasSealed: false, randomBytes })
  const rings = Array.from({ length: 20 }, () => createKeyring({ store, root, randomBytes }))
  await Promise.all(rings.map(ring => ring.ensure(ctx)))
  assert.equal((await store.vaultKeys.list(ctx)).length, 1)
  const one = stored(rings[0] as Keyring, 'shared')
  for (const ring of rings) assert.equal(ring.reveal(ctx, one).reveal(), 'shared')
})

test('an older key file opens nothing that a newer root sealed, and says which file it is', async t => {
  const { store, root, keyring, data } = await site(t)
  const file = join(data, 'seal.key')
  const before = readFileSync(file)
  const next = await root.stage('rot_1')
  await root.activate(next)
  const [row] = await store.vaultKeys.list(ctx)
  assert.ok(row)
  const { version, ...key } = row
  const resealed = await keyring.reseal(ctx, key)
  assert.equal(resealed?.root, next)
  const put = { put: 'vaultKey', value: resealed as VaultKey, ifVersion: version } as const
  await store.commit(ctx, { puts: [put], entries: [{ type: 't', outcome: 'allowed', requestId: 'r' }] })
  writeFileSync(file, before, { mode: 0o600 })
  const old = await openSealer('file:', { data, hasSealed: true, randomBytes })
  const node = createKeyring({ store, root: old, randomBytes })
  await assert.rejects(node.reload(ctx), error => isFault(error) && error.message.includes(file))
})
