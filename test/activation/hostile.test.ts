// Requests for activation as nobody should make them: each is refused with its code, and none opens anything.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, expect, newAgent } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { assertionType } from '../harness/party.ts'
import { activate, eligibility, entries, own, scene, scopesNow } from './scene.ts'

const elsewhere = [{ type: 'mcp_tool', server: 'https://other.example', tool: 'pay' }]

test('what is malformed, missing, too long, too much or of another resource opens nothing', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const of = await eligibility(writ, agent, { approval: 'none' })
  const wrong: readonly Record<string, unknown>[] = [
    { seconds: 0 },
    { seconds: -1 },
    { seconds: 1.5 },
    { seconds: null },
    { seconds: '60' },
    { seconds: 601 },
    { seconds: 2 ** 53 },
    { reason: undefined },
    { reason: '' },
    { reason: '   ' },
    { reason: 'x'.repeat(513) },
    { reason: 'two\nlines' },
    { reason: '\u202eturned' },
    { scopes: [] },
    { scopes: ['erase'] },
    { scopes: ['nothing'] },
    { scopes: ['read', 'erase'] },
    { scopes: ['__proto__'] },
    { scopes: 'read' },
    { authorization_details: [] },
    { authorization_details: [{}] },
    { authorization_details: [{ type: 'unknown' }] },
    { authorization_details: elsewhere },
    { eligibility: `elg_${'0'.repeat(26)}` },
    { eligibility: agent.clientId },
    { eligibility: `${of} ` },
    { break_glass: true },
    { break_glass: 'yes' },
    { agent: agent.clientId },
    { condition: 'true' },
    { budgets: [] },
    { client_assertion_type: 'urn:other' },
  ]
  for (const members of wrong) {
    const answer = await activate(writ, agent, of, members)
    assert.ok([400, 403, 422].includes(answer.status), `${answer.status} ${JSON.stringify(members)}`)
    assert.doesNotMatch(JSON.stringify(answer.body), /server_error/)
  }
  const { client_assertion, ...rest } = { client_assertion: agent.assertion(), eligibility: of }
  for (const body of ['', '[]', 'null', '{"a":1,"a":2}', '{'.repeat(5000), JSON.stringify(rest)]) {
    const answer = await writ.fetch('/activations', {
      method: 'POST',
      headers: { 'content-type': 'application/json', dpop: agent.proof('/activations') },
      body,
    })
    assert.ok(answer.status >= 400 && answer.status < 500, `${answer.status} ${body.slice(0, 20)}`)
  }
  const form = { client_assertion_type: assertionType, client_assertion, eligibility: of }
  const posted = await agent.post('/activations', form, { dpop: agent.proof('/activations') })
  assert.equal(posted.status, 415)
  assert.equal(await scopesNow(agent), '')
  assert.equal((await entries(writ, 'activation.opened')).length, 0)
})

test('a key of a request is one of printable characters, and says nothing to another agent', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const other = await newAgent(writ)
  const of = await eligibility(writ, agent)
  const theirs = await eligibility(writ, other)
  for (const key of ['', ' ', 'x'.repeat(256)]) {
    const answer = await activate(writ, agent, of, { headers: { 'idempotency-key': key } })
    assert.equal(answer.status, 400, JSON.stringify(key))
  }
  const headers = { 'idempotency-key': 'release-4' }
  const mine = expect(await activate(writ, agent, of, { headers }), 201).activation
  const answer = expect(await activate(writ, other, theirs, { headers }), 201).activation
  assert.notEqual(mine, answer)
  for (const verb of ['status', 'cancel']) {
    const stolen = await own(
      writ,
      other,
      `/activations/${mine}/${verb}`,
      verb === 'cancel' ? { reason: 'x' } : {},
    )
    assert.equal(stolen.status, 404)
  }
  const racing = await Promise.all(
    Array.from({ length: 8 }, () =>
      activate(writ, agent, of, { headers: { 'idempotency-key': 'release-5' } }),
    ),
  )
  const ids = new Set(racing.map(({ body }) => body.activation))
  assert.deepEqual([racing.every(({ status }) => status === 201), ids.size], [true, 1])
  assert.equal(api, expect(racing[0] as (typeof racing)[number], 201).resource)
})
