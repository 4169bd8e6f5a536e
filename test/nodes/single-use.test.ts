// Single use is single across nodes: what was shown to one is spent at the other, also where both are asked at once.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { generateKeyPair, type KeyPair } from '@writ/sdk/protocol/jwk'
import { type Cluster, startPostgres } from '@writ/server/testing'
import { expect } from '../harness/agent.ts'
import { type Answer, answerOf, assertionType } from '../harness/party.ts'
import { api, type Node, type Nodes, newSubject, registerApi, type Subject, twoNodes } from './two-nodes.ts'

const rounds = 20

let cluster: Cluster
before(async () => {
  cluster = await startPostgres({ databases: 3 })
})
after(() => cluster?.close())

interface Shown {
  readonly assertion: string
  readonly dpop: string
}

async function evidence({ at }: Subject): Promise<Shown> {
  return { assertion: at.a.assertion(), dpop: at.a.proof('/token', { nonce: await at.a.nonce() }) }
}

const ask = (subject: Subject, at: 'a' | 'b', { assertion, dpop }: Shown): Promise<Answer> =>
  subject.at[at].post(
    '/token',
    {
      grant_type: 'client_credentials',
      resource: api,
      client_assertion_type: assertionType,
      client_assertion: assertion,
    },
    { dpop },
  )

const errorsOf = (answers: readonly Answer[]): string[] =>
  answers.flatMap(({ status, body }) => (status === 200 ? [] : [body.error])).sort()

test('an assertion, or a proof, that was used at one node is refused at the other', async t => {
  const nodes = await twoNodes(t, { databaseUrl: cluster.database() })
  await registerApi(nodes)
  const subject = await newSubject(nodes)
  const first = await evidence(subject)
  // A nonce of one node is one of the other as well: they share the key it is made with.
  expect(await ask(subject, 'a', first), 200)
  const { dpop } = await evidence(subject)
  assert.equal((await ask(subject, 'b', { ...first, dpop })).body.error, 'invalid_client')
  const { assertion } = await evidence(subject)
  assert.equal((await ask(subject, 'b', { ...first, assertion })).body.error, 'invalid_dpop_proof')

  const token = await subject.at.b.token(api)
  const operatorToken = await nodes.a.operator.token(`${nodes.a.operator.issuer}/api/v1`, 'writ:agents:read')
  const url = `${nodes.a.operator.issuer}/api/v1/agents`
  const proof = nodes.a.operator.proof(url, { method: 'GET', accessToken: operatorToken })
  const headers = { authorization: `DPoP ${operatorToken}`, dpop: proof }
  assert.equal((await nodes.a.fetch(url, { headers })).status, 200)
  assert.equal((await nodes.b.fetch(url, { headers })).status, 401)
  assert.ok(token)
})

test(`of one evidence shown to both nodes at once one is taken, ${rounds} times`, async t => {
  const nodes = await twoNodes(t, { databaseUrl: cluster.database() })
  await registerApi(nodes)
  const subject = await newSubject(nodes)
  for (let round = 0; round < rounds; round++) {
    const shown = await evidence(subject)
    const same = await Promise.all([ask(subject, 'a', shown), ask(subject, 'b', shown)])
    assert.deepEqual(errorsOf(same), ['invalid_client'], `round ${round}`)

    const { assertion } = await evidence(subject)
    const [one, other] = [await evidence(subject), await evidence(subject)]
    const sameAssertion = [
      ask(subject, 'a', { ...one, assertion }),
      ask(subject, 'b', { ...other, assertion }),
    ]
    assert.deepEqual(errorsOf(await Promise.all(sameAssertion)), ['invalid_client'], `round ${round}`)

    const { dpop } = await evidence(subject)
    const sameProof = [ask(subject, 'a', { ...one, assertion: one.assertion, dpop })]
    sameProof.push(ask(subject, 'b', { ...other, assertion: other.assertion, dpop }))
    assert.deepEqual(errorsOf(await Promise.all(sameProof)), ['invalid_dpop_proof'], `round ${round}`)
  }
})

async function enroll(node: Node, agent: string, token: string, pair: KeyPair): Promise<Answer> {
  const dpop = node.party(agent, pair).proof('/enroll')
  return answerOf(
    await node.fetch('/enroll', {
      method: 'POST',
      headers: { 'content-type': 'application/json', dpop },
      body: JSON.stringify({ token, jwk: pair.verify.jwk }),
    }),
  )
}

async function instancesOf({ a }: Nodes, agent: string): Promise<readonly string[]> {
  const answer = expect(await a.operator.manage('GET', `/agents/${agent}/instances`), 200)
  return answer.items.map(({ id }: { id: string }) => id)
}

test(`one enrolment token raced at both nodes makes one instance, ${rounds} times`, async t => {
  const nodes = await twoNodes(t, { databaseUrl: cluster.database() })
  await registerApi(nodes)
  for (let round = 0; round < rounds; round++) {
    const { id } = await newSubject(nodes)
    const made = await nodes.a.operator.manage('POST', `/agents/${id}/enrollments`)
    const { token } = expect(made, 201)
    const [mine, yours] = [generateKeyPair('ES256'), generateKeyPair('ES256')]
    const answers = await Promise.all([enroll(nodes.a, id, token, mine), enroll(nodes.b, id, token, yours)])
    const lost = answers.filter(({ status }) => status !== 201)
    assert.deepEqual(
      lost.map(({ body }) => body.code),
      ['invalid_enrollment'],
      `round ${round}`,
    )
    assert.equal((await instancesOf(nodes, id)).length, 2, 'the one it had, and one more')

    // The same key at both is one instance whose answer was lost: both may say so.
    const again = expect(await nodes.a.operator.manage('POST', `/agents/${id}/enrollments`), 201)
    const pair = generateKeyPair('ES256')
    const both = await Promise.all([nodes.a, nodes.b].map(node => enroll(node, id, again.token, pair)))
    const good = both.filter(({ status }) => status === 201)
    assert.ok(good.length >= 1, JSON.stringify(both.map(({ body }) => body)))
    assert.equal(new Set(good.map(({ body }) => body.instance)).size, 1)
    assert.equal((await instancesOf(nodes, id)).length, 3)
  }
})
