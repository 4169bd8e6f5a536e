// Rotations of each standing kind under way while a node dies, or sleeps past its lease: the other one finishes them.
import assert from 'node:assert/strict'
import { after, before, type TestContext, test } from 'node:test'
import type { KeyPair } from '@writ/sdk/protocol/jwk'
import { type Cluster, startPostgres } from '@writ/server/testing'
import pg from 'pg'
import { enroll, invite, newPair, rekey } from '../attacks/instances.ts'
import { historyOf } from '../fault/history.ts'
import { serve } from '../fault/process.ts'
import { seeded } from '../fault/seed.ts'
import { expect } from '../harness/agent.ts'
import { until } from '../harness/deadline.ts'
import type { Answer } from '../harness/party.ts'
import { api, issuer, type Node, type Nodes, newSubject, registerApi, twoNodes } from './two-nodes.ts'

const { random, seed } = seeded(1)

const env = {
  WRIT_DRAIN_SECONDS: '1',
  WRIT_ACCESS_TOKEN_SECONDS: '4',
  WRIT_ISSUER_KEY_PUBLISH_SECONDS: '1',
  WRIT_JWKS_CACHE_SECONDS: '1',
  WRIT_CLOCK_SKEW_SECONDS: '1',
}
const instances = 4
/** Until every loop is taken over, and the slowest of the rotations is through. */
const takenOverSeconds = 40
/** For how long the other node may find a lease held before it asks for it again. */
const askedAgainMs = 5000

let cluster: Cluster
before(async () => {
  cluster = await startPostgres({ databases: 2 })
})
after(() => cluster?.close())

interface Rotation {
  readonly id: string
  readonly kind: string
  readonly state: string
  readonly from: string
  readonly problem: string | null
}

interface Instance {
  readonly id: string
  pair: KeyPair
}

interface Scene extends Nodes {
  readonly databaseUrl: string
  readonly agent: string
  readonly instances: readonly Instance[]
  /** Rotations that were acknowledged, with the request that began each. */
  readonly acknowledged: Map<string, string>
}

/** Once more where the token of the operator has ended meanwhile: tokens are short here. */
async function managed({ operator }: Node, method: string, path: string, body?: unknown): Promise<Answer> {
  const answer = await operator.manage(method, path, body)
  return answer.status === 401 ? operator.manage(method, path, body) : answer
}

async function sceneOf(t: TestContext): Promise<Scene> {
  const databaseUrl = cluster.database()
  const nodes = await twoNodes(t, { databaseUrl, env })
  await registerApi(nodes)
  const { id: agent } = await newSubject(nodes)
  const enrolled: Instance[] = []
  for (let each = 0; each < instances; each++) {
    const pair = newPair()
    const { instance } = expect(await enroll(nodes.a, { token: await invite(nodes.a, agent), pair }), 201)
    enrolled.push({ id: instance, pair })
  }
  const value = { name: 'mail-key', value: 'a secret that has to stay readable' }
  expect(await managed(nodes.a, 'POST', '/secrets', value), 201)
  return { ...nodes, databaseUrl, agent, instances: enrolled, acknowledged: new Map() }
}

/** Begins one rotation; a version that is being rotated already keeps the successor that it has. */
async function begin(scene: Scene, node: Node, body: { readonly kind: string; readonly target?: string }) {
  const answer = await managed(node, 'POST', '/rotations', { ...body, reason: 'test' })
  if (answer.status === 201)
    scene.acknowledged.set(answer.body.id, String(answer.headers.get('x-request-id')))
  else assert.equal(answer.status, 409, JSON.stringify(answer.body))
}

/** Every rotation that there can be, each asked for at this node. */
async function beginAll(scene: Scene, node: Node): Promise<void> {
  const targets = scene.instances.map(({ id }) => ({ kind: 'instance_key', target: id }))
  for (const body of [{ kind: 'tenant_key' }, { kind: 'issuer_key' }, ...targets])
    await begin(scene, node, body)
}

/** The instances answer, at this node: each with a key of its own that no one else has seen. */
async function answerAt(scene: Scene, node: Node): Promise<void> {
  for (const instance of scene.instances) {
    const next = newPair()
    expect(await rekey(node, { old: node.party(scene.agent, instance.pair), next }), 200)
    instance.pair = next
  }
}

