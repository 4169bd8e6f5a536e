// Just in time: eligible is not active; what is activated opens with a reason, for a while, and ends by itself.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enforcementPoint } from '../decision/point.ts'
import { api, expect, grant } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import type { Party } from '../harness/party.ts'
import { activate, administrator, as, eligibility, entries, own, scene, scopesNow } from './scene.ts'

test('an eligibility is no right: without an activation there is no token', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  await eligibility(writ, agent)
  assert.equal(await scopesNow(agent), '')
})

test('an agent without any right activates for itself, somebody else approves, and it ends on its own', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const of = await eligibility(writ, agent)
  const asked = expect(await activate(writ, agent, of, { seconds: 120, scopes: ['read'] }), 201)
  assert.equal(asked.state, 'pending')
  assert.equal(await scopesNow(agent), '', 'asking is not having')
  const call = ['POST', `/approvals/${asked.activation}/approve`, {}] as [string, string, unknown]
  const approved = expect(await as(approver, 'writ:approvals:write', call), 200)
  assert.deepEqual([approved.state, approved.decided_by], ['approved', approver.clientId])
  assert.equal(await scopesNow(agent), 'read')
  const answer = await agent.tokenRequest({ resource: api, scope: 'read' })
  assert.ok(answer.body.expires_in <= 120, 'no token outlives what it rests on')
  const followed = expect(await own(writ, agent, `/activations/${asked.activation}/status`, {}), 200)
  assert.deepEqual([followed.state, followed.grant], ['approved', approved.grant])
  const held = expect(await writ.operator.manage('GET', `/grants/${approved.grant}`), 200)
  assert.deepEqual([held.scopes, held.reason], [['read'], 'the disk is full'])
  writ.advance(121)
  assert.equal(await scopesNow(agent), '', 'its time is over')
  const [requested] = await entries(writ, 'activation.requested')
  const [decision] = await entries(writ, 'approval.approved')
  assert.equal(requested?.agent, agent.clientId)
  assert.equal(decision?.decision['grant'], approved.grant)
})

test('an eligibility without approval opens at once, within its own end and its longest time', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const soon = new Date(writ.nowMs() + 60_000).toISOString()
  const of = await eligibility(writ, agent, { approval: 'none', expires_at: soon })
  assert.equal((await activate(writ, agent, of, { seconds: 601 })).status, 422)
  const opened = expect(await activate(writ, agent, of), 201)
  assert.equal(opened.state, 'approved')
  assert.ok(Date.parse(opened.ends_at) <= Date.parse(soon), 'never beyond the eligibility')
  assert.equal(await scopesNow(agent), 'read write')
  writ.advance(61)
  assert.equal(await scopesNow(agent), '')
  assert.equal(
    (await activate(writ, agent, of)).body.code,
    'conflict',
    'an expired eligibility opens nothing',
  )
  assert.equal((await entries(writ, 'activation.opened')).length, 1)
})

test('approval narrows scopes and time', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const of = await eligibility(writ, agent)
  const { activation } = expect(await activate(writ, agent, of), 201)
  const path = `/approvals/${activation}/approve`
  const less = { scopes: ['read'], seconds: 30, reason: 'reading is enough' }
  const approved = expect(await as(approver, 'writ:approvals:write', ['POST', path, less]), 200)
  assert.deepEqual(approved.approved, { scopes: ['read'], authorization_details: [], seconds: 30 })
  assert.equal(await scopesNow(agent), 'read')
  assert.equal(await scopesNow(agent, 'write'), '')
})

test('a denied or withdrawn request opens nothing, ever', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const of = await eligibility(writ, agent)
  const reason = { reason: 'not today' }
  const denied = expect(await activate(writ, agent, of), 201).activation
  expect(await as(approver, 'writ:approvals:write', ['POST', `/approvals/${denied}/deny`, reason]), 200)
  const withdrawn = expect(await activate(writ, agent, of), 201).activation
  const cancelled = expect(await own(writ, agent, `/activations/${withdrawn}/cancel`, reason), 200)
  assert.equal(cancelled.state, 'cancelled')
  for (const id of [denied, withdrawn]) {
    const late = await as(approver, 'writ:approvals:write', ['POST', `/approvals/${id}/approve`, {}])
    assert.deepEqual([late.status, late.body.code], [409, 'conflict'])
  }
  assert.equal(await scopesNow(agent), '')
})

