// The life of issuer keys on a real store: bootstrap, rotation, races between nodes, and what the audit log says of it.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../context.ts'
import type { Change } from '../domain/change.ts'
import { defaultTenant } from '../domain/tenant.ts'
import { aesGcmSealer, keyBytes } from '../keys/aes-gcm.ts'
import { followKeys } from '../keys/follow.ts'
import type { Keys } from '../keys/keys.ts'
import { openKeys } from '../keys/providers/local.ts'
import {
  advanceIssuerKeys,
  decideRotation,
  ensureKeys,
  type RotationDeps,
  type RotationSettings,
  rotateIssuerKey,
} from '../keys/rotation.ts'
import type { Sealer } from '../keys/sealer.ts'
import { type Watch, watchKeys } from '../keys/watch.ts'
import { openStore } from '../store/sql/open.ts'
import type { Store } from '../store/store.ts'

const start = 1_700_000_000
const settings: RotationSettings = {
  tokenSeconds: 300,
  skewSeconds: 5,
  publishSeconds: 120,
  rotateSeconds: null,
}
const newSealer = (): Sealer => aesGcmSealer(new Secret(new Uint8Array(randomBytes(keyBytes))))
const freshStore = (): Promise<Store> => openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })

/** One node: its own keys in memory over a store that it shares, and a clock that the test moves. */
interface Node {
  readonly store: Store
  readonly sealer: Sealer
  readonly keys: Keys
  readonly deps: RotationDeps
  readonly watch: Watch
  ctx(): Ctx
}

const clock = { now: start }
let requests = 0

const nodeOn = (store: Store, sealer: Sealer, changes: Partial<RotationSettings> = {}): Node => {
  const keys = openKeys({ store, sealer: () => sealer, now: () => clock.now })
  return {
    store,
    sealer,
    keys,
    deps: { store, keys, settings: { ...settings, ...changes }, randomBytes },
    watch: watchKeys(() => clock.now),
    ctx: () => ({
      tenant: defaultTenant,
      issuer: 'https://issuer.example',
      now: clock.now,
      nowMs: clock.now * 1000,
      requestId: `request-${requests++}`,
      traceId: undefined,
      peer: undefined,
      note: () => undefined,
    }),
  }
}

const readyNode = async (t: TestContext, changes?: Partial<RotationSettings>): Promise<Node> => {
  clock.now = start
  const store = await freshStore()
  t.after(() => store.close())
  const node = nodeOn(store, newSealer(), changes)
  await tenantOf(node)
  await ensureKeys(node.ctx(), node.deps)
  return node
}

const tenantOf = (node: Node): Promise<unknown> =>
  node.store.tenants.ensure({ id: defaultTenant, issuer: 'https://issuer.example', createdAt: start })

const advance = (node: Node): Promise<number> => advanceIssuerKeys(node.ctx(), node.deps, node.watch)

const statesOf = (node: Node): string[] => node.keys.states(node.ctx()).map(({ state }) => state)

interface Line {
  readonly type: string
  readonly reason: string | null
  readonly agent: string | null
  readonly decision: { readonly kid: string; readonly purpose: string }
}

const linesOf = async (node: Node): Promise<Line[]> => {
  const size = await node.store.log.size(node.ctx())
  const entries = await node.store.log.range(node.ctx(), 0, size)
  return entries.map(({ text }) => JSON.parse(text) as Line)
}

test('the first start makes one key of each purpose, active and audited in one commit', async t => {
  const node = await readyNode(t)
  const rows = await node.store.issuerKeys.list(node.ctx())
  assert.deepEqual(rows.map(({ purpose, state }) => `${purpose} ${state}`).sort(), [
    'checkpoint active',
    'nonce active',
    'token active',
  ])
  const lines = await linesOf(node)
  assert.deepEqual(
    lines.map(({ type, decision }) => `${type} ${decision.purpose}`),
    ['token', 'checkpoint', 'nonce'].flatMap(purpose => [
      `issuer_key.staged ${purpose}`,
      `issuer_key.activated ${purpose}`,
    ]),
  )
  assert.equal(node.keys.signer(node.ctx(), 'checkpoint').alg, 'Ed25519')
})