/** What the cut must not have changed, looked at where it did not happen. */
async function finished(scene: Scene, node: Node): Promise<void> {
  const rotations = await until('every rotation is finished', takenOverSeconds, async () => {
    const answer = await managed(node, 'GET', '/rotations?limit=200')
    if (answer.status === 503) return undefined
    const all: Rotation[] = expect(answer, 200).items
    for (const { state, problem } of all) assert.ok(!['failed', 'blocked'].includes(state), String(problem))
    return all.every(({ state }) => state === 'retired') && all
  })
  const ids = new Set(rotations.map(({ id }) => id))
  for (const id of scene.acknowledged.keys()) assert.ok(ids.has(id), 'an acknowledged rotation is gone')
  const versions = rotations.map(({ kind, from }) => `${kind} ${from}`)
  assert.equal(new Set(versions).size, versions.length, 'a version with two successors')
  const history = historyOf(issuer)
  await history.read(node.operator)
  for (const [id, request] of scene.acknowledged) assert.equal(history.countOf(request), 1, id)
  for (const { pair } of scene.instances)
    expect(await node.party(scene.agent, pair).tokenRequest({ resource: api }), 200)
  expect(await managed(node, 'POST', '/secrets/mail-key/versions', { value: 'the next one' }), 201)
}

async function query({ databaseUrl }: Scene, statement: string, values: readonly unknown[] = []) {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    return (await client.query(statement, [...values])).rows
  } finally {
    await client.end()
  }
}

/** Who runs the loop of the rotations. */
async function fenceOf(scene: Scene): Promise<number> {
  const [row] = await query(scene, `select fence from leases where name = 'loop:rotations'`)
  return Number(row?.fence ?? 0)
}

/**
 * What its holder does not renew any more ends now, instead of after the whole time of a lease. Each of the leases at a
 * moment of its own: the loops are taken over in any order, and one may be without a leader while the others go on.
 */
async function endLeases(scene: Scene, withinMs: number): Promise<void> {
  const until = `(extract(epoch from clock_timestamp()) * 1000)::bigint + $1::bigint`
  for (const { name } of await query(scene, 'select name from leases order by name')) {
    const values = [Math.floor(random() * withinMs), name]
    await query(scene, `update leases set until_ms = least(until_ms, ${until}) where name = $2`, values)
  }
}

test('a node that is killed amid rotations leaves nothing that the other does not finish, each once', async t => {
  t.diagnostic(`seed ${seed}`)
  const scene = await sceneOf(t)
  const { a, b } = scene
  // Both begin the same (fault F10), and the one that started first, which leads, dies somewhere amid it (F1).
  const dying = beginAll(scene, a).catch((error: unknown) => {
    // Asked while it died: nobody was told anything.
    assert.ok(error instanceof TypeError, String(error))
  })
  await new Promise(resolve => setTimeout(resolve, random() * 1500))
  await Promise.all([a.serving.kill(), dying])
  await endLeases(scene, askedAgainMs)
  await beginAll(scene, b)
  await answerAt(scene, b)
  await finished(scene, b)
  a.serving = await serve(t, a.options)
  const rotations = expect(await managed(a, 'GET', '/rotations?state=retired'), 200).items
  assert.ok(rotations.length >= instances + 2, `${rotations.length} rotations`)
})

test('a leader that sleeps past its lease amid rotations changes nothing when it wakes, and follows', async t => {
  const scene = await sceneOf(t)
  const { a, b } = scene
  await Promise.all([beginAll(scene, a), beginAll(scene, b)])
  const fence = await fenceOf(scene)
  a.serving.signal('SIGSTOP')
  await endLeases(scene, 0)
  await answerAt(scene, b)
  await until('the other node leads', takenOverSeconds, async () => (await fenceOf(scene)) > fence)
  a.serving.signal('SIGCONT')
  await finished(scene, b)
  const seen = expect(await managed(a, 'GET', '/rotations?state=retired'), 200).items
  assert.equal(seen.length, scene.acknowledged.size)
})
