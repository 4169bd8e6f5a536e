// Decisions over HTTP: what an agent may do is decided with its grants, its token and what stands in its way.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, expect, grant, newAgent, payloadOf, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import type { Party } from '../harness/party.ts'
import { type EnforcementPoint, enforcementPoint } from './point.ts'

const question = (agent: Party | string, action: string, members: Record<string, unknown> = {}) => ({
  subject: { type: 'agent', id: typeof agent === 'string' ? agent : agent.clientId },
  action: { name: action },
  resource: { type: 'resource', id: api },
  ...members,
})

const decide = async (point: EnforcementPoint, body: unknown): Promise<boolean> =>
  expect(await point.ask('evaluation', body), 200).decision

async function scene(t: Parameters<typeof authority>[0]): Promise<{
  writ: Authority
  point: EnforcementPoint
  agent: Party
}> {
  const writ = await authority(t)
  await registerApi(writ)
  return { writ, point: await enforcementPoint(writ), agent: await newAgent(writ) }
}

test('an agent may do what it was granted, from the next call on, and nothing else', async t => {
  const { writ, point, agent } = await scene(t)
  assert.equal(await decide(point, question(agent, 'read')), false)
  const id = await grant(writ, agent.clientId, ['read'])
  assert.equal(await decide(point, question(agent, 'read')), true)
  assert.equal(await decide(point, question(agent, 'write')), false)
  expect(await writ.operator.manage('DELETE', `/grants/${id}`), 204)
  assert.equal(await decide(point, question(agent, 'read')), false)
})

test('a refusal tells the caller nothing, and an operator which party, which rule and what would be enough', async t => {
  const { writ, point, agent } = await scene(t)
  const plain = expect(await point.ask('evaluation', question(agent, 'write')), 200)
  assert.equal(plain.decision, false)
  // To whoever may file it, that it can be filed: which rule of whose is nowhere in it.
  assert.equal(plain.context.reason, 'approval_required')
  assert.doesNotMatch(JSON.stringify(plain), /reason_|refused_by|no_grant/)
  const { context } = expect(
    await point.ask('evaluation', question(agent, 'write', { options: { explain: true } })),
    200,
  )
  assert.equal(context.reason_user.en, 'This is not allowed.')
  assert.deepEqual(context.writ.smallest_grant, { agent: agent.clientId, resource: api, scopes: ['write'] })
  assert.deepEqual(
    [context.writ.refused_by, context.writ.party, context.writ.rule],
    ['grant', agent.clientId, 'no_grant'],
  )
  expect(
    await writ.operator.manage('POST', '/grants', { ...context.writ.smallest_grant, reason: 'asked' }),
    201,
  )
  assert.equal(await decide(point, question(agent, 'write')), true)
  const dull = await enforcementPoint(writ, ['writ:decisions:evaluate'])
  const refused = await dull.ask('evaluation', question(agent, 'write', { options: { explain: true } }))
  assert.deepEqual([refused.status, refused.body.code], [403, 'insufficient_scope'])
})

test('the token is a ceiling: beyond its scopes, its grants and its life nothing is allowed', async t => {
  const { writ, point, agent } = await scene(t)
  await grant(writ, agent.clientId, ['read', 'write'])
  const claims = payloadOf(await agent.token(api, 'read')) as {
    jti: string
    exp: number
    scope: string
    writ: { grants: string[]; epoch: number; key: string }
  }
  const token = {
    jti: claims.jti,
    grants: claims.writ.grants,
    scopes: claims.scope.split(' '),
    epoch: claims.writ.epoch,
    key: claims.writ.key,
    exp: claims.exp,
  }
  const under = (action: string, members: Record<string, unknown> = {}) =>
    decide(point, question(agent, action, { context: { token: { ...token, ...members } } }))
  assert.equal(await under('read'), true)
  assert.equal(await under('write'), false)
  assert.equal(await under('read', { grants: [] }), false)
  assert.equal(await under('read', { exp: claims.exp - 300 }), false)
  assert.equal(await decide(point, question(agent, 'write')), true)
  const halved = await point.ask('evaluation', question(agent, 'read', { context: { token: { jti: 'x' } } }))
  assert.equal(halved.status, 400)
})

