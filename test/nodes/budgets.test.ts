// One budget is one across nodes: two servers on one database give away exactly what it has, whoever asks where.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { type Cluster, startPostgres } from '@writ/server/testing'
import { expect } from '../harness/agent.ts'
import { api, issuer, type Node, newSubject, registerApi, twoNodes } from './two-nodes.ts'

const limit = 25
const callers = 80

let cluster: Cluster
before(async () => {
  cluster = await startPostgres({ databases: 1 })
})
after(() => cluster?.close())

/** An enforcement point that asks each of the nodes with one token. */
async function pointAt(nodes: { readonly a: Node; readonly b: Node }) {
  const { operator } = nodes.a
  const management = `${issuer}/api/v1`
  const pair = generateKeyPair('ES256')
  const agent = { name: 'gate', owner: operator.clientId, purpose: 'Asks', jwks: { keys: [pair.verify.jwk] } }
  const { id } = expect(await operator.manage('POST', '/agents', agent), 201)
  const right = { agent: id, resource: management, scopes: ['writ:decisions'], reason: 'Asks' }
  expect(await operator.manage('POST', '/grants', right), 201)
  const token = await nodes.a.party(id, pair).token(management)
  return (node: Node, endpoint: string, body: unknown) =>
    node.party(id, pair).call('POST', `${issuer}/access/v1/${endpoint}`, { token, body })
}

test('of eighty calls at once at two nodes exactly as many are allowed as the budget has', async t => {
  const nodes = await twoNodes(t, { databaseUrl: cluster.database() })
  await registerApi(nodes)
  const { id } = await newSubject(nodes)
  const budgets = [
    { unit: 'calls', limit, window_seconds: 3600 },
    { unit: 'rows', limit: 1000, window_seconds: 3600 },
  ]
  const right = { agent: id, resource: api, scopes: ['write'], budgets, reason: 'Spends' }
  const { id: grant } = expect(await nodes.a.operator.manage('POST', '/grants', right), 201)
  const ask = await pointAt(nodes)
  const question = {
    subject: { type: 'agent', id },
    action: { name: 'write' },
    resource: { type: 'resource', id: api },
    context: { amounts: { rows: 4 }, reserve: true },
  }
  const answers = await Promise.all(
    Array.from({ length: callers }, (_, at) =>
      ask(at % 2 === 0 ? nodes.a : nodes.b, 'evaluation', question).then(answer => expect(answer, 200)),
    ),
  )
  const allowed = answers.filter(({ decision }) => decision === true)
  assert.equal(allowed.length, limit)
  const left = async (node: Node): Promise<number[]> =>
    expect(await node.operator.manage('GET', `/grants/${grant}`), 200).budgets.map(
      (budget: { left: number }) => budget.left,
    )
  assert.deepEqual(await left(nodes.a), [0, 1000 - 4 * limit])

  // Reserved at one node or the other, settled at both at once: each counts once.
  const settled = await Promise.all(
    allowed.flatMap(({ context }) =>
      [nodes.a, nodes.b].map(node =>
        ask(node, 'settlements', { reservation: context.reservation.id, amounts: { rows: 1 } }),
      ),
    ),
  )
  assert.deepEqual(settled.map(({ status }) => status).sort(), [
    ...Array(limit).fill(200),
    ...Array(limit).fill(409),
  ])
  assert.deepEqual(await left(nodes.b), [0, 1000 - limit])
})
