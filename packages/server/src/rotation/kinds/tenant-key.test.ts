// Rewrapping, cut off wherever it can be: every value still opens, and nothing is left under the old key (property 41).
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
import { advanceRotations, decideBeginning, type EngineDeps, entryOf } from '../engine.ts'
import { tenantKey } from './tenant-key.ts'

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

interface Site {
  readonly store: Store
  readonly keyring: Keyring
  node(commit?: Store['commit']): Promise<EngineDeps>
}

async function site(t: TestContext): Promise<Site> {
  const data = mkdtempSync(join(tmpdir(), 'writ-rewrap-'))
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(async () => {
    await store.close()
    rmSync(data, { recursive: true, force: true })
  })
  await store.tenants.ensure({ id: defaultTenant, issuer: 'https://issuer.example', createdAt: start })
  const root = await openSealer('file:', { data, hasSealed: false, randomBytes })
  const ring = (): Keyring => createKeyring({ store, root, randomBytes })
  const keyring = ring()
  await keyring.ensure(ctxAt(start))
  return {
    store,
    keyring,
    async node(commit = store.commit) {
      const own = ring()
      await own.reload(ctxAt(start))
      const kindDeps: Partial<EngineDeps['kindDeps']> = {
        store,
        vault: own,
        keyring: own,
        keys: { sealBases: () => [] } as Partial<
          EngineDeps['kindDeps']['keys']
        > as EngineDeps['kindDeps']['keys'],
        root,
        randomBytes,
        rules: { drainSeconds: 1, drainLimitSeconds: 100_000, spreadSeconds: 0 },
        signal: new AbortController().signal,
      }
      return {
        kinds: [tenantKey],
        commit,
        onError: (_rotation, error) => assert.fail(error as Error),
        kindDeps: kindDeps as EngineDeps['kindDeps'],
      }
    },
  }
}

async function fill({ store, keyring }: Site, count: number): Promise<ReadonlyMap<string, string>> {
  const values = new Map<string, string>()
  for (let at = 0; at < count; at += 100) {
    const puts = []
    const bases = []
    for (let next = at; next < Math.min(count, at + 100); next += 1) {
      const id = newId('ver', randomBytes)
      const secret = newId('sec', randomBytes)
      const { sealed, vaultKey, basis } = keyring.protect(ctxAt(start), new Secret(`value ${next}`), {
        id,
        secret,
      })
      const life = {
        state: 'active',
        handle: null,
        rotation: null,
        createdAt: start,
        stateAt: start,
      } as const
      const value: SecretVersion = { id, secret, number: 1, vaultKey, sealed, ...life }
      puts.push({ put: 'secretVersion', value, ifVersion: 0 } as const)
      bases.push(basis)
      values.set(id, `value ${next}`)
    }
    const committed = await store.commit(ctxAt(start), { puts, bases: bases.slice(0, 1), entries })
    assert.equal(committed.kind, 'done')
  }
  return values
}

async function begin(
  { store }: Site,
  deps: EngineDeps,
  emergency = false,
): Promise<{ id: string; from: string }> {
  const ask = { target: defaultTenant, reason: 'test', batch: null, emergency, alg: null }
  const { rotation, change } = await decideBeginning(ctxAt(start), deps, 'tenant_key', ask)
  const told = [entryOf(ctxAt(start), 'rotation.begun', rotation)] as const
  assert.equal((await store.commit(ctxAt(start), { ...change, entries: told })).kind, 'done')
  return { id: rotation.id, from: rotation.from ?? '' }
}

test('a rewrap that is cut off at each of its commits ends with every value, and none under the old key', async t => {
  const made = await site(t)
  const values = await fill(made, 1500)
  let turn = 0
  // Every other commit is lost: half of those before they were stored, half after it, with the answer lost.
  const commit: Store['commit'] = async (ctx, change) => {
    turn += 1
    if (turn % 4 === 1) throw new Fault('temporarily_unavailable', 'lost before it was stored')
    const committed = await made.store.commit(ctx, change)
    if (turn % 4 === 3) throw new Fault('temporarily_unavailable', 'lost after it was stored')
    return committed
  }
  const { id, from } = await begin(made, await made.node())
  const state = async () => (await made.store.rotations.get(ctxAt(start), id))?.state
  for (let now = start + 5; (await state()) !== 'retired'; now += 1) {
    assert.ok(now < start + 200, `it is ${await state()}`)
    // A new node each time: what one knew in memory is gone.
    await advanceRotations(ctxAt(now), await made.node(commit), undefined).catch(error =>
      assert.ok(isFault(error) && error.code === 'temporarily_unavailable', String(error)),
    )
  }
  assert.equal(await made.store.secrets.countUnder(ctxAt(start), from), 0)
  const keys = await made.store.vaultKeys.list(ctxAt(start))
  const old = keys.find(key => key.id === from)
  assert.deepEqual([old?.state, old?.sealed], ['retired', ''])
  await made.keyring.reload(ctxAt(start))
  for (const [version, value] of values) {
    const found = await made.store.secrets.version(ctxAt(start), version)
    assert.ok(found)
    assert.equal(made.keyring.reveal(ctxAt(start), found).reveal(), value)
  }
})

test('two nodes that rewrap at once undo nothing of each other', async t => {
  const made = await site(t)
  await fill(made, 900)
  const [a, b] = [await made.node(), await made.node()]
  const { id, from } = await begin(made, a)
  await Promise.all([a, b].map(node => advanceRotations(ctxAt(start + 5), node, undefined)))
  await Promise.all([a, b].map(node => advanceRotations(ctxAt(start + 6), node, undefined)))
  assert.equal(await made.store.secrets.countUnder(ctxAt(start), from), 0)
  assert.equal((await made.store.rotations.get(ctxAt(start), id))?.state, 'retired')
})

test('an emergency ends the rotation that it overtakes, and the key that was staged for it', async t => {
  const made = await site(t)
  const deps = await made.node()
  const first = await begin(made, deps)
  const second = await begin(made, deps, true)
  const rotation = (id: string) => made.store.rotations.get(ctxAt(start), id)
  assert.equal((await rotation(first.id))?.state, 'failed')
  for (let now = start; (await rotation(second.id))?.state !== 'retired'; now += 1) {
    assert.ok(now < start + 60, `it is ${(await rotation(second.id))?.state}`)
    await advanceRotations(ctxAt(now), await made.node(), undefined)
  }
  const keys = await made.store.vaultKeys.list(ctxAt(start))
  assert.deepEqual(keys.map(({ state, sealed }) => [state, sealed !== '']).sort(), [
    ['active', true],
    ['retired', false],
    ['retired', false],
  ])
})