test('what ends the token ends what is decided under it, though everything else stands', async t => {
  const { writ, point, agent } = await scene(t)
  await grant(writ, agent.clientId, ['read'])
  const claims = payloadOf(await agent.token(api, 'read')) as {
    jti: string
    exp: number
    writ: { grants: string[]; epoch: number; key: string }
  }
  const { grants, epoch, key } = claims.writ
  const token = { jti: claims.jti, grants, scopes: ['read'], epoch, key, exp: claims.exp }
  const body = question(agent, 'read', { context: { token }, options: { explain: true } })
  assert.equal(await decide(point, body), true)
  for (const move of ['suspend', 'resume'])
    expect(await writ.operator.manage('POST', `/agents/${agent.clientId}/${move}`, { reason: 'x' }), 200)
  assert.equal(await decide(point, question(agent, 'read')), true, 'the agent is back')
  const { decision, context } = expect(await point.ask('evaluation', body), 200)
  assert.deepEqual([decision, context.writ.refused_by, context.writ.rule], [false, 'ceiling', 'token_ended'])
})

test('halts, suspensions and sessions of others refuse, each by its name', async t => {
  const { writ, point, agent } = await scene(t)
  await grant(writ, agent.clientId, ['read'])
  const why = async (members: Record<string, unknown> = {}) => {
    const { decision, context } = expect(
      await point.ask('evaluation', question(agent, 'read', { options: { explain: true }, ...members })),
      200,
    )
    return decision ? 'allowed' : context.writ.refused_by
  }
  assert.equal(await why(), 'allowed')
  assert.equal(await why({ context: { session: `ses_${'0'.repeat(26)}` } }), 'session')
  assert.equal(await why({ context: { approval: { id: `apr_${'0'.repeat(26)}` } } }), 'approval')
  const halt = expect(
    await writ.operator.manage('POST', '/halts', { kind: 'tool', target: `${api}#burn`, reason: 'x' }),
    201,
  )
  assert.equal(await why({ resource: { type: 'tool', id: `${api}#burn` } }), 'halt')
  assert.equal(await why({ resource: { type: 'tool', id: `${api}#cook` } }), 'allowed')
  expect(await writ.operator.manage('POST', `/halts/${halt.id}/lift`, { reason: 'x' }), 200)
  assert.equal(await why({ resource: { type: 'tool', id: `${api}#burn` } }), 'allowed')
  assert.equal(
    await why({ context: { chain: [{ type: 'person', id: `usr_${'0'.repeat(26)}` }] } }),
    'standing',
  )
  expect(await writ.operator.manage('POST', `/agents/${agent.clientId}/suspend`, { reason: 'x' }), 200)
  assert.equal(await why(), 'standing')
})

test('every answer is one entry with who, what, on what it rests and why, and of arguments none', async t => {
  const { writ, point, agent } = await scene(t)
  const id = await grant(writ, agent.clientId, ['read'])
  const sent = { 'x-request-id': 'call-7' }
  const answer = await point.ask(
    'evaluation',
    question(agent, 'read', { context: { arguments: { card: '4111' }, peer: '192.0.2.1' } }),
    sent,
  )
  assert.equal(answer.headers.get('x-request-id'), 'call-7')
  const own = answer.headers.get('x-writ-request-id')
  const { items } = expect(await writ.operator.manage('GET', `/events?request_id=${own}`), 200)
  assert.equal(items.length, 1)
  const [entry] = items
  assert.deepEqual(
    [entry.type, entry.outcome, entry.agent, entry.resource, entry.action],
    ['decision.evaluated', 'allowed', agent.clientId, api, 'read'],
  )
  assert.deepEqual(entry.decision.grants, [id])
  assert.deepEqual(
    [entry.decision.by, entry.decision.asked_as, entry.decision.from],
    [point.party.clientId, 'call-7', '192.0.2.1'],
  )
  assert.doesNotMatch(JSON.stringify(entry), /4111/)
})
