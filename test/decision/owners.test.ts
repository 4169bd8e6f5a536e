// What one enforcement point reserved or had approved is no other's to settle or to show.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { as, scene } from '../activation/scene.ts'
import { api, expect, grant, newAgent, registerApi } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { enforcementPoint } from './point.ts'
import { enforce } from './policies.ts'

test('a reservation is settled by who reserved it, and by nobody else who learns its name', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ)
  const budgets = [{ unit: 'rows', limit: 100, window_seconds: 3600 }]
  const id = await grant(writ, agent.clientId, ['read'], { budgets })
  const [point, thief] = [await enforcementPoint(writ), await enforcementPoint(writ)]
  const { context } = expect(
    await point.ask('evaluation', {
      subject: { type: 'agent', id: agent.clientId },
      action: { name: 'read' },
      resource: { type: 'resource', id: api },
      context: { amounts: { rows: 90 }, reserve: true },
    }),
    200,
  )
  const settled = { reservation: context.reservation.id, amounts: { rows: 0 } }
  const stolen = await thief.ask('settlements', settled)
  assert.deepEqual([stolen.status, stolen.body.code], [409, 'conflict'], 'as if there were none')
  const left = async () => expect(await writ.operator.manage('GET', `/grants/${id}`), 200).budgets[0].left
  assert.equal(await left(), 10)
  expect(await point.ask('settlements', { ...settled, amounts: { rows: 5 } }), 200)
  assert.equal(await left(), 95)
})

test('an approval counts for the enforcement point that filed the denial, and not for one that borrows it', async t => {
  const writ = await authority(t)
  const { agent, approver } = await scene(writ)
  await grant(writ, agent.clientId, ['write'])
  await enforce(
    writ,
    '@id("four-eyes") forbid(principal, action == Writ::Action::"write", resource) unless { context has approval };',
  )
  const asking = ['writ:decisions:evaluate', 'writ:decisions:request']
  const [pep, thief] = [await enforcementPoint(writ, asking), await enforcementPoint(writ, asking)]
  const question = {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'write' },
    resource: { type: 'resource', id: api, properties: { place: { floor: 1, room: 2 } } },
  }
  const { context } = expect(await pep.ask('evaluation', question), 200)
  const { binding_token, expires_at } = context.access_request
  const { task } = expect(
    await pep.ask('access-requests', { ...question, denial: { binding_token, expires_at } }),
    201,
  )
  expect(await as(approver, 'writ:approvals:write', ['POST', `/approvals/${task.id}/approve`, {}]), 200)
  const shown = { ...question, context: { approval: { id: task.id } } }
  assert.equal(expect(await pep.ask('evaluation', shown), 200).decision, true)
  const reordered = { ...shown.resource, properties: { place: { room: 2, floor: 1 } } }
  const again = expect(await pep.ask('evaluation', { ...shown, resource: reordered }), 200)
  assert.equal(again.decision, true, 'the same attributes in another order')
  const borrowed = expect(await thief.ask('evaluation', shown), 200)
  assert.deepEqual([borrowed.decision, borrowed.context.reason], [false, 'approval_unverifiable'])
})
