// The issuer's keys rotate under traffic at both nodes: every token verifies, and its key is published until it ends.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Cluster, startPostgres } from '@writ/server/testing'
import pg from 'pg'
import { headerOf, payloadOf } from '../harness/agent.ts'
import { until } from '../harness/deadline.ts'
import type { Party } from '../harness/party.ts'
import {
  api,
  judged,
  managed,
  type Node,
  newSubject,
  registerApi,
  twoNodes,
  verifierAt,
} from './two-nodes.ts'

const rotations = Number(process.env['WRIT_FAULT_TRIALS']) || 3
const env = {
  WRIT_ACCESS_TOKEN_SECONDS: '4',
  // Long enough that whoever asks at both nodes at once, on a machine that is slow for seconds, asks before it signs.
  WRIT_ISSUER_KEY_PUBLISH_SECONDS: '3',
  WRIT_JWKS_CACHE_SECONDS: '1',
  WRIT_CLOCK_SKEW_SECONDS: '1',
}

let cluster: Cluster
before(async () => {
  cluster = await startPostgres({ databases: 2 })
})
after(() => cluster?.close())

interface IssuerKey {
  readonly kid: string
  readonly state: string
}

const keysAt = async (node: Node): Promise<readonly IssuerKey[]> =>
  (await managed(node, { method: 'GET', path: '/issuer/keys', status: 200 })).items

const rotateAt = async (node: Node): Promise<string> =>
  (await managed(node, { method: 'POST', path: '/issuer/keys/rotate', status: 200 })).kid

const publishedAt = async ({ fetch }: Node): Promise<ReadonlySet<string>> => {
  const { keys } = (await (await fetch('/jwks')).json()) as { keys: { kid: string }[] }
  return new Set(keys.map(({ kid }) => kid))
}

/** Repeats the work until told to stop; what it throws is thrown there. */
function repeating(work: () => Promise<void>, pauseMs: number): () => Promise<void> {
  let isOver = false
  const running = (async () => {
    while (!isOver) {
      await work()
      await new Promise(resolve => setTimeout(resolve, pauseMs))
    }
  })()
  running.catch(() => undefined)
  return () => {
    isOver = true
    return running
  }
}

test(`${rotations} rotations under traffic cost no token and no call, and no unexpired token is without its key`, async t => {
  const nodes = await twoNodes(t, { databaseUrl: cluster.database(), env })
  await registerApi(nodes)
  const { at } = await newSubject(nodes)
  const verifiers = [await verifierAt(t, nodes.a), await verifierAt(t, nodes.b)]
  const live = new Map<string, { readonly kid: string; readonly exp: number }>()
  const signers = new Set<string>()
  let calls = 0
  let polls = 0
  const traffic = (party: Party) =>
    repeating(async () => {
      const token = await party.token(api)
      const kid = String(headerOf(token)['kid'])
      signers.add(kid)
      live.set(token, { kid, exp: Number(payloadOf(token)['exp']) })
      for (const verifier of verifiers) assert.equal(await judged(verifier, party, token), undefined)
      calls += verifiers.length
    }, 5)
  // Invariant I5, looked at every 100 ms at both nodes.
  const watching = repeating(async () => {
    const unexpired = [...live.values()]
    const published = await Promise.all([nodes.a, nodes.b].map(publishedAt))
    const now = Date.now() / 1000
    for (const { kid, exp } of unexpired)
      for (const set of published)
        assert.ok(exp <= now || set.has(kid), `the key ${kid} left before its tokens`)
    for (const [token, { exp }] of live) if (exp <= now) live.delete(token)
    polls += 1
  }, 100)
  const stop = [traffic(at.a), traffic(at.b), watching]
  for (let rotation = 0; rotation < rotations; rotation++) {
    // Asked for at both nodes at once, with tokens at hand: one successor (fault F10).
    await Promise.all([keysAt(nodes.a), keysAt(nodes.b)])
    const [one, other] = await Promise.all([rotateAt(nodes.a), rotateAt(nodes.b)])
    assert.equal(one, other)
    for (const node of [nodes.a, nodes.b])
      await until(`the key ${one} to sign`, 30, async () =>
        (await keysAt(node)).some(({ kid, state }) => kid === one && state === 'active'),
      )
    await until('tokens of the new key', 10, async () => signers.has(one))
  }
  await until('every former key to be gone', 60, async () => (await publishedAt(nodes.b)).size === 1)
  await Promise.all(stop.map(end => end()))
  const keys = await keysAt(nodes.b)
  assert.deepEqual(keys.map(({ state }) => state).sort(), [
    'active',
    ...Array.from({ length: rotations }, () => 'retired'),
  ])
  assert.equal(signers.size, rotations + 1)
  t.diagnostic(`${rotations} rotations, ${calls} calls verified, the JWKS of both nodes read ${polls} times`)
})

test('a node that sleeps through a rotation, leader or not, changes nothing when it wakes and follows', async t => {
  const databaseUrl = cluster.database()
  const nodes = await twoNodes(t, { databaseUrl, env })
  // Whoever leads at first, after the first rotation it is the second node: then the leader sleeps past its lease.
  for (const [asleep, awake] of [
    [nodes.a, nodes.b],
    [nodes.b, nodes.a],
  ] as const) {
    const superseded = await supersededAt(awake)
    asleep.serving.signal('SIGSTOP')
    const kid = await rotateAt(awake)
    const signs = async (node: Node): Promise<boolean> =>
      (await keysAt(node)).some(key => key.kid === kid && key.state === 'active')
    await until('the node that is awake to rotate', 40, () => signs(awake))
    asleep.serving.signal('SIGCONT')
    await until('the sleeper to follow', 20, () => signs(asleep))
    await until('the former key to be gone', 60, async () => (await publishedAt(asleep)).size === 1)
    assert.equal(await supersededAt(asleep), superseded + 1)
    for (const node of [asleep, awake])
      assert.deepEqual(
        (await keysAt(node)).filter(({ state }) => state === 'active').map(key => key.kid),
        [kid],
      )
  }
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  const { rows } = await client.query(`select fence from leases where name = 'loop:issuer-keys'`)
  await client.end()
  assert.ok(Number(rows[0]?.fence) >= 2, 'nobody took the lease over')
})

const supersededAt = async (node: Node): Promise<number> => {
  const path = '/events?type=issuer_key.superseded'
  return (await managed(node, { method: 'GET', path, status: 200 })).items.length
}
