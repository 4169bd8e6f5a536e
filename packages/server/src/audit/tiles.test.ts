// What the log serves by path: the published tree and nothing beyond it, in the one spelling that each place has.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { leafHash } from '@writ/sdk/protocol/proof'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../context.ts'
import { defaultTenant } from '../domain/tenant.ts'
import { aesGcmSealer, keyBytes } from '../keys/aes-gcm.ts'
import { openKeys } from '../keys/providers/local.ts'
import { ensureKeys } from '../keys/rotation.ts'
import { openStore } from '../store/sql/open.ts'
import { createCheckpoints } from './checkpoint.ts'
import { readBundle, readHashTile, type TileDeps } from './tiles.ts'

const issuer = 'https://writ.example'
const nowMs = 1_800_000_000_000
const ctx: Ctx = {
  tenant: defaultTenant,
  issuer,
  now: nowMs / 1000,
  nowMs,
  requestId: 'test',
  traceId: undefined,
  peer: undefined,
  note: () => {},
}

async function logIn(t: TestContext) {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(() => store.close())
  await store.tenants.ensure({ id: defaultTenant, issuer, createdAt: ctx.now })
  const sealer = aesGcmSealer(new Secret<Uint8Array>(randomBytes(keyBytes)))
  const keys = openKeys({ store, sealer: () => sealer, now: () => ctx.now })
  await ensureKeys(ctx, { store, keys })
  const checkpoints = createCheckpoints({ store, keys })
  const deps: TileDeps = { store, audit: checkpoints }
  const entry = { type: 'test.done', outcome: 'allowed', requestId: 'r' } as const
  return {
    store,
    checkpoints,
    deps,
    /** Commits until the log has `size` entries. */
    async fill(size: number): Promise<void> {
      while ((await store.log.size(ctx)) < size) await store.commit(ctx, { entries: [entry] })
    },
  }
}

test('tiles and bundles are those of the published tree, whole and partial, and nothing beyond it', async t => {
  const { store, checkpoints, deps, fill } = await logIn(t)
  await fill(700)
  await checkpoints.run(ctx)
  await fill(1100)
  const entries = await store.log.range(ctx, 0, 700)
  const hashes = Buffer.concat(entries.map(({ text }) => leafHash(text)))
  const hashTile = async (path: string): Promise<Buffer | undefined> => {
    const found = await readHashTile(ctx, deps, path)
    return found && Buffer.from(found.bytes)
  }
  assert.deepEqual(await hashTile('tile/0/001'), hashes.subarray(256 * 32, 512 * 32))
  assert.deepEqual(await hashTile('tile/0/001.p/3'), hashes.subarray(256 * 32, 259 * 32))
  assert.deepEqual(await hashTile('tile/0/002.p/188'), hashes.subarray(512 * 32))
  assert.deepEqual(await hashTile('tile/0/002.p/5'), hashes.subarray(512 * 32, 517 * 32))
  assert.equal((await hashTile('tile/1/000.p/2'))?.length, 64)
  for (const path of ['tile/0/002.p/189', 'tile/0/002', 'tile/1/000', 'tile/1/000.p/3', 'tile/0/003.p/1']) {
    assert.equal(await hashTile(path), undefined, path)
  }
  for (const path of [
    'tile/0/000.p/256',
    'tile/0/0',
    'tile/7/000',
    'tile/entries/000',
    '../000',
    'tile/0/x000/000',
  ]) {
    assert.equal(await hashTile(path), undefined, path)
  }
  const bundle = await readBundle(ctx, deps, 'tile/entries/002.p/2')
  const expected = entries.slice(512, 514).flatMap(({ text }) => {
    const bytes = Buffer.from(text)
    const length = Buffer.alloc(2)
    length.writeUInt16BE(bytes.length)
    return [length, bytes]
  })
  assert.deepEqual(Buffer.from(bundle?.bytes ?? []), Buffer.concat(expected))
  assert.equal(await readBundle(ctx, deps, 'tile/entries/002.p/189'), undefined)
  assert.equal(await readBundle(ctx, deps, 'tile/0/002.p/2'), undefined)
})

test('before the first checkpoint there are no tiles', async t => {
  const { deps } = await logIn(t)
  assert.equal(await readHashTile(ctx, deps, 'tile/0/000.p/1'), undefined)
  assert.equal(await readBundle(ctx, deps, 'tile/entries/000.p/1'), undefined)
})