test('cancelling ends what was opened at once, with the tokens that rest on it', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  await grant(writ, agent.clientId, ['erase'])
  const of = await eligibility(writ, agent, { approval: 'none' })
  const { activation } = expect(await activate(writ, agent, of), 201)
  const token = await agent.token(api, 'read')
  const path = `/approvals/${activation}/cancel`
  const ended = expect(await as(approver, 'writ:approvals:write', ['POST', path, { reason: 'enough' }]), 200)
  assert.equal(ended.state, 'approved', 'what was decided stays decided')
  const seen = await writ.operator.post('/introspect', {
    token,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: writ.operator.assertion(),
  })
  assert.equal(seen.body.active, false)
  assert.equal(await scopesNow(agent, 'read'), '')
  assert.equal(await scopesNow(agent, 'erase'), 'erase', 'a grant that stands by itself stays')
  assert.equal((await entries(writ, 'activation.ended')).length, 1)
})

test('revoking an eligibility ends what was opened from it, and what waits', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const of = await eligibility(writ, agent, { approval: 'none' })
  const asking = await eligibility(writ, agent)
  expect(await activate(writ, agent, of), 201)
  const waiting = expect(await activate(writ, agent, asking), 201).activation
  assert.equal(await scopesNow(agent), 'read write')
  for (const id of [of, asking])
    expect(await writ.operator.manage('POST', `/eligibilities/${id}/revoke`, { reason: 'left' }), 200)
  assert.equal(await scopesNow(agent), '')
  const late = await as(approver, 'writ:approvals:write', ['POST', `/approvals/${waiting}/approve`, {}])
  assert.equal(late.body.code, 'conflict')
})

test('broken glass opens at once, is loud, and stays on the list until somebody else has looked', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const of = await eligibility(writ, agent, { break_glass: true })
  const opened = expect(await activate(writ, agent, of, { break_glass: true }), 201)
  assert.deepEqual([opened.state, opened.break_glass], ['approved', true])
  assert.equal(await scopesNow(agent), 'read write')
  assert.equal((await entries(writ, 'activation.broke-glass')).length, 1)
  const unreviewed = async () =>
    expect(await as(approver, 'writ:approvals:read', ['GET', '/approvals?unreviewed=true']), 200).items
  assert.deepEqual(
    (await unreviewed()).map(({ id }: { id: string }) => id),
    [opened.activation],
  )
  const path = `/approvals/${opened.activation}/review`
  const verdict = { verdict: 'unjustified', note: 'a drill nobody had announced' }
  const reviewed = expect(await as(approver, 'writ:approvals:write', ['POST', path, verdict]), 200)
  assert.equal(reviewed.review.by, approver.clientId)
  assert.deepEqual(await unreviewed(), [])
  assert.equal(await scopesNow(agent), '', 'what was not justified ends')
  const again = await as(approver, 'writ:approvals:write', ['POST', path, verdict])
  assert.equal(again.body.code, 'conflict')
})

test('an administrator may ask for an agent, and a repeated request makes one task', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const of = await eligibility(writ, agent)
  const body = { eligibility: of, reason: 'deploy', seconds: 60 }
  const key = { 'idempotency-key': 'deploy-1' }
  const [first, second] = [
    expect(await writ.operator.manage('POST', '/activations', body, key), 201),
    expect(await writ.operator.manage('POST', '/activations', body, key), 201),
  ]
  assert.equal(first.id, second.id)
  assert.equal(first.requested_by, writ.operator.clientId)
  const mine = [await activate(writ, agent, of), await activate(writ, agent, of)]
  assert.notEqual(mine[0]?.body.activation, mine[1]?.body.activation)
  const wish = { eligibility: of, reason: 'x', seconds: 60 }
  const [one, two] = [
    expect(await own(writ, agent, '/activations', { ...wish, headers: key }), 201),
    expect(await own(writ, agent, '/activations', { ...wish, headers: key }), 201),
  ]
  assert.equal(one.activation, two.activation)
  const other = await own(writ, agent, '/activations', { ...wish, seconds: 61, headers: key })
  assert.equal(other.body.code, 'invalid_value')
  void approver
})

test('of two that approve at once one opens a grant, and there is one', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const second = await administrator(writ, ['writ:approvals'])
  const of = await eligibility(writ, agent)
  const { activation } = expect(await activate(writ, agent, of), 201)
  const path = `/approvals/${activation}/approve`
  const answers = await Promise.all(
    [approver, second, approver, second].map(who => as(who, 'writ:approvals:write', ['POST', path, {}])),
  )
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409, 409])
  const grants = expect(await writ.operator.manage('GET', `/grants?agent=${agent.clientId}`), 200).items
  assert.equal(grants.length, 1)
})

