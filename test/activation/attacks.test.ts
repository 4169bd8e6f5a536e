// Attacks on activation: deciding for oneself, getting more than was asked, using what has ended, speaking for others.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, expect, newAgent, registerApi } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { activate, administrator, as, eligibility, entries, own, scene, scopesNow } from './scene.ts'

const write = 'writ:approvals:write'

test('nobody approves, denies or reviews what it asked for itself, or gains by', async t => {
  const writ = await authority(t)
  await scene(writ)
  // An agent that may approve everything, and is eligible itself.
  const agent = await administrator(writ, ['writ:approvals', 'writ:activations:write'])
  const of = await eligibility(writ, agent, { break_glass: true })
  const own1 = expect(await activate(writ, agent, of), 201).activation
  const byOther = await writ.operator.manage('POST', '/activations', {
    eligibility: of,
    reason: 'x',
    seconds: 60,
  })
  const broken = expect(await activate(writ, agent, of, { break_glass: true }), 201).activation
  for (const id of [own1, expect(byOther, 201).id]) {
    for (const [move, body] of [
      ['approve', {}],
      ['deny', { reason: 'x' }],
    ] as const) {
      const answer = await as(agent, write, ['POST', `/approvals/${id}/${move}`, body])
      assert.deepEqual([answer.status, answer.body.code], [403, 'access_denied'], move)
    }
  }
  const verdict = { verdict: 'justified', note: 'believe me' }
  const review = await as(agent, write, ['POST', `/approvals/${broken}/review`, verdict])
  assert.equal(review.body.code, 'access_denied')
  // Nor does whoever asked for somebody else.
  const asked = await writ.operator.manage('POST', `/approvals/${byOther.body.id}/approve`, {})
  assert.equal(asked.body.code, 'access_denied')
  const refused = await entries(writ, 'approval.approved')
  assert.ok(refused.length >= 3, 'each attempt is an entry')
})

test('where an eligibility names approvers, nobody else approves, whatever their scopes', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const named = await administrator(writ, ['writ:approvals'])
  const of = await eligibility(writ, agent, { approvers: [named.clientId] })
  const { activation } = expect(await activate(writ, agent, of), 201)
  const path = `/approvals/${activation}/approve`
  for (const who of [approver, writ.operator])
    assert.equal((await as(who, write, ['POST', path, {}])).body.code, 'access_denied')
  expect(await as(named, write, ['POST', path, {}]), 200)
  const itself = { approvers: [agent.clientId] }
  await assert.rejects(eligibility(writ, agent, itself), /approver/)
})

test('an approval never gives more than was asked: not more scopes, not more time, not a limit less', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const of = await eligibility(writ, agent)
  const { activation } = expect(await activate(writ, agent, of, { scopes: ['read'], seconds: 60 }), 201)
  for (const body of [
    { scopes: ['read', 'write'] },
    { scopes: ['all'] },
    { scopes: ['erase'] },
    { scopes: [] },
    { seconds: 61 },
    { scopes: ['nothing'] },
  ]) {
    const answer = await as(approver, write, ['POST', `/approvals/${activation}/approve`, body])
    assert.deepEqual([answer.status, answer.body.code], [422, 'invalid_value'], JSON.stringify(body))
  }
  assert.equal(await scopesNow(agent), '')
})

test('an activation never asks for more than the eligibility has, nor breaks glass that is not there', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const of = await eligibility(writ, agent, { scopes: ['read'] })
  for (const members of [{ scopes: ['write'] }, { scopes: ['all'] }, { scopes: ['erase'] }, { seconds: 601 }])
    assert.equal((await activate(writ, agent, of, members)).body.code, 'invalid_value')
  assert.equal((await activate(writ, agent, of, { scopes: [] })).status, 422)
  assert.equal((await activate(writ, agent, of, { seconds: 0 })).status, 422)
  assert.equal((await activate(writ, agent, of, { break_glass: true })).body.code, 'access_denied')
})

