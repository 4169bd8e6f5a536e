// Denied, ask here (AuthZEN access request and approval profile): from a denial to an approval, and again to the decision.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enforcementPoint } from '../decision/point.ts'
import { api, expect, grant } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import type { Party } from '../harness/party.ts'
import { verifies } from '../rfc/verifies.ts'
import { as, entries, scene } from './scene.ts'

const asking = ['writ:decisions:evaluate', 'writ:decisions:request']

const question = (agent: Party) => ({
  subject: { type: 'agent', id: agent.clientId },
  action: { name: 'write' },
  resource: { type: 'resource', id: api },
  context: { arguments: { page: 7 }, time: 'now' },
})

async function denied(writ: Authority) {
  const { agent, approver } = await scene(writ)
  const pep = await enforcementPoint(writ, asking)
  const asked = question(agent)
  const { decision, context } = expect(await pep.ask('evaluation', asked), 200)
  assert.equal(decision, false)
  const { access_request: request, evaluation_id, evaluated_at, reason } = context
  const { binding_token, expires_at, template } = request
  const denial = { binding_token, expires_at, template, evaluation_id, evaluated_at, reason }
  return { agent, approver, pep, asked, request, filed: { ...asked, denial } }
}

test('a denial is filed, approved narrower in time, and evaluated again: only that decides', async t => {
  verifies('ARAP-7.1-1', 'ARAP-11.3-1', 'ARAP-12-3')
  const writ = await authority(t)
  const { agent, approver, pep, asked, request, filed } = await denied(writ)
  assert.equal(request.endpoint, `${writ.issuer}/access/v1/access-requests`)
  const justified = { ...asked.context, business_justification: 'the page is wrong' }
  const answer = await pep.ask('access-requests', { ...filed, context: justified })
  const { task } = expect(answer, 201)
  assert.equal(answer.headers.get('location'), task.status_endpoint)
  assert.equal(task.status, 'pending')
  assert.equal(expect(await pep.ask('evaluation', asked), 200).decision, false, 'asking is not having')
  const shown = expect(await as(approver, 'writ:approvals:read', ['GET', `/approvals/${task.id}`]), 200)
  assert.deepEqual(
    [shown.kind, shown.agent, shown.scopes, shown.operation.action, shown.reason],
    ['access_request', agent.clientId, ['write'], 'write', 'the page is wrong'],
  )
  const path = `/approvals/${task.id}/approve`
  expect(await as(approver, 'writ:approvals:write', ['POST', path, { seconds: 60 }]), 200)
  const followed = expect(await pep.party.call('GET', task.status_endpoint, { token: pep.token }), 200)
  assert.equal(followed.task.status, 'approved')
  assert.equal(followed.result.mode, 'reevaluate')
  const again = { ...asked, context: { ...asked.context, approval: followed.result.approval } }
  assert.equal(expect(await pep.ask('evaluation', again), 200).decision, true)
  const other = { ...again, context: { ...again.context, arguments: { page: 8 } } }
  const refused = expect(await pep.ask('evaluation', other), 200)
  assert.deepEqual([refused.decision, refused.context.reason], [false, 'out_of_scope'])
  writ.advance(61)
  const late = expect(await pep.ask('evaluation', again), 200)
  assert.deepEqual([late.decision, late.context.reason], [false, 'approval_expired'])
  const [entry] = await entries(writ, 'access-request.filed')
  assert.equal(entry?.agent, agent.clientId)
  const { evaluation_id, reason, evaluated_at } = filed.denial
  assert.equal(entry?.decision['evaluation'], evaluation_id, 'the denial is found from the request')
  const found = await writ.operator.manage('GET', `/events?request_id=${evaluation_id}`)
  assert.deepEqual(
    expect(found, 200).items.map(({ type }: { type: string }) => type),
    ['decision.evaluated'],
  )
  assert.equal(reason, 'approval_required')
  assert.ok(Date.parse(evaluated_at) <= Date.parse(request.expires_at) - 600_000)
})