test('what nobody decides expires, and the log says so', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const soon = new Date(writ.nowMs() + 30_000).toISOString()
  const of = await eligibility(writ, agent, { expires_at: soon })
  const { activation } = expect(await activate(writ, agent, of), 201)
  writ.advance(31)
  const late = await as(approver, 'writ:approvals:write', ['POST', `/approvals/${activation}/approve`, {}])
  assert.deepEqual([late.status, late.body.code], [409, 'conflict'])
  const seen = expect(await as(approver, 'writ:approvals:read', ['GET', `/approvals/${activation}`]), 200)
  assert.equal(seen.state, 'expired')
})

test('the condition of an eligibility holds for what is opened from it; a text that is none is refused', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  await assert.rejects(eligibility(writ, agent, { condition: 'context.no_such == 1' }), /condition/)
  const condition = 'context has session'
  const of = await eligibility(writ, agent, { approval: 'none', condition })
  const { grant: opened } = expect(await activate(writ, agent, of), 201)
  const pep = await enforcementPoint(writ, ['writ:decisions:evaluate', 'writ:decisions:explain'])
  const asked = {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'write' },
    resource: { type: 'resource', id: api },
    options: { explain: true },
  }
  const { decision, context } = expect(await pep.ask('evaluation', asked), 200)
  assert.deepEqual([decision, context.writ.refused_by, context.writ.rule], [false, 'condition', opened])
})

/** Asks of an enforcement point whether the agent may write. */
async function writing(writ: Authority, agent: Party): Promise<() => Promise<boolean>> {
  const pep = await enforcementPoint(writ, ['writ:decisions:evaluate'])
  const asked = {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'write' },
    resource: { type: 'resource', id: api },
  }
  return async () => expect(await pep.ask('evaluation', asked), 200).decision
}

const oneCall = [{ unit: 'calls', limit: 1, window_seconds: 3600 }]

test('what an agent opens by itself spends what is left of its eligibility, however often it is opened', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const budgets = [{ ...oneCall[0], limit: 3 }]
  const of = await eligibility(writ, agent, { approval: 'none', budgets })
  const allowed = await writing(writ, agent)
  const [first] = [expect(await activate(writ, agent, of), 201), expect(await activate(writ, agent, of), 201)]
  assert.deepEqual([await allowed(), await allowed()], [true, true])
  expect(await own(writ, agent, `/activations/${first.activation}/cancel`, { reason: 'spent' }), 200)
  const { grant: third } = expect(await activate(writ, agent, of), 201)
  assert.equal(expect(await writ.operator.manage('GET', `/grants/${third}`), 200).budgets[0].left, 1)
  assert.deepEqual([await allowed(), await allowed()], [true, false])
  writ.advance(3700)
  expect(await activate(writ, agent, of), 201)
  // Their tokens have ended meanwhile.
  await writ.operator.manage('GET', '/halts')
  assert.equal(await (await writing(writ, agent))(), true, 'as much again in the next window')
})

test('however many activations share what is spent, the answer is a refusal, and no try again', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const of = await eligibility(writ, agent, { approval: 'none', budgets: oneCall })
  for (let time = 0; time < 40; time += 1) expect(await activate(writ, agent, of), 201)
  const allowed = await writing(writ, agent)
  assert.deepEqual([await allowed(), await allowed()], [true, false])
})

test('nor does a glass that is broken again begin a budget anew', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const of = await eligibility(writ, agent, { break_glass: true, budgets: oneCall })
  const allowed = await writing(writ, agent)
  const seen: boolean[] = []
  for (let time = 0; time < 3; time += 1) {
    const { activation } = expect(await activate(writ, agent, of, { break_glass: true }), 201)
    seen.push(await allowed())
    expect(await own(writ, agent, `/activations/${activation}/cancel`, { reason: 'again' }), 200)
  }
  assert.deepEqual(seen, [true, false, false])
})

test('whoever approves gives the budget once more', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const of = await eligibility(writ, agent, { budgets: oneCall })
  const allowed = await writing(writ, agent)
  for (let time = 0; time < 2; time += 1) {
    const { activation } = expect(await activate(writ, agent, of), 201)
    const path = `/approvals/${activation}/approve`
    expect(await as(approver, 'writ:approvals:write', ['POST', path, {}]), 200)
    assert.deepEqual([await allowed(), await allowed()], [true, false])
    expect(await own(writ, agent, `/activations/${activation}/cancel`, { reason: 'spent' }), 200)
  }
})
