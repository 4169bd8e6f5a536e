// Checkpoints of a real log: what is published verifies, only ever grows, and a damaged log is never signed.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { verifyCheckpoint } from '@writ/sdk/protocol/checkpoint'
import { parseVerifierKey } from '@writ/sdk/protocol/note'
import { leafHash, verifyConsistency, verifyInclusion } from '@writ/sdk/protocol/proof'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../context.ts'
import { consistencyProof, inclusionProof } from '../domain/merkle.ts'
import { defaultTenant } from '../domain/tenant.ts'
import { hashReader, tilesForConsistency, tilesForInclusion } from '../domain/tile.ts'
import { aesGcmSealer, keyBytes } from '../keys/aes-gcm.ts'
import type { Keys } from '../keys/keys.ts'
import { openKeys } from '../keys/providers/local.ts'
import { ensureKeys } from '../keys/rotation.ts'
import type { Sealer } from '../keys/sealer.ts'
import { openStore } from '../store/sql/open.ts'
import type { Log, Store } from '../store/store.ts'
import {
  auditLoops,
  auditOrigin,
  auditVerifierKey,
  type Checkpoints,
  createCheckpoints,
} from './checkpoint.ts'
import { tileReader } from './edge.ts'

const issuer = 'https://writ.example:8455/team'
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

interface Node {
  readonly store: Store
  readonly keys: Keys
  readonly checkpoints: Checkpoints
}

async function node(file: string, sealer: Sealer): Promise<Node> {
  const store = await openStore({ kind: 'sqlite', file }, { randomBytes })
  await store.tenants.ensure({ id: defaultTenant, issuer, createdAt: ctx.now })
  const keys = openKeys({ store, sealer: () => sealer, now: () => ctx.now })
  await ensureKeys(ctx, { store, keys })
  return { store, keys, checkpoints: createCheckpoints({ store, keys }) }
}

const newSealer = (): Sealer => aesGcmSealer(new Secret<Uint8Array>(randomBytes(keyBytes)))

async function inMemory(t: TestContext): Promise<Node> {
  const made = await node(':memory:', newSealer())
  t.after(() => made.store.close())
  return made
}

/** Commits until the log has `size` entries. */
async function fill({ store }: Pick<Node, 'store'>, size: number): Promise<void> {
  const missing = size - (await store.log.size(ctx))
  const entry = { type: 'test.done', outcome: 'allowed', requestId: 'r' } as const
  for (let done = 0; done < missing; done += 50) {
    const count = Math.min(50, missing - done)
    await store.commit(ctx, { entries: [entry, ...new Array<typeof entry>(count - 1).fill(entry)] })
  }
}

const headOf = async ({ checkpoints }: Pick<Node, 'checkpoints'>) => {
  const head = await checkpoints.head(ctx)
  assert.ok(head)
  return head
}

test('the origin is the URL of the log without its scheme', () => {
  assert.equal(auditOrigin(issuer), 'writ.example:8455/team/audit')
  assert.equal(auditOrigin('http://127.0.0.1:8455'), '127.0.0.1:8455/audit')
})

test('a published checkpoint verifies under the verifier key, and every entry is included in it', async t => {
  const log = await inMemory(t)
  await fill(log, 600)
  assert.equal(await log.checkpoints.run(ctx), 'published')
  const { note, edge } = await headOf(log)
  const key = parseVerifierKey(auditVerifierKey(issuer, log.keys, ctx))
  const { size, root } = verifyCheckpoint(note, auditOrigin(issuer), [key])
  assert.equal(size, 600)
  for (const { index, text } of await log.store.log.range(ctx, 0, 600)) {
    const tiles = await tileReader(log.store.log, ctx, tilesForInclusion(index, size), edge)
    const proof = inclusionProof(index, size, hashReader(size, tiles))
    assert.ok(verifyInclusion({ leaf: leafHash(text), index, size, proof, root }), `entry ${index}`)
  }
})

test('every checkpoint continues the one before, across tile borders and restarts', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'writ-audit-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const sealer = newSealer()
  let earlier: { size: number; root: Uint8Array } | undefined
  for (const size of [6, 7, 255, 256, 257, 511, 770, 1030]) {
    // A new process each time: everything it knows is what the store has.
    const log = await node(join(folder, 'writ.db'), sealer)
    await fill(log, size)
    assert.equal(await log.checkpoints.run(ctx), 'published')
    const { checkpoint, edge } = await headOf(log)
    assert.equal(checkpoint.size, size)
    if (earlier !== undefined) {
      const tiles = await tileReader(log.store.log, ctx, tilesForConsistency(earlier.size, size), edge)
      const proof = consistencyProof(earlier.size, size, hashReader(size, tiles))
      assert.ok(
        verifyConsistency({
          oldSize: earlier.size,
          oldRoot: earlier.root,
          newSize: size,
          newRoot: checkpoint.root,
          proof,
        }),
        `${earlier.size} to ${size}`,
      )
    }
    earlier = checkpoint
    await log.store.close()
  }
})