test('a submission without what binds it, with another end or another evaluation, or for an actor nobody named is refused', async t => {
  verifies('ARAP-10.1-2', 'ARAP-19.1-1')
  const writ = await authority(t)
  const { agent, pep, asked, filed } = await denied(writ)
  const later = new Date(Date.parse(filed.denial.expires_at) + 1000).toISOString()
  const sooner = new Date(Date.parse(filed.denial.expires_at) - 1000).toISOString()
  const { binding_token, evaluation_id, ...unbound } = filed.denial
  const stranger = { id: 'agt_00000000000000000000000000' }
  const wrong: readonly [string, object][] = [
    ['no denial', { denial: undefined }],
    ['a name alone', { denial: { ...unbound, evaluation_id } }],
    ['a longer end', { denial: { ...filed.denial, expires_at: later } }],
    ['a shorter end', { denial: { ...filed.denial, expires_at: sooner } }],
    ['no end', { denial: { binding_token, evaluation_id } }],
    ['another evaluation', { denial: { ...filed.denial, evaluation_id: `${evaluation_id}.1` } }],
    ['an actor', { client: { actor: stranger } }],
    ['an actor without a name', { client: { actor: {} } }],
    ['an actor of elsewhere', { client: { actor: { id: agent.clientId, issuer: 'https://other.example' } } }],
    ['an actor for another', { client: { actor: { id: agent.clientId, act: { sub: stranger.id } } } }],
  ]
  for (const [what, members] of wrong) {
    const { status, body } = await pep.ask('access-requests', { ...filed, ...members })
    assert.deepEqual([status, body.code], [400, 'invalid_denial_binding'], what)
  }
  const actor = { id: pep.party.clientId, issuer: writ.issuer, type: 'service', act: { sub: agent.clientId } }
  const client = { id: 'gateway', name: 'Gateway', actor, source: { session_id: 's' } }
  expect(await pep.ask('access-requests', { ...asked, denial: filed.denial, client }), 201)
})

test('an approval with a state that is not ours is one that cannot be verified', async t => {
  const writ = await authority(t)
  const { approver, pep, asked, filed } = await denied(writ)
  const { task } = expect(await pep.ask('access-requests', filed), 201)
  expect(await as(approver, 'writ:approvals:write', ['POST', `/approvals/${task.id}/approve`, {}]), 200)
  const approval = { id: task.id, state: 'eyJhbGciOiJub25lIn0.e30.' }
  const shown = { ...asked, context: { ...asked.context, approval } }
  const answer = expect(await pep.ask('evaluation', shown), 200)
  assert.deepEqual([answer.decision, answer.context.reason], [false, 'approval_unverifiable'])
})

test('neither the enforcement point nor the agent approves what it filed', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const pep = await enforcementPoint(writ, [...asking, 'writ:approvals'])
  const asked = question(agent)
  const { context } = expect(await pep.ask('evaluation', asked), 200)
  const { binding_token, expires_at } = context.access_request
  const filed = { ...asked, denial: { binding_token, expires_at } }
  const { task } = expect(await pep.ask('access-requests', filed), 201)
  const path = `/approvals/${task.id}/approve`
  assert.equal((await as(pep.party, 'writ:approvals:write', ['POST', path, {}])).body.code, 'access_denied')
  const denial = { reason: 'no' }
  expect(await as(approver, 'writ:approvals:write', ['POST', `/approvals/${task.id}/deny`, denial]), 200)
  const shown = { ...asked, context: { ...asked.context, approval: { id: task.id } } }
  const answer = expect(await pep.ask('evaluation', shown), 200)
  assert.deepEqual(
    [answer.decision, answer.context.reason, answer.context.next_action],
    [false, 'approval_unverifiable', 'none'],
  )
})

test('another enforcement point files nothing with a borrowed denial, and sees no task', async t => {
  verifies('ARAP-11-1', 'ARAP-14-1')
  const writ = await authority(t)
  const { pep, filed } = await denied(writ)
  const thief = await enforcementPoint(writ, asking)
  const problem = await thief.ask('access-requests', filed)
  assert.deepEqual(
    [problem.status, problem.body.type],
    [400, 'urn:openid:authzen:access-request:error:invalid_denial_binding'],
  )
  assert.match(problem.headers.get('content-type') ?? '', /^application\/problem\+json/)
  const { task } = expect(await pep.ask('access-requests', filed), 201)
  const seen = await thief.party.call('GET', task.status_endpoint, { token: thief.token })
  assert.deepEqual(
    [seen.status, seen.body.type],
    [404, 'urn:openid:authzen:access-request:error:unknown_task'],
  )
})

