// Attacks on approvals at the decision point: one that was given for something else, somebody else, or not any more.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { enforcementPoint } from '../decision/point.ts'
import { enforce } from '../decision/policies.ts'
import { api, expect, grant, newAgent } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { verifies } from '../rfc/verifies.ts'
import { administrator, as, scene } from './scene.ts'

const asking = ['writ:decisions:evaluate', 'writ:decisions:request']

/** Payments need somebody's approval, each of them; this one has it. */
async function approved(t: TestContext) {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  for (const who of [agent, approver]) await grant(writ, who.clientId, ['write', 'read'])
  await enforce(
    writ,
    '@id("four-eyes") forbid(principal, action, resource is Writ::Tool) unless { context has approval };',
  )
  const pep = await enforcementPoint(writ, asking)
  const question = {
    subject: { type: 'agent', id: agent.clientId, properties: { desk: 'one' } },
    action: { name: 'write', properties: { force: false } },
    resource: { type: 'tool', id: `${api}#pay`, properties: { time: '9:00' } },
    context: {
      arguments: { amount: 7, to: { name: 'ada', iban: 'x' } },
      amounts: { money: 7, currency: 'EUR' },
      region: 'eu',
      task: 'invoices',
    },
  }
  const { context } = expect(await pep.ask('evaluation', question), 200)
  const { binding_token, expires_at } = context.access_request
  const { task } = expect(
    await pep.ask('access-requests', { ...question, denial: { binding_token, expires_at } }),
    201,
  )
  const move = (name: string, body: object = {}) =>
    as(approver, 'writ:approvals:write', ['POST', `/approvals/${task.id}/${name}`, body])
  const follow = () => pep.party.call('GET', task.status_endpoint, { token: pep.token })
  type Members = { [Member in keyof typeof question]?: object }
  const ask = async (members: Members = {}, approval: unknown = { id: task.id }) => {
    const body = { ...question, ...members, context: { ...question.context, ...members.context, approval } }
    const answer = expect(await pep.ask('evaluation', body), 200)
    return [answer.decision, answer.context?.reason]
  }
  return { writ, agent, approver, pep, question, task, move, follow, ask }
}

test('an approval is good for what was approved as it was, and for nothing beside it', async t => {
  verifies('ARAP-12-1')
  const { approver, question, move, ask } = await approved(t)
  assert.deepEqual(await ask(), [false, 'approval_unverifiable'], 'nobody has approved yet')
  expect(await move('approve', { seconds: 60 }), 200)
  assert.deepEqual(await ask(), [true, undefined])
  const { subject, action, resource, context } = question
  const circumstances = { time: 'later', peer: '192.0.2.7', key_age: 3, nonce: 'n', request_id: 'r' }
  assert.deepEqual(await ask({ context: circumstances }), [true, undefined], 'a later minute is the same')
  const reordered = { arguments: { to: { iban: 'x', name: 'ada' }, amount: 7 } }
  assert.deepEqual(await ask({ context: reordered }), [true, undefined])
  const pay = `${api}#pay`
  const others: readonly Parameters<typeof ask>[0][] = [
    { context: { arguments: { ...context.arguments, amount: 8 } } },
    { context: { arguments: { ...context.arguments, amount: '7' } } },
    { context: { arguments: { ...context.arguments, note: null } } },
    { context: { arguments: { amount: 7, to: { name: 'ada', iban: 'y' } } } },
    { context: { arguments: {} } },
    { context: { amounts: { money: 1_000_000, currency: 'EUR' } } },
    { context: { amounts: { money: 7, currency: 'JPY' } } },
    { context: { amounts: {} } },
    { context: { region: 'us' } },
    { context: { task: 'payroll' } },
    { context: { chain: [{ type: 'agent', id: approver.clientId }] } },
    { subject: { ...subject, properties: { desk: 'two' } } },
    { subject: { ...subject, id: approver.clientId } },
    { action: { name: 'read', properties: { force: false } } },
    { action: { name: 'write', properties: { force: true } } },
    { resource: { ...resource, id: `${api}#refund` } },
    { resource: { ...resource, properties: { time: '10:00' } } },
    { resource: { ...resource, properties: {} } },
  ]
  for (const other of others)
    assert.deepEqual(await ask(other), [false, 'out_of_scope'], JSON.stringify(other))
  // Another spelling of what was approved is refused before anybody looks for its approval.
  const spellings: readonly object[] = [
    ...[`${api}#Pay`, `${api}#p%61y`, `${api}#./pay`, `${api}#pay\u200b`, `${api}/#pay`, `${pay}#`].map(
      id => ({
        resource: { ...resource, id },
      }),
    ),
    { resource: { ...resource, type: 'Tool' } },
    { action: { ...action, name: 'WRITE' } },
    { subject: { ...subject, type: 'Agent' } },
  ]
  for (const other of spellings) assert.equal((await ask(other))[0], false, JSON.stringify(other))
  for (const id of ['apr_00000000000000000000000000', 'apr_', '*', `${api}`, 'x'.repeat(2000)])
    assert.deepEqual(await ask({}, { id }), [false, 'approval_unverifiable'], id)
})