test('the eligibility of another agent is one that is not there, and so is its task', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const thief = await newAgent(writ)
  const of = await eligibility(writ, agent, { approval: 'none' })
  const nothing = 'elg_00000000000000000000000000'
  const answers = [await activate(writ, thief, of), await activate(writ, thief, nothing)]
  for (const { status, body } of answers)
    assert.deepEqual([status, body.detail], [422, 'There is no such eligibility.'])
  const { activation } = expect(await activate(writ, agent, of), 201)
  for (const [what, members] of [
    ['status', {}],
    ['cancel', { reason: 'x' }],
  ] as const) {
    const answer = await own(writ, thief, `/activations/${activation}/${what}`, members)
    assert.equal(answer.body.code, 'not_found')
  }
  assert.equal(await scopesNow(agent), 'read write')
})

test('the evidence of an instance opens once, and only what it was made for', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const of = await eligibility(writ, agent, { approval: 'none' })
  const client_assertion = agent.assertion({ cnf: { jkt: agent.key.jkt } })
  expect(await activate(writ, agent, of, { client_assertion }), 201)
  assert.equal((await activate(writ, agent, of, { client_assertion })).status, 401, 'replayed')
  const forToken = await activate(writ, agent, of, { client_assertion: agent.assertion() })
  assert.equal(forToken.body.code, 'invalid_client', 'made for a token, not for this')
  const thief = await newAgent(writ)
  const forThief = agent.assertion({ cnf: { jkt: thief.key.jkt } })
  const stolen = await own(writ, agent, '/activations', {
    eligibility: of,
    reason: 'x',
    seconds: 60,
    client_assertion: forThief,
  })
  assert.equal(stolen.body.code, 'invalid_client')
  const elsewhere = await own(writ, agent, '/activations', {
    eligibility: of,
    reason: 'x',
    seconds: 60,
    headers: { dpop: agent.proof('/rekey') },
  })
  assert.equal(elsewhere.body.code, 'invalid_dpop_proof')
})

test('a suspended agent activates nothing, and nothing of it is approved', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const of = await eligibility(writ, agent)
  const { activation } = expect(await activate(writ, agent, of), 201)
  const stop = await writ.operator.manage('POST', `/agents/${agent.clientId}/suspend`, { reason: 'odd' })
  expect(stop, 200)
  assert.equal((await activate(writ, agent, of)).body.code, 'invalid_client')
  const late = await as(approver, write, ['POST', `/approvals/${activation}/approve`, {}])
  assert.equal(late.body.code, 'conflict')
  const forIt = { eligibility: of, reason: 'x', seconds: 60 }
  assert.equal((await writ.operator.manage('POST', '/activations', forIt)).body.code, 'conflict')
})

test('nobody is lifted above itself through an eligibility of the management API', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const climber = await administrator(writ, [
    'writ:eligibilities',
    'writ:activations:write',
    'writ:approvals',
    'writ:keys',
  ])
  const management = `${writ.issuer}/api/v1`
  const body = {
    agent: agent.clientId,
    resource: management,
    scopes: ['writ:agents:write'],
    max_seconds: 60,
    approval: 'none',
    reason: 'x',
  }
  const made = await as(climber, 'writ:eligibilities:write', ['POST', '/eligibilities', body])
  assert.equal(made.body.code, 'access_denied', 'it gives no right that it has not')
  const of = expect(await writ.operator.manage('POST', '/eligibilities', body), 201).id
  const wish = { eligibility: of, reason: 'x', seconds: 60 }
  const asked = await as(climber, 'writ:activations:write', ['POST', '/activations', wish])
  assert.equal(asked.body.code, 'access_denied')
  // A key of the eligible agent would be the right itself: its activation needs nobody.
  const enrol = await as(climber, 'writ:keys:write', ['POST', `/agents/${agent.clientId}/enrollments`, {}])
  assert.equal(enrol.body.code, 'access_denied')
  const asking = expect(
    await writ.operator.manage('POST', '/eligibilities', { ...body, approval: 'required' }),
    201,
  ).id
  const waiting = expect(await activate(writ, agent, asking, { seconds: 60 }), 201).activation
  const approved = await as(climber, write, ['POST', `/approvals/${waiting}/approve`, {}])
  assert.equal(approved.body.code, 'access_denied')
  const glass = { ...body, approval: 'required', break_glass: true }
  const broken = expect(await writ.operator.manage('POST', '/eligibilities', glass), 201).id
  const open = { seconds: 60, break_glass: true }
  const task = expect(await activate(writ, agent, broken, open), 201).activation
  for (const verdict of ['unjustified', 'justified']) {
    const path = `/approvals/${task}/review`
    const review = await as(climber, write, ['POST', path, { verdict, note: 'x' }])
    assert.equal(
      review.body.code,
      'access_denied',
      `neither ends nor whitewashes what is above it: ${verdict}`,
    )
  }
  const last = { verdict: 'justified', note: 'seen' }
  expect(await writ.operator.manage('POST', `/approvals/${task}/review`, last), 200)
})

