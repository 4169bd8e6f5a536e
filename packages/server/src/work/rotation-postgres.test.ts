// Two nodes that race on one PostgreSQL: one set of keys, one successor, one signer, and no token of a key that ended.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Ctx } from '../context.ts'
import { defaultTenant } from '../domain/tenant.ts'
import { aesGcmSealer, keyBytes } from '../keys/aes-gcm.ts'
import type { Keys } from '../keys/keys.ts'
import { openKeys } from '../keys/providers/local.ts'
import { advanceIssuerKeys, ensureKeys, type RotationSettings, rotateIssuerKey } from '../keys/rotation.ts'
import { type Watch, watchKeys } from '../keys/watch.ts'
import { type Cluster, startPostgres } from '../store/contract/postgres.ts'
import { openStore } from '../store/sql/open.ts'
import type { Store } from '../store/store.ts'

const start = 1_700_000_000
const settings: RotationSettings = {
  tokenSeconds: 10,
  skewSeconds: 1,
  publishSeconds: 5,
  rotateSeconds: null,
}
const sealer = aesGcmSealer(new Secret(new Uint8Array(randomBytes(keyBytes))))

interface Node {
  readonly store: Store
  readonly keys: Keys
  readonly watch: Watch
}

let cluster: Cluster
let nodes: readonly Node[]
let now = start

const ctx = (): Ctx => ({
  tenant: defaultTenant,
  issuer: 'https://issuer.example',
  now,
  nowMs: now * 1000,
  requestId: `request-${now}`,
  traceId: undefined,
  peer: undefined,
  note: () => undefined,
})

before(async () => {
  cluster = await startPostgres({ databases: 1 })
  const url = cluster.database()
  const opened: Node[] = []
  for (let each = 0; each < 2; each += 1) {
    const store = await openStore({ kind: 'postgres', url }, { randomBytes })
    const keys = openKeys({ store, sealer: () => sealer, now: () => now })
    opened.push({ store, keys, watch: watchKeys(() => now) })
  }
  nodes = opened
  await opened[0]?.store.tenants.ensure({
    id: defaultTenant,
    issuer: 'https://issuer.example',
    createdAt: start,
  })
})

after(async () => {
  await Promise.all((nodes ?? []).map(({ store }) => store.close()))
  await cluster?.close()
})

const onBoth = <R>(work: (node: Node) => Promise<R>): Promise<R[]> => Promise.all(nodes.map(work))

test('two nodes that start at once on an empty database end with one set of keys', async () => {
  await onBoth(node => ensureKeys(ctx(), node))
  const rows = await nodes[0]?.store.issuerKeys.list({ tenant: defaultTenant })
  assert.equal(rows?.length, 3)
  assert.equal(new Set(nodes.map(({ keys }) => keys.signer(ctx(), 'token').kid)).size, 1)
})

test('two nodes that rotate and advance at once, again and again, have one successor and one signer', async () => {
  const rounds = 25
  const signed: { kid: string; epoch: number; at: number }[] = []
  for (let round = 0; round < rounds; round += 1) {
    const staged = await onBoth(node =>
      rotateIssuerKey(ctx(), { ...node, settings, randomBytes }, { reason: `${round}` }),
    )
    assert.equal(new Set(staged.map(({ kid }) => kid)).size, 1, 'one successor')
    now += settings.publishSeconds
    for (const { keys } of nodes) signed.push({ ...keys.signer(ctx(), 'token'), at: now })
    await onBoth(node => advanceIssuerKeys(ctx(), { ...node, settings, randomBytes }, node.watch))
    // What the signal does between nodes: whoever found nothing to do has not read again by itself.
    await onBoth(({ keys }) => keys.reload(ctx()))
    const kids = nodes.map(({ keys }) => keys.signer(ctx(), 'token').kid)
    assert.deepEqual(kids, [staged[0]?.kid, staged[0]?.kid])
    const states = nodes.map(
      ({ keys }) => keys.states(ctx()).filter(({ state }) => state === 'active').length,
    )
    assert.deepEqual(states, [1, 1])
  }
  const rows = (await nodes[0]?.store.issuerKeys.list({ tenant: defaultTenant })) ?? []
  const tokens = rows.filter(({ purpose }) => purpose === 'token')
  assert.equal(tokens.length, rounds + 1)
  assert.ok(tokens.some(({ state }) => state === 'retired'))

  const entries = (await nodes[0]?.store.log.range({ tenant: defaultTenant }, 0, 1000)) ?? []
  const steps = entries
    .map(({ text }) => JSON.parse(text) as { type: string; decision: { kid: string } })
    .filter(({ type }) => type !== 'issuer_key.already_staged')
    .map(({ type, decision }) => `${type} ${decision.kid}`)
  assert.equal(new Set(steps).size, steps.length, 'each step was taken once')

  // Whatever was signed before a key was superseded, and is committed after, is refused on either node.
  for (const { kid, epoch } of signed) {
    const committed = await nodes[1]?.store.commit(ctx(), {
      bases: [{ epoch, subjects: [`issuer-key:${kid}`] }],
      entries: [{ type: 'token.issued', outcome: 'allowed', requestId: 'late' }],
    })
    assert.equal(committed?.kind, 'stale')
  }
})
