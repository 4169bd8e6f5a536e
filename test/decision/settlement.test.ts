// A reservation belongs to the enforcement point that made it: nobody else gives back what it took.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, expect, grant, newAgent, registerApi } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { enforcementPoint } from './point.ts'

test('an enforcement point settles what it reserved itself, and nothing of another', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ)
  const budgets = [{ unit: 'rows', limit: 100, window_seconds: 3600 }]
  const id = await grant(writ, agent.clientId, ['read'], { budgets })
  const [own, other] = [await enforcementPoint(writ), await enforcementPoint(writ)]
  const question = {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'read' },
    resource: { type: 'resource', id: api },
    context: { amounts: { rows: 50 }, reserve: true },
  }
  const { reservation } = expect(await own.ask('evaluation', question), 200).context
  const settled = { reservation: reservation.id, amounts: { rows: 0 } }
  const borrowed = await other.ask('settlements', settled)
  assert.deepEqual([borrowed.status, borrowed.body.code], [409, 'conflict'])
  const shown = expect(await writ.operator.manage('GET', `/grants/${id}`), 200)
  assert.equal(shown.budgets[0].left, 50)
  expect(await own.ask('settlements', settled), 200)
})