test('a second start makes nothing and signs with the same keys', async t => {
  const node = await readyNode(t)
  const before = [await node.store.log.size(node.ctx()), node.keys.signer(node.ctx(), 'token').kid]
  await ensureKeys(node.ctx(), node.deps)
  assert.deepEqual([await node.store.log.size(node.ctx()), node.keys.signer(node.ctx(), 'token').kid], before)
})

test('nodes that start together on an empty store end with one set of keys', async t => {
  const store = await freshStore()
  t.after(() => store.close())
  const sealer = newSealer()
  const nodes = Array.from({ length: 20 }, () => nodeOn(store, sealer))
  await tenantOf(nodes[0] as Node)
  await Promise.all(nodes.map(node => ensureKeys(node.ctx(), node.deps)))
  const rows = await store.issuerKeys.list({ tenant: defaultTenant })
  assert.equal(rows.length, 3)
  const kids = new Set(nodes.map(node => node.keys.signer(node.ctx(), 'token').kid))
  assert.equal(kids.size, 1)
})

test('a node with another sealing key refuses to start and adds nothing', async t => {
  const node = await readyNode(t)
  const stranger = nodeOn(node.store, newSealer())
  const before = await node.store.log.size(node.ctx())
  const refused = (error: unknown): boolean => isFault(error) && error.why?.kind === 'issuer_key_unopened'
  await assert.rejects(ensureKeys(stranger.ctx(), stranger.deps), refused)
  assert.equal(await node.store.log.size(node.ctx()), before)
})

test('of two sealing keys that start together on an empty store one wins and the other refuses', async t => {
  const store = await freshStore()
  t.after(() => store.close())
  const nodes = Array.from({ length: 4 }, () => nodeOn(store, newSealer()))
  await tenantOf(nodes[0] as Node)
  const ends = await Promise.allSettled(nodes.map(node => ensureKeys(node.ctx(), node.deps)))
  assert.equal(ends.filter(({ status }) => status === 'fulfilled').length, 1)
  assert.equal((await store.issuerKeys.list({ tenant: defaultTenant })).length, 3)
})

test('a key is published, signs, is superseded, stays until its last token has expired, and goes', async t => {
  const node = await readyNode(t)
  const first = node.keys.signer(node.ctx(), 'token').kid
  const staged = await rotateIssuerKey(node.ctx(), node.deps, { agent: 'agt_operator', reason: 'routine' })
  assert.deepEqual([staged.state, staged.activatesAt], ['staged', start + 120])
  assert.ok(!('sealed' in staged))
  assert.deepEqual(statesOf(node), ['active', 'staged'])

  clock.now = start + 119
  assert.equal(await advance(node), 0)
  assert.equal(node.keys.signer(node.ctx(), 'token').kid, first)
  clock.now = start + 120
  assert.equal(await advance(node), 2)
  assert.deepEqual(statesOf(node), ['retiring', 'active'])
  assert.equal(node.keys.signer(node.ctx(), 'token').kid, staged.kid)

  clock.now = start + 120 + 304
  assert.equal(await advance(node), 0)
  assert.ok(node.keys.verifier(node.ctx(), first))
  clock.now = start + 120 + 305
  // Seen retiring from the last look on; a whole life of a token has to pass under our eyes.
  await advance(node)
  clock.now += 305
  await advance(node)
  assert.deepEqual(statesOf(node), ['retired', 'active'])
  assert.equal(node.keys.verifier(node.ctx(), first), undefined)
  assert.deepEqual(
    node.keys.published(node.ctx()).keys.map(key => key['kid']),
    [staged.kid],
  )

  const lines = (await linesOf(node)).slice(6)
  assert.deepEqual(
    lines.map(({ type, decision }) => [type, decision.kid]),
    [
      ['issuer_key.staged', staged.kid],
      ['issuer_key.superseded', first],
      ['issuer_key.activated', staged.kid],
      ['issuer_key.retired', first],
    ],
  )
  assert.deepEqual([lines[0]?.agent, lines[0]?.reason], ['agt_operator', 'routine'])
})

