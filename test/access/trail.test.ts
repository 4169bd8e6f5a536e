// Everything an authenticated caller does at the management API is in the log: done, read or refused, and by whom.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Authority, authority } from '../harness/authority.ts'
import { administrator, newAgent } from './roles.ts'

// biome-ignore lint/suspicious/noExplicitAny: entries are looked at member by member
type Entry = any

async function entries(writ: Authority, query: string): Promise<readonly Entry[]> {
  const answer = await writ.operator.manage('GET', `/events?limit=200&${query}`)
  assert.equal(answer.status, 200)
  return answer.body.items
}

test('each answer carries the request id of exactly one entry, whatever became of the request', async t => {
  const writ = await authority(t)
  const { id } = await newAgent(writ, 'billing')
  const { party, token } = await administrator(writ, ['writ:agents:read'])
  const url = `${writ.issuer}/api/v1/agents/${id}`
  const done = await writ.operator.manage('PATCH', `/agents/${id}`, { name: 'b' })
  const read = await writ.operator.manage('GET', `/agents/${id}`)
  const malformed = await writ.operator.manage('PATCH', `/agents/${id}`, { nonsense: 1 })
  const missing = await writ.operator.manage('GET', '/agents/agt_00000000000000000000000000')
  const forbidden = await party.call('POST', `${url}/suspend`, { token, body: { reason: 'x' } })
  const expected: [answer: { headers: Headers }, type: string, outcome: string, code: string | undefined][] =
    [
      [done, 'agent.updated', 'allowed', undefined],
      [read, 'management.read', 'allowed', undefined],
      [malformed, 'agent.updated', 'refused', 'invalid_request'],
      [missing, 'management.read', 'refused', 'not_found'],
      [forbidden, 'agent.suspended', 'refused', 'insufficient_scope'],
    ]
  for (const [answer, type, outcome, code] of expected) {
    const found = await entries(writ, `request_id=${answer.headers.get('x-request-id')}`)
    assert.deepEqual(
      found.map(entry => [entry.type, entry.outcome, entry.decision.code]),
      [[type, outcome, code]],
    )
  }
})

test('an entry names who did it, with which key and which grant, and whom it is about', async t => {
  const writ = await authority(t)
  const { id } = await newAgent(writ, 'billing')
  const admin = await administrator(writ, ['writ:agents:write'])
  const url = `${writ.issuer}/api/v1/agents/${id}/suspend`
  await admin.party.call('POST', url, { token: admin.token, body: { reason: 'It pays twice' } })
  const [entry] = await entries(writ, `agent=${id}&type=agent.suspended`)
  const grants = await writ.operator.manage('GET', `/grants?agent=${admin.id}`)
  assert.equal(entry.reason, 'It pays twice')
  assert.equal(entry.action, 'agents.suspend')
  assert.equal(entry.agent, id)
  assert.equal(entry.key, admin.party.key.jkt)
  assert.deepEqual(
    entry.chain.map((actor: Entry) => actor.kind),
    ['agent', 'instance'],
  )
  assert.equal(entry.chain[0].sub, admin.id)
  assert.deepEqual(entry.decision.grants, [grants.body.items[0].id])
})

test('a stopped caller that comes back with its token is an entry too', async t => {
  const writ = await authority(t)
  const admin = await administrator(writ, ['writ:agents:read'])
  await writ.operator.manage('POST', `/agents/${admin.id}/suspend`, { reason: 'x' })
  const answer = await admin.party.call('GET', `${writ.issuer}/api/v1/agents`, { token: admin.token })
  const found = await entries(writ, `request_id=${answer.headers.get('x-request-id')}`)
  assert.deepEqual(
    found.map(entry => [entry.type, entry.outcome, entry.agent, entry.decision.rule]),
    [['access.refused', 'refused', admin.id, 'agent_not_live']],
  )
})

test('the log is read in its order, page by page, by agent, person, type, request and time', async t => {
  const writ = await authority(t)
  const ada = await writ.operator.manage('POST', '/people', { login: 'ada' })
  const made = await writ.operator.manage('POST', '/agents', { name: 'a', owner: 'ada', purpose: 'x' })
  const since = new Date(writ.nowMs() + 30_000).toISOString()
  writ.advance(60)
  await writ.operator.manage('POST', `/agents/${made.body.id}/suspend`, { reason: 'x' })
  const types = async (query: string) => (await entries(writ, query)).map(entry => entry.type)
  assert.deepEqual(await types(`agent=${made.body.id}`), ['agent.created', 'agent.suspended'])
  assert.deepEqual(await types(`agent=${made.body.id}&since=${since}`), ['agent.suspended'])
  assert.deepEqual(await types(`agent=${made.body.id}&until=${since}`), ['agent.created'])
  assert.deepEqual(await types(`person=${ada.body.id}`), ['person.created', 'agent.created'])
  assert.deepEqual(await types('type=nothing.happened'), [])
  const seen: number[] = []
  for (let after = ''; ; ) {
    const page = await writ.operator.manage('GET', `/events?limit=3&until=${since}${after}`)
    seen.push(...page.body.items.map((entry: Entry) => entry.index))
    if (page.body.next === null) break
    after = `&after=${page.body.next}`
  }
  assert.ok(seen.length > 6)
  assert.deepEqual(
    seen,
    seen.map((_, at) => at),
  )
  for (const query of ['since=yesterday', 'after=-1', 'after=1.5', 'limit=1000', 'agent=', 'who=me']) {
    assert.ok([400, 422].includes((await writ.operator.manage('GET', `/events?${query}`)).status), query)
  }
})

test('one entry is found by its id, as it stands in the log', async t => {
  const writ = await authority(t)
  const [first] = await entries(writ, '')
  const found = await writ.operator.manage('GET', `/events/${first.id}`)
  assert.deepEqual([found.status, found.body], [200, first])
  assert.equal((await writ.operator.manage('GET', '/events/evt_00000000000000000000000000')).status, 404)
  assert.equal((await writ.operator.manage('GET', '/events/0')).status, 404)
})

test('the issuer’s keys are listed with their states, and a rotation stages one successor however often it is asked', async t => {
  const writ = await authority(t)
  const keys = async () => (await writ.operator.manage('GET', '/issuer/keys')).body.items
  assert.deepEqual(
    (await keys()).map((key: Entry) => key.state),
    ['active'],
  )
  const racers = Array.from({ length: 20 }, () => writ.operator.manage('POST', '/issuer/keys/rotate'))
  const answers = await Promise.all(racers)
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
  assert.equal(new Set(answers.map(answer => answer.body.kid)).size, 1)
  const after = await keys()
  assert.deepEqual(
    after.map((key: Entry) => key.state),
    ['active', 'staged'],
  )
  for (const key of after)
    assert.deepEqual(
      ['d', 'k', 'sealed'].filter(name => name in key || name in key.jwk),
      [],
    )
  assert.ok(Date.parse(after[1].activates_at) > writ.nowMs())
  const published = (await (await writ.fetch('/jwks')).json()) as { keys: { kid: string }[] }
  assert.deepEqual(published.keys.map(key => key.kid).sort(), after.map((key: Entry) => key.kid).sort())
})