test('cancelled by its enforcement point a task is over; the Idempotency-Key of one request serves no other', async t => {
  verifies('ARAP-10.1-3', 'ARAP-11.4-1')
  const writ = await authority(t)
  const { pep, filed } = await denied(writ)
  const key = { 'idempotency-key': 'one' }
  const { task } = expect(await pep.ask('access-requests', filed, key), 201)
  assert.equal(expect(await pep.ask('access-requests', filed, key), 201).task.id, task.id)
  const other = await pep.ask('access-requests', { ...filed, requested_access: { emergency: true } }, key)
  assert.deepEqual([other.status, other.body.code], [409, 'duplicate_request'])
  const cancel = () => pep.party.call('POST', task.links.cancel, { token: pep.token, body: {} })
  assert.equal(expect(await cancel(), 200).task.status, 'cancelled')
  const again = await cancel()
  assert.deepEqual([again.status, again.body.code], [409, 'invalid_task_state'])
})

test('an approval that is ended early counts no longer, though its time is not over', async t => {
  const writ = await authority(t)
  const { approver, pep, asked, filed } = await denied(writ)
  const { task } = expect(await pep.ask('access-requests', filed), 201)
  expect(await as(approver, 'writ:approvals:write', ['POST', `/approvals/${task.id}/approve`, {}]), 200)
  const again = { ...asked, context: { ...asked.context, approval: { id: task.id } } }
  assert.equal(expect(await pep.ask('evaluation', again), 200).decision, true)
  const reason = { reason: 'enough' }
  expect(await as(approver, 'writ:approvals:write', ['POST', `/approvals/${task.id}/cancel`, reason]), 200)
  assert.equal(expect(await pep.ask('evaluation', again), 200).decision, false)
  assert.equal(expect(await pep.ask('evaluation', asked), 200).decision, false, 'nor does its grant')
})

test('who may not file hears nothing of filing, and what no approval helps is not requestable', async t => {
  verifies('ARAP-7-1')
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const plain = await enforcementPoint(writ, ['writ:decisions:evaluate'])
  assert.equal(expect(await plain.ask('evaluation', question(agent)), 200).context, undefined)
  const pep = await enforcementPoint(writ, asking)
  const stop = { reason: 'odd' }
  expect(await writ.operator.manage('POST', `/agents/${agent.clientId}/suspend`, stop), 200)
  assert.equal(expect(await pep.ask('evaluation', question(agent)), 200).context, undefined)
  const person = { ...question(agent), subject: { type: 'user', id: 'ada' } }
  assert.equal(expect(await pep.ask('evaluation', person), 200).context, undefined)
})

test('the metadata of the decision point name where to file', async t => {
  verifies('ARAP-6-1')
  const writ = await authority(t)
  const metadata = await (await writ.fetch('/.well-known/authzen-configuration')).json()
  const { access_request_endpoint, capabilities, jwks_uri } = metadata as Record<string, unknown>
  assert.equal(jwks_uri, `${writ.issuer}/jwks`, 'by which callbacks are verified')
  assert.equal(access_request_endpoint, `${writ.issuer}/access/v1/access-requests`)
  assert.deepEqual(capabilities, ['urn:openid:authzen:capability:access-request'])
})

test('where policies ask for an approval, the approval alone is asked for, and opens no grant', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  await grant(writ, agent.clientId, ['write'])
  const source = `@id("four-eyes") forbid(principal, action == Writ::Action::"write", resource)
    unless { context has approval };`
  const set = expect(await writ.operator.manage('POST', '/policies', { source, note: 'four eyes' }), 201)
  expect(await writ.operator.manage('POST', `/policies/${set.id}/activate`, { reason: 'four eyes' }), 200)
  const pep = await enforcementPoint(writ, asking)
  const asked = question(agent)
  const { decision, context } = expect(await pep.ask('evaluation', asked), 200)
  assert.equal(decision, false)
  assert.equal(context.access_request.template, 'approval')
  const { binding_token, expires_at } = context.access_request
  const filed = { ...asked, denial: { binding_token, expires_at } }
  const { task } = expect(await pep.ask('access-requests', filed), 201)
  const path = `/approvals/${task.id}/approve`
  const widened = await as(approver, 'writ:approvals:write', ['POST', path, { scopes: ['write'] }])
  assert.equal(widened.body.code, 'invalid_value', 'no scope was asked for')
  const approved = expect(await as(approver, 'writ:approvals:write', ['POST', path, {}]), 200)
  assert.equal(approved.grant, null)
  const again = { ...asked, context: { ...asked.context, approval: { id: task.id } } }
  assert.equal(expect(await pep.ask('evaluation', again), 200).decision, true)
  assert.equal(
    expect(await pep.ask('evaluation', asked), 200).decision,
    false,
    'unshown it counts for nothing',
  )
})
