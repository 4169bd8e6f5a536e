// Sessions of instances and the risk of subjects: begun by who proves its key, ended at once, seen by nobody else.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, expect, newAgent, payloadOf, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { assertionType, type Party } from '../harness/party.ts'

async function post(party: Party, path: string, form: Record<string, string>, key = party.key) {
  const nonce = await party.nonce()
  return party.post(
    path,
    { client_assertion_type: assertionType, client_assertion: party.assertion(), ...form },
    { dpop: party.proof(path, { nonce, key }) },
  )
}

const begin = (party: Party, task = 'sorts the post') => post(party, '/sessions', { task })

async function scene(t: Parameters<typeof authority>[0]) {
  const writ = await authority(t)
  await registerApi(writ)
  return {
    writ,
    agent: await newAgent(writ, { scopes: ['read'] }),
    other: await newAgent(writ, { scopes: ['read'] }),
  }
}

const isLive = async (writ: Authority, token: string): Promise<boolean> =>
  expect(
    await writ.operator.post('/introspect', {
      token,
      client_assertion_type: assertionType,
      client_assertion: writ.operator.assertion(),
    }),
    200,
  ).active

test('an instance begins a session, its tokens name it, and they die when it ends', async t => {
  const { writ, agent } = await scene(t)
  const { session, task } = expect(await begin(agent), 201)
  assert.equal(task, 'sorts the post')
  const token = expect(await agent.tokenRequest({ resource: api, session }), 200).access_token
  assert.deepEqual(
    [payloadOf(token)['sid'], payloadOf(token)['agent_context_id']],
    [session, 'sorts the post'],
  )
  const free = await agent.token(api, 'read')
  assert.equal(payloadOf(free)['sid'], undefined)
  const seen = expect(await writ.operator.manage('GET', `/sessions/${session}`), 200)
  assert.deepEqual([seen.agent, seen.status, seen.task], [agent.clientId, 'live', 'sorts the post'])
  expect(await post(agent, '/sessions/end', { session }), 200)
  assert.equal(await isLive(writ, token), false)
  assert.equal(await isLive(writ, free), true, 'a token of no session goes on')
  const late = await agent.tokenRequest({ resource: api, session })
  assert.deepEqual([late.status, late.body.error], [400, 'invalid_request'])
  expect(await post(agent, '/sessions/end', { session }), 200)
})

test('a session is over when its instance said that it would be, and its tokens with it', async t => {
  const { writ, agent } = await scene(t)
  const asked = async (seconds: string) => post(agent, '/sessions', { task: 'sorts the post', seconds })
  for (const wrong of ['0', '-1', '1.5', '1e3', '86401', '999999', ' 60', 'an hour', '٣'])
    assert.equal((await asked(wrong)).status, 400, wrong)
  const { session, created_at, expires_at } = expect(await asked('90'), 201)
  assert.equal(Date.parse(expires_at) - Date.parse(created_at), 90_000)
  const issued = expect(await agent.tokenRequest({ resource: api, session }), 200)
  assert.ok(issued.expires_in <= 90, `${issued.expires_in}`)
  writ.advance(90)
  assert.equal(await isLive(writ, issued.access_token), false)
  assert.equal((await agent.tokenRequest({ resource: api, session })).status, 400)
})

test('whoever is halted begins no session, and may end one', async t => {
  const { writ, agent } = await scene(t)
  const { session } = expect(await begin(agent), 201)
  const halt = { kind: 'agent', target: agent.clientId, reason: 'odd' }
  const { id } = expect(await writ.operator.manage('POST', '/halts', halt), 201)
  const refused = await begin(agent)
  assert.deepEqual([refused.status, refused.body.code], [403, 'access_denied'])
  expect(await post(agent, '/sessions/end', { session }), 200)
  expect(await writ.operator.manage('POST', `/halts/${id}/lift`, { reason: 'over' }), 200)
  expect(await begin(agent), 201)
})

test('an operator ends a session at once', async t => {
  const { writ, agent } = await scene(t)
  const { session } = expect(await begin(agent), 201)
  const token = expect(await agent.tokenRequest({ resource: api, session }), 200).access_token
  const ended = expect(await writ.operator.manage('POST', `/sessions/${session}/end`, { reason: 'odd' }), 200)
  assert.deepEqual([ended.status, ended.end_reason], ['ended', 'odd'])
  assert.equal(await isLive(writ, token), false)
  assert.equal(
    (await writ.operator.manage('POST', `/sessions/${session}/end`, { reason: 'odd' })).status,
    409,
  )
})

test('a session of somebody else is as unknown as none, and nobody begins one for another', async t => {
  const { writ, agent, other } = await scene(t)
  const { session } = expect(await begin(agent), 201)
  assert.equal((await other.tokenRequest({ resource: api, session })).status, 400)
  assert.equal((await post(other, '/sessions/end', { session })).status, 404)
  assert.equal(
    (await post(agent, '/sessions', { task: 'x' }, other.key)).status,
    401,
    'the proof of another key',
  )
  const bare = await agent.post('/sessions', {
    client_assertion_type: assertionType,
    client_assertion: agent.assertion(),
  })
  assert.equal(bare.status, 401, 'no proof')
  for (const task of ['x'.repeat(257), 'two\nlines', '\u202eturned'])
    assert.equal((await begin(agent, task)).status, 400, JSON.stringify(task))
  const events = expect(await writ.operator.manage('GET', `/events?type=session.begun`), 200).items
  assert.ok(events.filter((entry: { outcome: string }) => entry.outcome === 'refused').length >= 4)
})

test('a score is told of what there is, replaced by the next, and over at its end', async t => {
  const { writ, agent } = await scene(t)
  const report = (body: unknown) => writ.operator.manage('POST', '/risks', body)
  const subject = agent.clientId
  for (const wrong of [
    { subject, score: 101, reason: 'x' },
    { subject, score: -1, reason: 'x' },
    { subject, score: 0.5, reason: 'x' },
    { subject, score: Number.NaN, reason: 'x' },
    { subject: 'agt_00000000000000000000000001', score: 1, reason: 'x' },
    { subject: 'grt_00000000000000000000000001', score: 1, reason: 'x' },
  ])
    assert.match(String((await report(wrong)).status), /^4(00|22)$/, JSON.stringify(wrong))
  expect(await report({ subject, score: 40, reason: 'a new address' }), 200)
  const expires_at = new Date(writ.nowMs() + 60_000).toISOString()
  assert.equal(expect(await report({ subject, score: 80, reason: 'worse', expires_at }), 200).score, 80)
  const scores = async () => expect(await writ.operator.manage('GET', '/risks'), 200).items
  assert.deepEqual(
    (await scores()).map(({ score }: { score: number }) => score),
    [80],
  )
  writ.advance(61)
  assert.deepEqual(
    (await scores()).map(({ score }: { score: number }) => score),
    [0],
  )
})

test('of many reports about one subject at once none is lost', async t => {
  const { writ, agent } = await scene(t)
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, score) =>
      writ.operator.manage('POST', '/risks', { subject: agent.clientId, score, reason: 'busy' }),
    ),
  )
  assert.deepEqual(
    answers.map(({ status }) => status),
    Array(20).fill(200),
  )
})