test('an empty log has a checkpoint too, and nothing to do is nothing', async t => {
  const { store, keys } = await inMemory(t)
  const log: Log = { ...store.log, size: async () => 0 }
  const checkpoints = createCheckpoints({ store: { log }, keys })
  assert.equal(await checkpoints.run(ctx), 'published')
  assert.equal((await headOf({ checkpoints })).checkpoint.size, 0)
  assert.equal(await checkpoints.run(ctx), 'nothing')
})

test('of nodes that publish at once one wins each time, and all of them agree on the tree', async t => {
  const first = await inMemory(t)
  const nodes = [first.checkpoints, createCheckpoints(first), createCheckpoints(first)]
  for (const size of [300, 301, 900]) {
    await fill(first, size)
    const outcomes = await Promise.all(nodes.map(each => each.run(ctx)))
    assert.ok(outcomes.includes('published'))
    const heads = await Promise.all(nodes.map(checkpoints => headOf({ checkpoints })))
    assert.deepEqual([...new Set(heads.map(({ note }) => note))].length, 1)
    assert.ok(heads.every(({ checkpoint }) => checkpoint.size === size))
  }
})

test('a node that publishes what it worked out before another one published loses, and starts from there', async t => {
  const fast = await inMemory(t)
  await fill(fast, 300)
  let overtake = async (): Promise<void> => {
    await fill(fast, 400)
    assert.equal(await fast.checkpoints.run(ctx), 'published')
    overtake = async () => {}
  }
  const log: Log = {
    ...fast.store.log,
    async publish(...args) {
      await overtake()
      return fast.store.log.publish(...args)
    },
  }
  const slow = createCheckpoints({ store: { log }, keys: fast.keys })
  assert.equal(await slow.run(ctx), 'raced')
  assert.equal((await headOf({ checkpoints: slow })).checkpoint.size, 400)
  await fill(fast, 401)
  assert.equal(await slow.run(ctx), 'published')
})

test('a publication that failed, or only looked failed, is made good by the next run', async t => {
  const { store, keys } = await inMemory(t)
  let trouble: 'before' | 'after' | undefined
  const log: Log = {
    ...store.log,
    async publish(...args) {
      if (trouble === 'before') throw new Error('not stored')
      const published = await store.log.publish(...args)
      if (trouble === 'after') throw new Error('stored, and reported failed')
      return published
    },
  }
  const checkpoints = createCheckpoints({ store: { log }, keys })
  let size = 250
  for (const how of ['before', 'after'] as const) {
    // By the same process, which lived on, and by one that knows nothing of it.
    for (const next of [checkpoints, createCheckpoints({ store: { log }, keys })]) {
      await fill({ store }, size)
      trouble = how
      await assert.rejects(checkpoints.run(ctx))
      trouble = undefined
      await fill({ store }, size + 20)
      assert.equal(await next.run(ctx), 'published')
      assert.equal((await headOf({ checkpoints })).checkpoint.size, size + 20)
      size += 100
    }
  }
})

test('a large backlog is published in bounded steps, and all of it in one run', async t => {
  const { store, keys } = await inMemory(t)
  await fill({ store }, 20)
  const hashes = Buffer.alloc(150_000 * 32, 7)
  const sizes: number[] = []
  const log: Log = {
    ...store.log,
    size: async () => 150_000,
    hashes: async (_scope, from, to) => hashes.subarray(from * 32, to * 32),
    async publish(scope, size, note, tiles) {
      sizes.push(size)
      return store.log.publish(scope, size, note, tiles)
    },
  }
  assert.equal(await createCheckpoints({ store: { log }, keys }).run(ctx), 'published')
  assert.deepEqual(sizes, [65_536, 131_072, 150_000])
})

test('what is committed while a run is under way waits for the next one', async t => {
  const log = await inMemory(t)
  await fill(log, 10)
  const busy: Log = {
    ...log.store.log,
    async publish(...args) {
      await fill(log, (await log.store.log.size(ctx)) + 1)
      return log.store.log.publish(...args)
    },
  }
  const checkpoints = createCheckpoints({ store: { log: busy }, keys: log.keys })
  assert.equal(await checkpoints.run(ctx), 'published')
  assert.equal((await headOf({ checkpoints })).checkpoint.size, 10)
})

