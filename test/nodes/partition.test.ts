// Fault F15: one node is cut off from the database, silently or not. It denies, its resources deny, and it comes back.
import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { type Cluster, startPostgres } from '@writ/server/testing'
import { isAway } from '../fault/answers.ts'
import { expect } from '../harness/agent.ts'
import { until } from '../harness/deadline.ts'
import { proxyTo, type Way } from './proxy.ts'
import { api, judged, newSubject, registerApi, twoNodes, verifierAt } from './two-nodes.ts'

/** The staleness bound of guarantee 3. */
const stalenessMs = 5000
/** Guarantee 8: after the database can be reached again. */
const backMs = 5000

let cluster: Cluster
before(async () => {
  cluster = await startPostgres({ databases: 2 })
})
after(() => cluster?.close())

async function cutOff(t: TestContext, way: Exclude<Way, 'open'>): Promise<void> {
  const databaseUrl = cluster.database()
  const proxy = await proxyTo(t, databaseUrl)
  const nodes = await twoNodes(t, { databaseUrl, databaseUrlOfB: proxy.url })
  await registerApi(nodes)
  const subject = await newSubject(nodes)
  const bystander = await newSubject(nodes)
  const [near, far] = [await verifierAt(t, nodes.a), await verifierAt(t, nodes.b)]
  const token = await subject.at.b.token(api)
  const other = await bystander.at.b.token(api)
  const farSays = (text: string) => judged(far, text === token ? subject.at.b : bystander.at.b, text)
  assert.equal(await farSays(token), undefined)
  assert.equal(await farSays(other), undefined)

  proxy.set(way)
  const cutAt = performance.now()
  const suspended = nodes.a.operator.manage('POST', `/agents/${subject.id}/suspend`, { reason: 'Ends' })
  expect(await suspended, 200)
  // Asked now, answered when the node gives up: it cannot commit, so it cannot issue.
  const asked = ['/token', '/introspect'].map(async path => {
    const answer = await (path === '/token'
      ? bystander.at.b.tokenRequest({ resource: api })
      : nodes.b.operator.post('/introspect', { token, ...assertionOf(nodes.b.operator) }))
    return { path, answer, ms: performance.now() - cutAt }
  })
  for (const path of ['/jwks', '/.well-known/oauth-authorization-server', '/healthz'])
    assert.equal((await nodes.b.fetch(path)).status, 200, path)
  // The last yes counts, by when it was asked for: a busy machine only makes a no come later.
  let acceptedAt = cutAt
  await until('the resource behind the cut off node to deny', 20, async () => {
    const askedAt = performance.now()
    const code = await farSays(token)
    if (code === undefined) acceptedAt = askedAt
    return code
  })
  const yesMs = acceptedAt - cutAt
  assert.ok(yesMs <= stalenessMs, `accepted still after ${Math.round(yesMs)} ms`)
  await until('a refusal of everything', 10, async () => farSays(other))
  assert.equal(await farSays(other), 'temporarily_unavailable')
  assert.equal(await judged(near, bystander.at.a, other), undefined, 'the other node goes on')
  for (const { path, answer, ms } of await Promise.all(asked)) {
    assert.ok(isAway(answer), `${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
    assert.ok(ms <= 15_000, `${path} was answered only after ${Math.round(ms)} ms`)
  }
  assert.equal((await nodes.b.fetch('/jwks')).status, 200)
  await bystander.at.a.token(api)

  proxy.set('open')
  const healedAt = performance.now()
  await until('the resource to accept again', 15, async () => (await farSays(other)) === undefined)
  const acceptedMs = performance.now() - healedAt
  // From the first word on it knows what it missed.
  assert.equal(await farSays(token), 'invalid_token')
  await until(
    'tokens of the node that was cut off',
    15,
    async () => (await bystander.at.b.tokenRequest({ resource: api })).status === 200,
  )
  const issuedMs = performance.now() - healedAt
  t.diagnostic(
    `${way}: the last yes ${Math.round(yesMs)} ms after the cut; accepted again ${Math.round(acceptedMs)} ms and issued again ${Math.round(issuedMs)} ms after the end of it`,
  )
  assert.ok(issuedMs <= backMs, `issued again only after ${Math.round(issuedMs)} ms`)
}

const assertionOf = (party: { assertion(): string }): Record<string, string> => ({
  client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
  client_assertion: party.assertion(),
})

describe('a node that is cut off from the database denies, and so do its resources', {
  concurrency: true,
}, () => {
  test('where the network falls silent', t => cutOff(t, 'silent'))
  test('where connections break', t => cutOff(t, 'cut'))
})
