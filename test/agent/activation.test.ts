// The agent SDK opens what its agent is eligible for, against the authority itself, and the guide shows how.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Agent } from '@writ/sdk/agent'
import type { Code } from '@writ/sdk/protocol/fault'
import { administrator, as, entries } from '../activation/scene.ts'
import { api, expect, grant, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { enrolled } from './enrolled.ts'
import { fault } from './refusals.ts'

interface World {
  readonly writ: Authority
  readonly agent: Agent
  /** Of which requests the answer is lost, once each. */
  readonly lost: Set<string>
  readonly asked: string[]
  eligible(members?: Record<string, unknown>): Promise<string>
  decide(id: string, verb: 'approve' | 'deny', body?: object): Promise<unknown>
}

async function world(t: TestContext): Promise<World> {
  const writ = await authority(t)
  await registerApi(writ)
  const approver = await administrator(writ, ['writ:approvals'])
  const { agent, lost, asked } = await enrolled(t, writ)
  const id = agent.clientId
  return {
    writ,
    agent,
    lost,
    asked,
    async eligible(members = {}) {
      const standard = { agent: id, resource: api, scopes: ['read', 'write'], max_seconds: 600 }
      const body = { ...standard, approval: 'none', reason: 'on call', ...members }
      return expect(await writ.operator.manage('POST', '/eligibilities', body), 201).id
    },
    decide: async (task, verb, body = {}) =>
      expect(await as(approver, 'writ:approvals:write', ['POST', `/approvals/${task}/${verb}`, body]), 200),
  }
}

async function refuses(asked: Promise<unknown>, code: Code, says = /./): Promise<void> {
  await assert.rejects(asked, error => fault(code)(error) && says.test((error as Error).message))
}

const wish = { reason: 'the disk is full', seconds: 60 }

test('what opens by itself is there with the answer, for what is asked of it, and ends early where that is wanted', async t => {
  const { agent, eligible, writ } = await world(t)
  const of = await eligible()
  await refuses(agent.token({ resource: api, scope: 'read' }), 'invalid_scope')
  const opened = await agent.activate(of, { ...wish, scope: 'read' })
  assert.deepEqual([opened.state, opened.resource, opened.scope], ['approved', api, 'read'])
  assert.ok(opened.endsAt !== null && opened.endsAt <= Math.ceil(writ.nowMs() / 1000) + 60)
  assert.equal((await agent.token({ resource: api, scope: 'read' })).scope, 'read')
  await refuses(agent.token({ resource: api, scope: 'write' }), 'invalid_scope')
  const ended = await opened.end('done early')
  assert.ok(ended.endsAt !== null && ended.endsAt < opened.endsAt)
  await refuses(agent.token({ resource: api, scope: 'read' }), 'invalid_scope')
  await refuses(opened.end('twice'), 'conflict')
})

test('what somebody has to approve is waited for, and the token kept until then knows of it', async t => {
  const { agent, eligible, decide, writ } = await world(t)
  await grant(writ, agent.clientId, ['read'])
  assert.equal((await agent.token({ resource: api })).scope, 'read')
  const asked = await agent.activate(await eligible({ approval: 'required' }), wish)
  assert.deepEqual([asked.state, asked.endsAt], ['pending', null])
  assert.equal((await agent.token({ resource: api })).scope, 'read', 'asking is not having')
  const waiting = asked.decided()
  await decide(asked.id, 'approve', { scopes: ['write'], reason: 'this time' })
  const { state, scope, decisionReason } = await waiting
  assert.deepEqual([state, scope, decisionReason], ['approved', 'write', 'this time'])
  assert.equal((await agent.token({ resource: api })).scope, 'read write')
})

test('a denial is an answer; who waits no longer hears that it is pending, and may be told to stop', async t => {
  const { agent, eligible, decide } = await world(t)
  const of = await eligible({ approval: 'required' })
  const asked = await agent.activate(of, wish)
  assert.equal((await asked.decided({ seconds: 0 })).state, 'pending')
  for (const seconds of [Number.NaN, -1])
    await assert.rejects(asked.decided({ seconds }), { code: 'invalid_request' })
  const aborted = asked.decided({ signal: AbortSignal.abort(new Error('shutting down')) })
  await assert.rejects(aborted, /shutting down/)
  await decide(asked.id, 'deny', { reason: 'freeze' })
  const { state, decisionReason } = await asked.decided()
  assert.deepEqual([state, decisionReason], ['denied', 'freeze'])
  const second = await agent.activate(of, wish)
  assert.equal((await second.end('not needed')).state, 'cancelled')
})

test('an answer that was lost is asked for again, and makes one request', async t => {
  const { agent, eligible, lost, asked, writ } = await world(t)
  const of = await eligible({ approval: 'required' })
  lost.add('/activations')
  const { id } = await agent.activate(of, wish)
  assert.equal(asked.filter(path => path === '/activations').length, 2)
  const found = await writ.operator.manage('GET', '/approvals')
  assert.deepEqual(
    expect(found, 200).items.map((task: { readonly id: string }) => task.id),
    [id],
  )
})

test('each refusal says what is wrong with the request', async t => {
  const { agent, eligible, writ } = await world(t)
  const of = await eligible()
  for (const seconds of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
    await refuses(agent.activate(of, { ...wish, seconds }), 'invalid_request', /whole number/)
  await refuses(agent.activate('deployment', wish), 'invalid_request', /elg_/)
  await refuses(agent.activate(of, { ...wish, scope: 'read  write' }), 'invalid_request', /scope/)
  await refuses(agent.activate(of, { ...wish, reason: '' }), 'invalid_value', /reason/)
  await refuses(agent.activate(of, { ...wish, seconds: 601 }), 'invalid_value', /at most 600 seconds/)
  await refuses(agent.activate(of, { ...wish, scope: 'erase' }), 'invalid_value', /more than the eligibility/)
  await refuses(agent.activate(of, { ...wish, breakGlass: true }), 'access_denied', /no glass to break/)
  const unknown = `elg_${'0'.repeat(26)}`
  await refuses(agent.activate(unknown, wish), 'invalid_value', /no such eligibility/)
  const revoked = await writ.operator.manage('POST', `/eligibilities/${of}/revoke`, { reason: 'left' })
  expect(revoked, 200)
  await refuses(agent.activate(of, wish), 'conflict', /has ended/)
  assert.equal((await entries(writ, 'activation.opened')).length, 0)
})

test('an instance goes on with its key replaced, and a stopped one opens nothing', async t => {
  const { agent, eligible, writ } = await world(t)
  const of = await eligible({ approval: 'required' })
  const asked = await agent.activate(of, wish)
  await agent.rotateKey()
  assert.equal((await asked.current()).state, 'pending')
  expect(await writ.operator.manage('POST', `/agents/${agent.clientId}/suspend`, { reason: 'odd' }), 200)
  await refuses(agent.activate(of, wish), 'invalid_client')
})