test('a log that was rolled back under a running node is not signed again', async t => {
  const log = await inMemory(t)
  await fill(log, 20)
  await log.checkpoints.run(ctx)
  const before = await log.store.log.checkpoint(ctx)
  await fill(log, 40)
  const old: Log = { ...log.store.log, checkpoint: async () => before, size: async () => 30 }
  const checkpoints = createCheckpoints({
    store: {
      log: {
        ...log.store.log,
        checkpoint: scope => (rolledBack ? old : log.store.log).checkpoint(scope),
        size: scope => (rolledBack ? old : log.store.log).size(scope),
      },
    },
    keys: log.keys,
  })
  let rolledBack = false
  assert.equal(await checkpoints.run(ctx), 'published')
  rolledBack = true
  await assert.rejects(checkpoints.run(ctx), /rolled back/)
  await assert.rejects(checkpoints.head(ctx), /rolled back/)
})

test('a store whose entries are not those of its checkpoint is not signed after a restart', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'writ-audit-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'writ.db')
  const sealer = newSealer()
  const log = await node(file, sealer)
  await fill(log, 300)
  await log.checkpoints.run(ctx)
  await log.store.close()
  const alter = (sql: string): void => {
    const db = new DatabaseSync(file)
    db.exec(sql)
    db.close()
  }
  const damages = [
    `update entries set hash = zeroblob(32) where "index" = 299`,
    'update tiles set hashes = zeroblob(8192) where level = 0',
    'delete from tiles',
    `delete from entries where "index" = 280`,
    `update checkpoints set note = replace(note, '300', '299')`,
    'update checkpoints set size = 299',
  ]
  for (const sql of damages) {
    const intact = new DatabaseSync(file)
    intact.exec(`vacuum into '${join(folder, 'copy.db')}'`)
    intact.close()
    alter(sql)
    const again = await node(file, sealer)
    await fill(again, 310)
    await assert.rejects(again.checkpoints.run(ctx), /the audit log is damaged/, sql)
    await again.store.close()
    rmSync(file)
    const restored = new DatabaseSync(join(folder, 'copy.db'))
    restored.exec(`vacuum into '${file}'`)
    restored.close()
    rmSync(join(folder, 'copy.db'))
  }
  const healthy = await node(file, sealer)
  await fill(healthy, 310)
  assert.equal(await healthy.checkpoints.run(ctx), 'published')
  await healthy.store.close()
})

test('a checkpoint that somebody without the key put into the store is refused', async t => {
  const log = await inMemory(t)
  await fill(log, 30)
  const stranger = await inMemory(t)
  await fill(stranger, 20)
  await stranger.checkpoints.run(ctx)
  const { note } = await headOf(stranger)
  await log.store.log.publish(ctx, 20, note, [])
  await assert.rejects(log.checkpoints.run(ctx), /not one of writ\.example:8455\/team\/audit under the key/)
})

test('covering publishes only where the newest head is too small, and fails for entries that are not there', async t => {
  const log = await inMemory(t)
  await fill(log, 50)
  const first = await log.checkpoints.covering(ctx, 40)
  assert.equal(first.checkpoint.size, 50)
  await fill(log, 60)
  assert.equal((await log.checkpoints.covering(ctx, 50)).note, first.note)
  assert.equal((await log.checkpoints.covering(ctx, 51)).checkpoint.size, 60)
  await assert.rejects(log.checkpoints.covering(ctx, 61), /fewer than 61 entries/)
})

test('covering is content with what another node published between its look and its own attempt', async t => {
  const { store, keys } = await inMemory(t)
  await fill({ store }, 40)
  const other = createCheckpoints({ store, keys })
  let looks = 0
  const checkpoint: Log['checkpoint'] = async scope => {
    const stored = await store.log.checkpoint(scope)
    looks += 1
    if (looks === 1) assert.equal(await other.run(ctx), 'published')
    return stored
  }
  const late = createCheckpoints({ store: { log: { ...store.log, checkpoint } }, keys })
  assert.equal((await late.covering(ctx, 40)).checkpoint.size, 40)
  await assert.rejects(late.covering(ctx, 41), /fewer than 41 entries/)
})

test('the lag counts what no checkpoint covers, from its oldest entry on', async t => {
  const log = await inMemory(t)
  await fill(log, 30)
  await log.checkpoints.run(ctx)
  assert.deepEqual(await log.checkpoints.lag(ctx), { entries: 0, seconds: 0 })
  await fill(log, 33)
  assert.deepEqual(await log.checkpoints.lag({ ...ctx, nowMs: nowMs + 4500 }), { entries: 3, seconds: 4.5 })
})

test('the loop publishes on one node at a time and says whether it did', async t => {
  const log = await inMemory(t)
  await fill(log, 10)
  const [checkpoint, noise] = auditLoops({
    checkpoints: log.checkpoints,
    noise: { flush: async () => 1 },
    checkpointSeconds: 5,
    noiseSeconds: 10,
  })
  assert.deepEqual([checkpoint?.leased, checkpoint?.everySeconds], [true, 5])
  assert.deepEqual([noise?.leased, noise?.everySeconds], [false, 10])
  assert.deepEqual([await checkpoint?.run(ctx), await checkpoint?.run(ctx)], [1, 0])
})