test('what the old key signs on a node that has not heard of the change fails at its commit', async t => {
  const node = await readyNode(t)
  const late = nodeOn(node.store, node.sealer)
  await late.keys.reload(late.ctx())
  const old = late.keys.signer(late.ctx(), 'token')
  const commitOf = (signer: typeof old): Change => ({
    bases: [{ epoch: signer.epoch, subjects: [`issuer-key:${signer.kid}`] }],
    entries: [{ type: 'token.issued', outcome: 'allowed', requestId: 'r' }],
  })
  assert.equal((await node.store.commit(node.ctx(), commitOf(old))).kind, 'done')
  await rotateIssuerKey(node.ctx(), node.deps, {})
  clock.now += 120
  assert.equal(await advance(node), 2)
  assert.equal((await node.store.commit(node.ctx(), commitOf(old))).kind, 'stale')
  assert.equal(
    (await node.store.commit(node.ctx(), commitOf(node.keys.signer(node.ctx(), 'token')))).kind,
    'done',
  )
})

test('a rotation asked for while one waits answers that one, audited, and makes no other', async t => {
  const node = await readyNode(t)
  const first = await rotateIssuerKey(node.ctx(), node.deps, {})
  clock.now += 60
  const second = await rotateIssuerKey(node.ctx(), node.deps, {})
  assert.equal(second.kid, first.kid)
  assert.equal(second.activatesAt, first.activatesAt)
  assert.deepEqual(statesOf(node), ['active', 'staged'])
  assert.equal((await linesOf(node)).at(-1)?.type, 'issuer_key.already_staged')
})

test('twenty nodes that rotate at once make one successor', async t => {
  const node = await readyNode(t)
  const sealer = newSealer()
  const nodes = await Promise.all(Array.from({ length: 20 }, async () => ({ ...node, requestKeys: sealer })))
  const staged = await Promise.all(nodes.map(each => rotateIssuerKey(each.ctx(), each.deps, {})))
  assert.equal(new Set(staged.map(({ kid }) => kid)).size, 1)
  for (const each of nodes) assert.deepEqual(statesOf(each), ['active', 'staged'])
})

test('nodes that advance at once take each step once', async t => {
  const node = await readyNode(t)
  await rotateIssuerKey(node.ctx(), node.deps, {})
  clock.now += 120
  const nodes = Array.from({ length: 10 }, () => nodeOn(node.store, node.sealer))
  const steps = await Promise.all(nodes.map(advance))
  assert.equal(
    steps.reduce((sum, each) => sum + each, 0),
    2,
  )
  for (const each of nodes) {
    await each.keys.reload(each.ctx())
    assert.deepEqual(statesOf(each), ['retiring', 'active'])
  }
})

test('a leader that slept past its lease changes nothing', async t => {
  const node = await readyNode(t)
  await rotateIssuerKey(node.ctx(), node.deps, {})
  clock.now += 120
  const old = await node.store.leases.hold('loop:issuer-keys', 'node-1', 15)
  assert.ok(old !== 'held')
  await node.store.leases.release('loop:issuer-keys', 'node-1')
  const taken = await node.store.leases.hold('loop:issuer-keys', 'node-2', 15)
  assert.ok(taken !== 'held' && taken.fence > old.fence)
  const underFence = (fence: number): RotationDeps => ({
    ...node.deps,
    fence: { lease: 'loop:issuer-keys', fence },
  })
  assert.equal(await advanceIssuerKeys(node.ctx(), underFence(old.fence), node.watch), 0)
  assert.deepEqual(statesOf(node), ['active', 'staged'])
  assert.equal(await advanceIssuerKeys(node.ctx(), underFence(taken.fence), node.watch), 2)
})

test('a token key that has signed for its time is rotated without being asked', async t => {
  const node = await readyNode(t, { rotateSeconds: 1000 })
  clock.now = start + 999
  assert.equal(await advance(node), 0)
  clock.now = start + 1000
  assert.equal(await advance(node), 1)
  assert.deepEqual(statesOf(node), ['active', 'staged'])
  assert.equal((await linesOf(node)).at(-1)?.reason, 'due')
  assert.equal(await advance(node), 0)
})

const openOf = (node: Node) => node.store.rotations.open(node.ctx(), 'issuer_key', 'token')

