// The admin client against a real authority: typed calls in the name of an agent, pages, refusals as Faults.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type AdminClient, createAdminClient } from '@writ/sdk/admin'
import { Agent } from '@writ/sdk/agent'
import { type Code, isFault } from '@writ/sdk/protocol/fault'
import { type Authority, authority } from '../harness/authority.ts'
import type { Party } from '../harness/party.ts'
import { newAgent } from './roles.ts'

async function clientOf(t: TestContext, writ: Authority, party: Party = writ.operator): Promise<AdminClient> {
  const agent = await Agent.fromCredentials(
    { issuer: writ.issuer, client_id: party.clientId, jwk: party.key.key.export({ format: 'jwk' }) },
    { fetch: async (input, init) => writ.server.fetch(new Request(input, init)), clock: writ.nowMs },
  )
  t.after(() => agent.close())
  return createAdminClient(agent)
}

const refusal = (code: Code) => (error: unknown) => isFault(error) && error.code === code

test('calls the API in the name of the operator, and reads what it made', async t => {
  const writ = await authority(t)
  const admin = await clientOf(t, writ)
  const agent = await admin.call('agents.create', {
    body: { name: 'billing', owner: writ.operator.clientId, purpose: 'Pays invoices' },
  })
  const read = await admin.call('agents.get', { params: { id: agent.id } })
  assert.deepEqual(read, agent)
  const suspended = await admin.call('agents.suspend', { params: { id: agent.id }, body: { reason: 'x' } })
  assert.equal(suspended.status, 'suspended')
  const scopes = [{ name: 'r', description: 'R' }]
  const resource = await admin.call('resources.create', {
    body: { identifier: 'https://api.example', name: 'API', scopes },
  })
  assert.equal(await admin.call('resources.delete', { params: { id: resource.id } }), undefined)
  const key = await admin.call('issuer-keys.rotate')
  assert.equal(key.state, 'staged')
})

test('walks every page of a list, with its filters', async t => {
  const writ = await authority(t)
  const admin = await clientOf(t, writ)
  const made: string[] = []
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    const body = { name, owner: writ.operator.clientId, purpose: 'x' }
    made.push((await admin.call('agents.create', { body })).id)
  }
  const seen: string[] = []
  for await (const agent of admin.pages('agents.list', { query: { limit: 2, status: 'active' } }))
    seen.push(agent.id)
  assert.deepEqual(seen, [writ.operator.clientId, ...made])
  const types: string[] = []
  for await (const event of admin.pages('events.list', { query: { type: 'agent.created', limit: 3 } }))
    types.push(event.type)
  assert.deepEqual(types, Array(6).fill('agent.created'))
})

test('turns a refusal into the Fault that was answered, with the request id of its entry', async t => {
  const writ = await authority(t)
  const admin = await clientOf(t, writ)
  const missing = admin.call('agents.get', { params: { id: 'agt_00000000000000000000000000' } })
  const error = await missing.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  assert.ok(isFault(error) && error.code === 'not_found')
  const event = await admin.call('events.list', { query: { request_id: String(error.why?.['requestId']) } })
  assert.equal(event.items[0]?.outcome, 'refused')
  const body = { name: 'a', owner: 'nobody', purpose: 'x' }
  await assert.rejects(admin.call('agents.create', { body }), refusal('invalid_value'))
})

test('repeats a call with its key, and refuses to overwrite what it has not seen', async t => {
  const writ = await authority(t)
  const admin = await clientOf(t, writ)
  const body = { name: 'a', owner: writ.operator.clientId, purpose: 'x' }
  const first = await admin.call('agents.create', { body, idempotencyKey: 'once' })
  assert.deepEqual(await admin.call('agents.create', { body, idempotencyKey: 'once' }), first)
  const params = { id: first.id }
  await admin.call('agents.update', { params, body: { name: 'b' }, ifVersion: 1 })
  await assert.rejects(
    admin.call('agents.update', { params, body: { name: 'c' }, ifVersion: 1 }),
    refusal('conflict'),
  )
})

test('a caller without the right is told so', async t => {
  const writ = await authority(t)
  const { id, party } = await newAgent(writ, 'reader')
  const grant = { agent: id, resource: `${writ.issuer}/api/v1`, scopes: ['writ:agents:read'], reason: 'x' }
  await writ.operator.manage('POST', '/grants', grant)
  const admin = await clientOf(t, writ, party)
  assert.equal((await admin.call('agents.list')).items.length, 2)
  const error = await admin
    .call('agents.suspend', { params: { id }, body: { reason: 'x' } })
    .catch((reason: unknown) => reason)
  assert.ok(isFault(error) && ['insufficient_scope', 'invalid_scope'].includes(error.code), String(error))
})
