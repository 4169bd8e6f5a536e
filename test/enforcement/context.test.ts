// Sessions and risk where policies look at them: each change takes effect on the very next call, wherever it is decided.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enforcementPoint } from '../decision/point.ts'
import { enforce } from '../decision/policies.ts'
import { api, expect, grant, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { assertionType, type Party } from '../harness/party.ts'
import { newSecret } from '../vault/secrets.ts'

const risky = '@id("risky") forbid (principal is Writ::Agent, action, resource) when { context.risk >= 50 };'

const report = async (writ: Authority, subject: string, score: number, members = {}): Promise<void> =>
  void expect(
    await writ.operator.manage('POST', '/risks', { subject, score, reason: 'odd', ...members }),
    200,
  )

const begin = async (agent: Party): Promise<string> => {
  const form = { client_assertion_type: assertionType, client_assertion: agent.assertion(), task: 'sorts' }
  const dpop = agent.proof('/sessions', { nonce: await agent.nonce() })
  return expect(await agent.post('/sessions', form, { dpop }), 201).session
}

const instanceOf = async (writ: Authority, agent: Party): Promise<string> =>
  expect(await writ.operator.manage('GET', `/agents/${agent.clientId}/instances`), 200).items[0].id

async function scene(t: Parameters<typeof authority>[0]) {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ)
  await grant(writ, agent.clientId, ['read'])
  await enforce(writ, risky)
  const point = await enforcementPoint(writ)
  const instance = await instanceOf(writ, agent)
  const ask = async (context: Record<string, unknown> = {}) =>
    expect(
      await point.ask('evaluation', {
        subject: { type: 'agent', id: agent.clientId },
        action: { name: 'read' },
        resource: { type: 'resource', id: api },
        context,
        options: { cache: true },
      }),
      200,
    )
  return { writ, agent, instance, ask }
}

test('a score of the agent, its instance or its session is met by the next call, and by none after its end', async t => {
  const { writ, agent, instance, ask } = await scene(t)
  const session = await begin(agent)
  const context = { instance, session }
  for (const subject of [agent.clientId, instance, session]) {
    assert.equal((await ask(context)).decision, true)
    await report(writ, subject, 50)
    assert.equal((await ask(context)).decision, false, subject)
    await report(writ, subject, 49)
    assert.equal((await ask(context)).decision, true, subject)
    const expires_at = new Date(writ.nowMs() + 30_000).toISOString()
    await report(writ, subject, 90, { expires_at })
    assert.equal((await ask(context)).decision, false, subject)
    writ.advance(31)
    assert.equal((await ask(context)).decision, true, `${subject}: its time is over`)
  }
})

test('an answer that may be kept ends no later than a score that counts towards it', async t => {
  const { writ, agent, instance, ask } = await scene(t)
  const endMs = Math.floor(writ.nowMs() / 1000) * 1000 + 20_000
  await report(writ, agent.clientId, 10, { expires_at: new Date(endMs).toISOString() })
  const { context } = await ask({ instance })
  const until =
    typeof context.cache.until === 'number' ? context.cache.until * 1000 : Date.parse(context.cache.until)
  assert.ok(until <= endMs)
})

test('of a session only its own instance has anything, and only while it lasts', async t => {
  const { writ, agent, instance, ask } = await scene(t)
  const other = await newAgent(writ, { scopes: ['read'] })
  const [mine, theirs] = [await begin(agent), await begin(other)]
  assert.equal((await ask({ instance, session: mine })).decision, true)
  assert.equal((await ask({ instance, session: theirs })).decision, false, 'of another agent')
  assert.equal((await ask({ instance, session: `ses_${'0'.repeat(26)}` })).decision, false, 'of nobody')
  const twin = await instanceOf(writ, other)
  assert.equal((await ask({ instance: twin, session: mine })).decision, false, 'by another instance')
  expect(await writ.operator.manage('POST', `/sessions/${mine}/end`, { reason: 'odd' }), 200)
  assert.equal((await ask({ instance, session: mine })).decision, false, 'ended')
  const day = await begin(agent)
  writ.advance(24 * 3600)
  await writ.operator.manage('GET', '/halts')
  const late = await enforcementPoint(writ)
  const answer = await late.ask('evaluation', {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'read' },
    resource: { type: 'resource', id: api },
    context: { session: day },
  })
  assert.equal(expect(answer, 200).decision, false, 'a day later it is over, whoever forgot to end it')
})

test('at our own endpoints a score of the agent, its instance or its session counts on the next call as well', async t => {
  const writ = await authority(t)
  const agent = await newAgent(writ)
  await newSecret(writ, { name: 'mail', consumers: [agent.clientId] })
  const url = `${writ.issuer}/vault/mail`
  const body = { agent: agent.clientId, resource: url, scopes: ['secret:read'], reason: 'test' }
  expect(await writ.operator.manage('POST', '/grants', body), 201)
  await enforce(writ, risky)
  const session = await begin(agent)
  const answer = expect(await agent.tokenRequest({ resource: url, session }), 200)
  const read = () => agent.call('GET', url, { token: answer.access_token })
  for (const subject of [agent.clientId, await instanceOf(writ, agent), session]) {
    assert.equal((await read()).status, 200)
    await report(writ, subject, 80)
    assert.equal((await read()).status, 403, subject)
    await report(writ, subject, 0)
  }
})

test('what is listed comes in pages, each item once', async t => {
  const { writ, agent } = await scene(t)
  const other = await newAgent(writ)
  const sessions = new Set<string>()
  for (let at = 0; at < 5; at += 1) sessions.add(await begin(agent))
  await begin(other)
  const filter = `agent=${agent.clientId}`
  const seen: string[] = []
  for (let after = ''; ; ) {
    const page = expect(await writ.operator.manage('GET', `/sessions?${filter}&limit=2${after}`), 200)
    seen.push(...page.items.map(({ id }: { readonly id: string }) => id))
    if (page.next === null) break
    after = `&after=${page.next}`
  }
  assert.deepEqual(seen.toSorted(), [...sessions].toSorted())
  for (const wrong of ['limit=0', 'limit=201', 'limit=x', 'after=nobody', 'agent=nobody', 'state=live'])
    assert.ok((await writ.operator.manage('GET', `/sessions?${wrong}`)).status >= 400, wrong)
  for (const subject of sessions) await report(writ, subject, 5)
  const first = expect(await writ.operator.manage('GET', '/risks?limit=3'), 200)
  const rest = expect(await writ.operator.manage('GET', `/risks?limit=3&after=${first.next}`), 200)
  assert.equal(new Set([...first.items, ...rest.items].map(({ subject }) => subject)).size, 5)
  assert.equal(rest.next, null)
})