test('an approval ends at its end, or where it is taken back, and is given once', async t => {
  verifies('ARAP-11.1.1-1', 'ARAP-12-2')
  const { writ, move, follow, ask, pep, task } = await approved(t)
  expect(await move('approve', { seconds: 60 }), 200)
  const again = await move('approve', { seconds: 600 })
  assert.deepEqual([again.status, again.body.code], [409, 'conflict'], 'it is not approved for longer')
  assert.equal((await move('deny', { reason: 'x' })).status, 409)
  const cancelled = await pep.party.call('POST', `${task.status_endpoint}/cancel`, {
    token: pep.token,
    body: {},
  })
  assert.deepEqual([cancelled.status, cancelled.body.code], [409, 'invalid_task_state'])
  const { approval } = expect(await follow(), 200).result
  assert.deepEqual(await ask({}, approval), [true, undefined])
  const longer = { ...approval, approved_until: '2099-01-01T00:00:00Z', approved_at: '2000-01-01T00:00:00Z' }
  writ.advance(61)
  assert.deepEqual(
    await ask({}, longer),
    [false, 'approval_expired'],
    'its end is what we know, not what is said',
  )
})

test('a token of a denial files one task of its own question, however often and in whatever company', async t => {
  verifies('ARAP-10.1-1', 'ARAP-21.1.4-1')
  const { writ, agent, approver, pep, question, task, ask } = await approved(t)
  const deny = async (of: object) => {
    const { context } = expect(await pep.ask('evaluation', of), 200)
    const { binding_token, expires_at } = context.access_request
    return { binding_token, expires_at }
  }
  const denial = await deny(question)
  const fresh = expect(await pep.ask('access-requests', { ...question, denial }), 201)
  assert.notEqual(fresh.task.id, task.id)
  assert.equal(expect(await pep.ask('access-requests', { ...question, denial }), 201).task.id, fresh.task.id)
  const elsewhere = [
    { subject: { ...question.subject, id: approver.clientId } },
    { resource: { ...question.resource, id: `${api}#refund` } },
    { context: { ...question.context, amounts: { money: 70, currency: 'EUR' } } },
    { context: { ...question.context, task: 'payroll' } },
  ]
  for (const members of elsewhere) {
    const answer = await pep.ask('access-requests', { ...question, ...members, denial })
    assert.deepEqual([answer.status, answer.body.code], [400, 'invalid_denial_binding'])
  }
  // Two halves of two good tokens.
  const other = await deny({ ...question, subject: { ...question.subject, id: approver.clientId } })
  const [payload] = denial.binding_token.split('.')
  const [, mac] = other.binding_token.split('.')
  const mixed = { ...denial, binding_token: `${payload}.${mac}` }
  assert.equal((await pep.ask('access-requests', { ...question, denial: mixed })).status, 400)
  const filed = await Promise.all(
    Array.from({ length: 8 }, () =>
      pep.ask('access-requests', {
        ...question,
        denial: other,
        subject: { ...question.subject, id: approver.clientId },
      }),
    ),
  )
  assert.equal(new Set(filed.map(answer => expect(answer, 201).task.id)).size, 1, 'at once as well')
  expect(await writ.operator.manage('POST', `/agents/${agent.clientId}/suspend`, { reason: 'odd' }), 200)
  assert.equal((await ask())[0], false)
  const stranger = await newAgent(writ)
  const seen = await stranger.call('GET', task.status_endpoint, {
    token: await stranger.token(api).catch(() => 'x'),
  })
  assert.equal(seen.status, 401)
})

test('nobody approves what it takes part in itself, in whatever place of the chain', async t => {
  verifies('ARAP-21.2.2-1')
  const { writ, agent, pep, question } = await approved(t)
  const acting = await administrator(writ, ['writ:approvals'])
  await grant(writ, acting.clientId, ['write'])
  const chained = {
    ...question,
    subject: { type: 'agent', id: acting.clientId },
    context: { ...question.context, chain: [{ type: 'agent', id: agent.clientId }] },
  }
  const { context } = expect(await pep.ask('evaluation', chained), 200)
  const { binding_token, expires_at } = context.access_request
  const { task } = expect(
    await pep.ask('access-requests', { ...chained, denial: { binding_token, expires_at } }),
    201,
  )
  const own = await as(acting, 'writ:approvals:write', ['POST', `/approvals/${task.id}/approve`, {}])
  assert.deepEqual([own.status, own.body.code], [403, 'access_denied'])
})
