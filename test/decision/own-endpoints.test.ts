// Policies reach our own endpoints: an operation of the management API and a secret of the vault are decided like any call.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, expect, newAgent, payloadOf, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import type { Party } from '../harness/party.ts'
import { enforcementPoint } from './point.ts'
import { enforce } from './policies.ts'

/** Grants the agent something of the management API, and answers the grant's id. */
async function grantOwn(
  writ: Authority,
  { clientId: agent }: Party,
  scopes: readonly string[],
  limits: Record<string, unknown> = {},
): Promise<string> {
  const resource = `${writ.issuer}/api/v1`
  const body = { agent, resource, scopes, reason: 'test', ...limits }
  return expect(await writ.operator.manage('POST', '/grants', body), 201).id
}

const budgetOf = (limit: number) => ({ budgets: [{ unit: 'calls', limit, window_seconds: 3600 }] })

const question = { subject: { type: 'agent', id: 'agt_nobody' }, action: { name: 'read' } }
const evaluation = { ...question, resource: { type: 'resource', id: api } }

test('a policy forbids an operation of the management API from the next call on, and the entry names it', async t => {
  const writ = await authority(t)
  const people = () => writ.operator.manage('POST', '/people', { login: `ada${Math.random()}` })
  expect(await people(), 201)
  await enforce(
    writ,
    '@id("no.people") forbid (principal, action == Writ::Action::"people.create", resource);',
  )
  const refused = await people()
  assert.deepEqual([refused.status, refused.body.code], [403, 'access_denied'])
  assert.doesNotMatch(JSON.stringify(refused.body), /no\.people|policy/)
  const id = refused.headers.get('x-request-id')
  const [entry] = expect(await writ.operator.manage('GET', `/events?request_id=${id}`), 200).items
  assert.deepEqual([entry.outcome, entry.decision.rule], ['refused', 'policy:no.people'])
  expect(await writ.operator.manage('GET', '/people'), 200)
})

test('a set that forbids everything else leaves its own way back', async t => {
  const writ = await authority(t)
  await enforce(writ, '@id("welcome") permit (principal, action, resource);')
  const lock =
    '@id("locked") forbid (principal, action, resource) unless { action == Writ::Action::"policies.rollback" };'
  await enforce(writ, lock)
  assert.equal((await writ.operator.manage('GET', '/agents')).status, 403)
  assert.equal((await writ.operator.manage('POST', '/policies', { source: '' })).status, 403)
  expect(await writ.operator.manage('POST', '/policies/rollback', { reason: 'locked out' }), 200)
  expect(await writ.operator.manage('GET', '/agents'), 200)
})

test('a budget for asking is spent by asking, at every endpoint of the decision point, and by nothing else', async t => {
  const writ = await authority(t)
  const point = await newAgent(writ)
  const id = await grantOwn(writ, point, ['writ:decisions'], budgetOf(3))
  const token = await point.token(`${writ.issuer}/api/v1`)
  const ask = (endpoint: string, body: unknown) =>
    point.call('POST', `${writ.issuer}/access/v1/${endpoint}`, { token, body })
  expect(await ask('evaluation', evaluation), 200)
  expect(await ask('evaluations', { evaluations: [evaluation, evaluation] }), 200)
  expect(await ask('search/action', { subject: question.subject, resource: evaluation.resource }), 200)
  for (const endpoint of ['evaluation', 'evaluations', 'search/action']) {
    const refused = await ask(endpoint, evaluation)
    assert.deepEqual([refused.status, refused.body.code], [403, 'access_denied'], endpoint)
    assert.doesNotMatch(JSON.stringify(refused.body), /budget|grt_/)
  }
  const { budgets } = expect(await writ.operator.manage('GET', `/grants/${id}`), 200)
  assert.equal(budgets[0].left, 0)
  const { items } = expect(await writ.operator.manage('GET', `/events?agent=${point.clientId}`), 200)
  const rules = items.map((entry: { decision: { rule: string } }) => entry.decision.rule)
  assert.equal(rules.filter((rule: string) => rule.startsWith(`budget:${id}`)).length, 3)
})

test('twenty callers at once spend a budget of the management API exactly, and another grant answers after it', async t => {
  const writ = await authority(t)
  const reader = await newAgent(writ)
  await grantOwn(writ, reader, ['writ:people:read'], budgetOf(5))
  await grantOwn(writ, reader, ['writ:people:read'], budgetOf(2))
  const token = await reader.token(`${writ.issuer}/api/v1`)
  const read = () => reader.call('GET', `${writ.issuer}/api/v1/people`, { token })
  const answers = await Promise.all(Array.from({ length: 20 }, read))
  assert.equal(answers.filter(({ status }) => status === 200).length, 7)
  assert.equal(answers.filter(({ status }) => status === 403).length, 13)
})

test('the condition of a grant is kept wherever it opens the log', async t => {
  const writ = await authority(t)
  const reader = await newAgent(writ)
  const elsewhere = 'context has peer && context.peer.isInRange(ip("10.0.0.0/8"))'
  await grantOwn(writ, reader, ['writ:events:read', 'writ:rotations:read'], { condition: elsewhere })
  const token = await reader.token(`${writ.issuer}/api/v1`)
  for (const path of ['/events', '/audit/export', '/rotations/events']) {
    const refused = await reader.call('GET', `${writ.issuer}/api/v1${path}`, { token })
    assert.deepEqual([refused.status, refused.body.code], [403, 'access_denied'], path)
  }
})

test('policies see the session, the task and the instance of whoever manages, and its risk on the next call', async t => {
  const writ = await authority(t)
  const reader = await newAgent(writ)
  await grantOwn(writ, reader, ['writ:people:read'])
  const token = await reader.token(`${writ.issuer}/api/v1`)
  const read = () => reader.call('GET', `${writ.issuer}/api/v1/people`, { token })
  await enforce(writ, '@id("risky") forbid (principal, action, resource) when { context.risk > 50 };')
  expect(await read(), 200)
  const subject = payloadOf(token)['agent_instance_id']
  expect(await writ.operator.manage('POST', '/risks', { subject, score: 90, reason: 'odd' }), 200)
  assert.equal((await read()).status, 403)
  expect(await writ.operator.manage('POST', '/risks', { subject, score: 0, reason: 'fine' }), 200)
  expect(await read(), 200)
  await enforce(
    writ,
    `@id("known") forbid (principal == Writ::Agent::"${reader.clientId}", action, resource)
     unless { context has instance && context has keyAge && context has authenticationAge };`,
  )
  expect(await read(), 200)
})

test('how old a key is we know ourselves, whatever an enforcement point says', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const point = await enforcementPoint(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  await enforce(
    writ,
    '@id("young") forbid (principal, action == Writ::Action::"read", resource) unless { context has keyAge && context.keyAge < 100 };',
  )
  const { jti, exp, scope, writ: roots } = payloadOf(await agent.token(api))
  const { epoch, key, grants } = roots as Record<string, unknown>
  const ask = async () =>
    expect(
      await point.ask('evaluation', {
        subject: { type: 'agent', id: agent.clientId },
        action: { name: 'read' },
        resource: { type: 'resource', id: api },
        context: { key_age: 1, token: { jti, exp, scopes: [scope].flat(), epoch, key, grants } },
      }),
      200,
    ).decision
  assert.equal(await ask(), true)
  writ.advance(150)
  assert.equal(await ask(), false)
})
