// Limits of a grant at our own endpoints: budgets and conditions hold at the management API, the vault and the log alike.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expect, newAgent } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import type { Party } from '../harness/party.ts'
import { newSecret } from '../vault/secrets.ts'
import { enforce } from './policies.ts'

const twice = [{ unit: 'calls', limit: 2, window_seconds: 3600 }]
/** Nobody comes from there: the calls of these tests have no address at all. */
const elsewhere = 'context has peer && context.peer.isInRange(ip("192.0.2.0/24"))'

/** An agent with these scopes of the management API, under these limits. */
async function limited(writ: Authority, scopes: readonly string[], limits: object): Promise<Party> {
  const agent = await newAgent(writ)
  const body = { agent: agent.clientId, resource: `${writ.issuer}/api/v1`, scopes, reason: 'test', ...limits }
  expect(await writ.operator.manage('POST', '/grants', body), 201)
  return agent
}

const refusals = async (writ: Authority, agent: Party, type: string): Promise<readonly string[]> => {
  const { items } = expect(await writ.operator.manage('GET', `/events?type=${type}`), 200)
  type Entry = {
    readonly agent: string
    readonly outcome: string
    readonly decision: { readonly rule: string }
  }
  return (items as readonly Entry[])
    .filter(entry => entry.agent === agent.clientId && entry.outcome === 'refused')
    .map(({ decision }) => decision.rule.split(':')[0] ?? '')
}

test('of twenty calls to the management API at once exactly as many are done as the budget of the grant has', async t => {
  const writ = await authority(t)
  const agent = await limited(writ, ['writ:people:write'], { budgets: twice })
  const audience = `${writ.issuer}/api/v1`
  const token = await agent.token(audience)
  const make = (login: string) => agent.call('POST', `${audience}/people`, { token, body: { login } })
  const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => make(`ada${at}`)))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [
    201,
    201,
    ...Array.from({ length: 18 }, () => 403),
  ])
  assert.equal(expect(await writ.operator.manage('GET', '/people'), 200).items.length, 2)
  assert.deepEqual(await refusals(writ, agent, 'person.created'), Array(18).fill('budget'))
})

test('of twenty readings of a secret at once exactly as many are answered, and each refusal is an entry', async t => {
  const writ = await authority(t)
  const agent = await newAgent(writ)
  await newSecret(writ, { name: 'mail', consumers: [agent.clientId] })
  const url = `${writ.issuer}/vault/mail`
  const body = { agent: agent.clientId, resource: url, scopes: ['secret:read'], reason: 'x', budgets: twice }
  expect(await writ.operator.manage('POST', '/grants', body), 201)
  const token = await agent.token(url, 'secret:read')
  const answers = await Promise.all(Array.from({ length: 20 }, () => agent.call('GET', url, { token })))
  assert.equal(answers.filter(({ status }) => status === 200).length, 2)
  assert.equal(answers.filter(({ status }) => status === 403).length, 18)
  assert.deepEqual(await refusals(writ, agent, 'secret.read'), Array(18).fill('budget'))
})

const guarded = [
  '/audit/export',
  '/audit/entries',
  '/api/v1/audit/export',
  '/api/v1/audit/entries',
  '/metrics',
  '/api/v1/rotations/events',
]

test('a condition of the grant that does not hold keeps the whole log shut, wherever it is read', async t => {
  const writ = await authority(t)
  const scopes = ['writ:events:read', 'writ:rotations:read']
  const agent = await limited(writ, scopes, { condition: elsewhere })
  const free = await limited(writ, scopes, {})
  const token = await agent.token(`${writ.issuer}/api/v1`)
  for (const path of [...guarded, '/api/v1/events']) {
    const answer = await agent.call('GET', `${writ.issuer}${path}`, { token })
    assert.equal(answer.status, 403, path)
    assert.equal(answer.body.code, 'access_denied', path)
  }
  const open = await free.token(`${writ.issuer}/api/v1`)
  for (const path of ['/audit/export', '/api/v1/audit/entries'])
    assert.equal((await free.call('GET', `${writ.issuer}${path}`, { token: open })).status, 200, path)
})

test('a policy that forbids to list events forbids to export them, to read their tiles and the metrics', async t => {
  const writ = await authority(t)
  await enforce(writ, '@id("no.log") forbid (principal, action == Writ::Action::"events.list", resource);')
  const agent = await limited(writ, ['writ:events:read'], {})
  const token = await agent.token(`${writ.issuer}/api/v1`)
  for (const path of ['/audit/export', '/api/v1/audit/export', '/audit/tile/entries/000', '/metrics']) {
    const answer = await agent.call('GET', `${writ.issuer}${path}`, { token })
    assert.deepEqual([answer.status, answer.body.code], [403, 'access_denied'], path)
  }
})

test('at our own endpoints too one spent grant bars no other', async t => {
  const writ = await authority(t)
  const agent = await limited(writ, ['writ:people:write'], { budgets: twice })
  const more = { resource: `${writ.issuer}/api/v1`, scopes: ['writ:people:write'], reason: 'test' }
  const third = { ...more, agent: agent.clientId, budgets: [{ ...twice[0], limit: 1 }] }
  expect(await writ.operator.manage('POST', '/grants', third), 201)
  const audience = `${writ.issuer}/api/v1`
  const token = await agent.token(audience)
  const statuses: number[] = []
  for (let at = 0; at < 5; at += 1) {
    const answer = await agent.call('POST', `${audience}/people`, { token, body: { login: `ada${at}` } })
    statuses.push(answer.status)
  }
  assert.deepEqual(statuses, [201, 201, 201, 403, 403])
})

test('more spent grants than are tried are a refusal with its entry, at the management API and where the log is read', async t => {
  const writ = await authority(t)
  const once = { budgets: [{ ...twice[0], limit: 1 }] }
  const agent = await limited(writ, ['writ:events:read'], once)
  const audience = `${writ.issuer}/api/v1`
  const more = {
    agent: agent.clientId,
    resource: audience,
    scopes: ['writ:events:read'],
    reason: 'test',
    ...once,
  }
  for (let at = 1; at < 34; at += 1) expect(await writ.operator.manage('POST', '/grants', more), 201)
  const token = await agent.token(audience)
  for (let at = 0; at < 33; at += 1)
    assert.equal((await agent.call('GET', `${audience}/events`, { token })).status, 200, `grant ${at}`)
  for (const path of ['/events', '/audit/export']) {
    const answer = await agent.call('GET', `${audience}${path}`, { token })
    assert.deepEqual([answer.status, answer.body.code], [403, 'access_denied'], path)
  }
  const { items } = expect(
    await writ.operator.manage('GET', `/events?agent=${agent.clientId}&limit=100`),
    200,
  )
  const rules = items
    .filter(({ outcome }: { outcome: string }) => outcome === 'refused')
    .map(({ decision }: { decision: { rule: string } }) => decision.rule)
  assert.deepEqual(rules, ['budget:exhausted', 'budget:exhausted'])
})