test('requests that wait are bounded, so that no agent buries the others', async t => {
  const writ = await authority(t)
  const { agent } = await scene(writ)
  const of = await eligibility(writ, agent)
  for (let at = 0; at < 32; at++) expect(await activate(writ, agent, of), 201)
  assert.equal((await activate(writ, agent, of)).body.code, 'conflict')
})

test('details of an eligibility are narrowed by activation and approval, and never widened or dropped', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  const pay = { type: 'mcp_tool', server: api, tool: 'pay' }
  const small = { ...pay, arguments: { amount: { range: { max: 10 } } } }
  const other = { ...pay, tool: 'refund' }
  const elsewhere = { scopes: ['read'], authorization_details: [{ ...pay, server: 'https://other.example' }] }
  await assert.rejects(eligibility(writ, agent, elsewhere), /another resource/)
  const of = await eligibility(writ, agent, { scopes: ['read'], authorization_details: [pay] })
  for (const authorization_details of [[other], [pay, other], [{ ...pay, server: 'https://other.example' }]])
    assert.equal((await activate(writ, agent, of, { authorization_details })).body.code, 'invalid_value')
  assert.equal((await activate(writ, agent, of, { authorization_details: [{ type: 'pay' }] })).status, 422)
  assert.equal((await activate(writ, agent, of, { authorization_details: [] })).status, 422)
  const { activation } = expect(await activate(writ, agent, of, { authorization_details: [small] }), 201)
  const path = `/approvals/${activation}/approve`
  for (const authorization_details of [[], [pay], [other]]) {
    const answer = await as(approver, write, ['POST', path, { authorization_details }])
    assert.equal(answer.body.code, 'invalid_value', JSON.stringify(authorization_details))
  }
  const approved = expect(await as(approver, write, ['POST', path, {}]), 200)
  assert.deepEqual(approved.approved.authorization_details, [small])
})

test('what was meant for a resource or a scope that is gone opens nothing at the next one of its name', async t => {
  const writ = await authority(t)
  const agent = await newAgent(writ)
  const approver = await administrator(writ, ['writ:approvals'])
  const first = await registerApi(writ)
  const of = await eligibility(writ, agent, { approval: 'none' })
  const asking = await eligibility(writ, agent)
  const asked = expect(await activate(writ, agent, asking), 201).activation
  expect(await writ.operator.manage('DELETE', `/resources/${first}`), 204)
  writ.advance(2)
  const second = await registerApi(writ)
  assert.equal((await activate(writ, agent, of)).body.code, 'conflict')
  const late = await as(approver, write, ['POST', `/approvals/${asked}/approve`, {}])
  assert.equal(late.body.code, 'conflict')

  const scopesOf = (...names: string[]) => ({ scopes: names.map(name => ({ name, description: name })) })
  const standing = await eligibility(writ, agent, { approval: 'none' })
  expect(await writ.operator.manage('PATCH', `/resources/${second}`, scopesOf('read')), 200)
  expect(await writ.operator.manage('PATCH', `/resources/${second}`, scopesOf('read', 'write')), 200)
  assert.equal((await activate(writ, agent, standing, { scopes: ['write'] })).body.code, 'invalid_value')
  expect(await activate(writ, agent, standing, { scopes: ['read'] }), 201)
  assert.equal(await scopesNow(agent), 'read')
})
