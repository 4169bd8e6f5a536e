// The root under rotation: cut off anywhere, overtaken by a tenant key that it was sealing, and given up (property 41).
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../../context.ts'
import { defaultTenant } from '../../domain/tenant.ts'
import type { SecretVersion } from '../../domain/vault/secret.ts'
import { openStore } from '../../store/sql/open.ts'
import type { Store } from '../../store/store.ts'
import { createKeyring, type Keyring } from '../../vault/keyring.ts'
import { openSealer } from '../../vault/sealers/index.ts'
import type { RootSealer } from '../../vault/sealers/sealer.ts'
import { advanceRotations, decideBeginning, type EngineDeps, entryOf } from '../engine.ts'
import { rootKey } from './root-key.ts'

const start = 1_700_000_000
const entries = [{ type: 't', outcome: 'allowed', requestId: 'r' }] as const

const ctxAt = (now: number): Ctx => ({
  tenant: defaultTenant,
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
  ring(): Promise<Keyring>
  /** An engine with everything of its own but the store. */
  node(commit?: Store['commit']): Promise<EngineDeps>
}

async function site(t: TestContext): Promise<Site> {
  const data = mkdtempSync(join(tmpdir(), 'writ-root-'))
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(async () => {
    await store.close()
    rmSync(data, { recursive: true, force: true })
  })
  await store.tenants.ensure({ id: defaultTenant, issuer: ctx.issuer, createdAt: start })
  const open = (hasSealed: boolean): Promise<RootSealer> =>
    openSealer('file:', { data, hasSealed, randomBytes })
  const root = await open(false)
  const ring = async (): Promise<Keyring> => {
    const own = createKeyring({ store, root: await open(true), randomBytes })
    await own.ensure(ctx)
    return own
  }
  const node: Site['node'] = async (commit = store.commit) => {
    const keyring = await ring()
    const kindDeps: Partial<EngineDeps['kindDeps']> = {
      store,
      vault: keyring,
      keyring,
      root: await open(true),
      randomBytes,
      rules: { drainSeconds: 1, drainLimitSeconds: 100_000, spreadSeconds: 0 },
      signal: new AbortController().signal,
    }
    return {
      kinds: [rootKey],
      commit,
      onError: (_rotation, error) => assert.fail(error as Error),
      kindDeps: kindDeps as EngineDeps['kindDeps'],
    }
  }
  await ring()
  return { store, root, ring, node }
}

async function begin({ store }: Site, deps: EngineDeps): Promise<{ id: string; from: string }> {
  const ask = { target: defaultTenant, reason: 'test', batch: null, emergency: false, alg: null }
  const { rotation, change } = await decideBeginning(ctx, deps, 'root_key', ask)
  const told = [entryOf(ctx, 'rotation.begun', rotation)] as const
  assert.equal((await store.commit(ctx, { ...change, entries: told })).kind, 'done')
  return { id: rotation.id, from: rotation.from ?? '' }
}

function stored(keyring: Keyring): SecretVersion {
  const of = { id: newId('ver', randomBytes), secret: newId('sec', randomBytes) }
  const { sealed, vaultKey } = keyring.protect(ctx, new Secret('kept'), of)
  const life = {
    number: 1,
    state: 'active',
    handle: null,
    rotation: null,
    createdAt: start,
    stateAt: start,
  } as const
  return { ...of, ...life, sealed, vaultKey }
}

test('a rotation of the root that loses every other commit ends with one root, which opens everything', async t => {
  const made = await site(t)
  const version = stored(await made.ring())
  let turn = 0
  const commit: Store['commit'] = async (at, change) => {
    turn += 1
    if (turn % 4 === 1) throw new Fault('temporarily_unavailable', 'lost before it was stored')
    const committed = await made.store.commit(at, change)
    if (turn % 4 === 3) throw new Fault('temporarily_unavailable', 'lost after it was stored')
    return committed
  }
  const { id, from } = await begin(made, await made.node())
  const state = async () => (await made.store.rotations.get(ctx, id))?.state
  for (let now = start + 1; (await state()) !== 'retired'; now += 1) {
    assert.ok(now < start + 100, `it is ${await state()}`)
    await advanceRotations(ctxAt(now), await made.node(commit), undefined).catch(error =>
      assert.ok(isFault(error) && error.code === 'temporarily_unavailable', String(error)),
    )
  }
  const current = await made.root.current()
  assert.notEqual(current, from)
  for (const key of await made.store.vaultKeys.list(ctx)) assert.equal(key.root, current)
  assert.equal((await made.ring()).reveal(ctx, version).reveal(), 'kept')
})

test('a tenant key that the former root was sealing at the promotion is not stored, for nothing would open it', async t => {
  const made = await site(t)
  const node = await made.node()
  const { from } = await begin(made, node)
  const late = await (await made.ring()).stage(ctx, { now: start, activatesAt: start })
  assert.equal(late.key.root, from)
  await advanceRotations(ctxAt(start + 1), node, undefined)
  const put = { put: 'vaultKey', value: late.key, ifVersion: 0 } as const
  assert.equal((await made.store.commit(ctx, { puts: [put], bases: [late.basis], entries })).kind, 'stale')
  await (await made.ring()).reload(ctx)
})

test('one that was stored in time is sealed anew with the others before the former root goes', async t => {
  const made = await site(t)
  const node = await made.node()
  const { id } = await begin(made, node)
  const { key, basis } = await (await made.ring()).stage(ctx, { now: start, activatesAt: start })
  const put = { put: 'vaultKey', value: key, ifVersion: 0 } as const
  assert.equal((await made.store.commit(ctx, { puts: [put], bases: [basis], entries })).kind, 'done')
  await advanceRotations(ctxAt(start + 1), node, undefined)
  assert.equal((await made.store.rotations.get(ctx, id))?.state, 'retired')
  const current = await made.root.current()
  const roots = (await made.store.vaultKeys.list(ctx)).map(({ root }) => root)
  assert.deepEqual(roots, [current, current])
  await (await made.ring()).reload(ctx)
})

test('a second rotation waits for the first, also where that has told the root already and was cut off', async t => {
  const made = await site(t)
  const node = await made.node()
  const refused = (error: unknown): boolean => isFault(error) && error.code === 'conflict'
  const { id, from } = await begin(made, node)
  await assert.rejects(begin(made, await made.node()), refused)
  // As a node would leave it that was killed between the root and the store.
  await made.root.activate(await made.root.stage(id))
  assert.notEqual(await made.root.current(), from)
  await assert.rejects(begin(made, await made.node()), refused)
  await advanceRotations(ctxAt(start + 1), node, undefined)
  assert.equal((await made.store.rotations.get(ctx, id))?.state, 'retired')
})

test('a successor is given up while it waits, and not once it seals, whatever was written down', async t => {
  const made = await site(t)
  const node = await made.node()
  const want = async (id: string): Promise<void> => {
    const rotation = await made.store.rotations.get(ctx, id)
    assert.ok(rotation)
    const { version, ...value } = rotation
    const put = { put: 'rotation', value: { ...value, to, wanted: 'cancel' }, ifVersion: version } as const
    assert.equal((await made.store.commit(ctx, { puts: [put], entries })).kind, 'done')
  }
  const first = await begin(made, node)
  let to = await made.root.stage(first.id)
  await want(first.id)
  await advanceRotations(ctxAt(start + 1), node, undefined)
  assert.equal((await made.store.rotations.get(ctx, first.id))?.state, 'failed')
  assert.equal(await made.root.current(), first.from)

  const second = await begin(made, node)
  to = await made.root.stage(second.id)
  await made.root.activate(to)
  await want(second.id)
  await advanceRotations(ctxAt(start + 2), node, undefined)
  assert.equal((await made.store.rotations.get(ctx, second.id))?.state, 'retired')
  assert.equal(await made.root.current(), to)
})
