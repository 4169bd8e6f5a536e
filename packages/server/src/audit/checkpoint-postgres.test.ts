// Two nodes on one PostgreSQL publish at once, while entries keep coming: one tree, which only ever grows.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { verifyConsistency } from '@writ/sdk/protocol/proof'
import { Secret } from '@writ/sdk/protocol/secret'
import { consistencyProof } from '../domain/merkle.ts'
import { defaultTenant } from '../domain/tenant.ts'
import { hashReader, tilesForConsistency } from '../domain/tile.ts'
import { aesGcmSealer, keyBytes } from '../keys/aes-gcm.ts'
import { openKeys } from '../keys/providers/local.ts'
import { ensureKeys } from '../keys/rotation.ts'
import { startPostgres } from '../store/contract/postgres.ts'
import { openStore } from '../store/sql/open.ts'
import { createCheckpoints, type Head } from './checkpoint.ts'
import { tileReader } from './edge.ts'

test('nodes that race on PostgreSQL publish one growing tree', async t => {
  const cluster = await startPostgres({ databases: 1 })
  t.after(() => cluster.close())
  const url = cluster.database()
  const issuer = 'https://writ.example'
  const ctx = { tenant: defaultTenant, issuer, now: 1_800_000_000, nowMs: 1_800_000_000_000 }
  const sealer = aesGcmSealer(new Secret<Uint8Array>(randomBytes(keyBytes)))
  const node = async () => {
    const store = await openStore({ kind: 'postgres', url }, { randomBytes })
    t.after(() => store.close())
    await store.tenants.ensure({ id: defaultTenant, issuer, createdAt: ctx.now })
    const keys = openKeys({ store, sealer: () => sealer, now: () => ctx.now })
    await ensureKeys(
      { ...ctx, requestId: 'start', traceId: undefined, peer: undefined, note: () => {} },
      { store, keys },
    )
    return { store, checkpoints: createCheckpoints({ store, keys }) }
  }
  const nodes = [await node(), await node()]
  const [first] = nodes
  assert.ok(first)
  const entry = { type: 'test.done', outcome: 'allowed', requestId: 'r' } as const
  let earlier: Head | undefined
  for (let round = 0; round < 12; round++) {
    const commits = nodes.map(({ store }) =>
      store.commit(ctx, { entries: [entry, ...new Array<typeof entry>(60).fill(entry)] }),
    )
    const outcomes = await Promise.all([...nodes.map(({ checkpoints }) => checkpoints.run(ctx)), ...commits])
    // A commit may come after both runs had looked; then this publishes it.
    await first.checkpoints.run(ctx)
    const heads = await Promise.all(nodes.map(({ checkpoints }) => checkpoints.head(ctx)))
    const [head] = heads
    assert.ok(head)
    assert.equal(new Set(heads.map(each => each?.note)).size, 1, JSON.stringify(outcomes))
    assert.equal(head.checkpoint.size, await first.store.log.size(ctx))
    if (earlier !== undefined) {
      const { size: oldSize, root: oldRoot } = earlier.checkpoint
      const { size: newSize, root: newRoot } = head.checkpoint
      const tiles = await tileReader(first.store.log, ctx, tilesForConsistency(oldSize, newSize), head.edge)
      const proof = consistencyProof(oldSize, newSize, hashReader(newSize, tiles))
      assert.ok(verifyConsistency({ oldSize, oldRoot, newSize, newRoot, proof }))
    }
    earlier = head
  }
  assert.ok((earlier?.checkpoint.size ?? 0) > 1400)
})