test('every successor has the record of its rotation in the same change, whoever asked for it', async t => {
  const node = await readyNode(t, { rotateSeconds: 1000 })
  const first = node.keys.signer(node.ctx(), 'token').kid
  clock.now = start + 1000
  assert.equal(await advance(node), 1)
  const due = await openOf(node)
  const staged = node.keys.states(node.ctx()).find(({ state }) => state === 'staged')
  assert.deepEqual(
    due.map(({ from, to, reason, proof, state, dueAt }) => [from, to, reason, proof, state, dueAt]),
    [[first, staged?.kid, 'due', 'last_token', 'staged', staged?.activatesAt]],
  )
  await rotateIssuerKey(node.ctx(), node.deps, { reason: 'routine' })
  assert.deepEqual(await openOf(node), due)
})

test('a successor is of the algorithm that was asked for, and else of that of the key which signs', async t => {
  const node = await readyNode(t)
  const rotated = async (alg?: string) => {
    const staged = await rotateIssuerKey(node.ctx(), node.deps, {}, alg === undefined ? {} : { alg })
    clock.now += 120
    assert.equal(await advance(node), 2)
    assert.equal(node.keys.signer(node.ctx(), 'token').alg, staged.alg)
    return staged.alg
  }
  assert.equal(await rotated(), 'ES256')
  assert.equal(await rotated('ML-DSA-44'), 'ML-DSA-44')
  assert.equal(await rotated(), 'ML-DSA-44')
  assert.equal(await rotated('Ed25519'), 'Ed25519')
  for (const alg of ['EdDSA', 'RS256', 'none', 'toString', '']) {
    const refused = (error: unknown): boolean => isFault(error) && error.code === 'invalid_value'
    await assert.rejects(rotateIssuerKey(node.ctx(), node.deps, {}, { alg }), refused, alg)
  }
})

test('while a successor of one algorithm waits, another algorithm is a conflict', async t => {
  const node = await readyNode(t)
  const { kid } = await rotateIssuerKey(node.ctx(), node.deps, {}, { alg: 'Ed25519' })
  assert.equal((await rotateIssuerKey(node.ctx(), node.deps, {}, { alg: 'Ed25519' })).kid, kid)
  const refused = (error: unknown): boolean => isFault(error) && error.code === 'conflict'
  await assert.rejects(rotateIssuerKey(node.ctx(), node.deps, {}, { alg: 'ES256' }), refused)
  assert.deepEqual(statesOf(node), ['active', 'staged'])
})

test('the parts of a rotation can be committed with what the caller adds, as one change', async t => {
  const node = await readyNode(t)
  const { staged, rotation: _, ...parts } = await decideRotation(node.ctx(), node.deps, {})
  const claim = { key: 'a-proof', until: clock.now + 60 }
  assert.equal((await node.store.commit(node.ctx(), { ...parts, claims: [claim] })).kind, 'done')
  const again = await decideRotation(node.ctx(), node.deps, {})
  assert.equal(again.staged.kid, staged.kid)
  const replayed = await node.store.commit(node.ctx(), {
    puts: again.puts,
    entries: again.entries,
    claims: [claim],
  })
  assert.equal(replayed.kind, 'replayed')
})

test('a node reads its keys again as soon as a signal names one', async t => {
  const sealer = newSealer()
  clock.now = start
  const store = await freshStore()
  t.after(() => store.close())
  const [one, other] = [nodeOn(store, sealer), nodeOn(store, sealer)]
  await tenantOf(one)
  await ensureKeys(one.ctx(), one.deps)
  await other.keys.reload(other.ctx())
  const failures: unknown[] = []
  const stop = followKeys(store.signals, { keys: other.keys, keyring: { reload: async () => {} } }, error =>
    failures.push(error),
  )
  const staged = await rotateIssuerKey(one.ctx(), one.deps, {})
  const deadline = Date.now() + 5000
  while (!other.keys.verifier(other.ctx(), staged.kid) && Date.now() < deadline) {
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  assert.ok(other.keys.verifier(other.ctx(), staged.kid))
  assert.deepEqual(failures, [])
  stop()
})
