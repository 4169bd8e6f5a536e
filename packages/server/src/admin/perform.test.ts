// What is committed at the management API was still true at the instant of the commit, belongs to one tenant, is seen.
import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { openStore } from '../store/sql/open.ts'
import { access, permit } from './access.ts'
import { accessRequestOperations } from './activation/access-requests.ts'
import { operations } from './operations.ts'
import { leaves, Place } from './testing/place.ts'

async function place(t: TestContext): Promise<Place> {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(() => store.close())
  return new Place(store, 'one').found()
}

const newAgent = (at: Place, owner: string = at.operator) =>
  at.make('agents.create', { name: 'billing', owner, purpose: 'Pays invoices' })

test('every operation has one rule of access, every rule an operation, and without a rule nobody passes', () => {
  const known = [...operations, ...accessRequestOperations].map(({ id }) => id)
  assert.deepEqual(known.sort(), Object.keys(access).sort())
  const everything = { scopes: new Set(leaves) }
  for (const id of ['agents.destroy', 'toString', '__proto__', '']) {
    assert.throws(
      () => permit(id, everything),
      (error: unknown) => isFault(error) && error.code === 'access_denied',
    )
  }
  assert.throws(() => permit('agents.create', { scopes: new Set() }), /writ:agents:write/)
})

test('what belongs to one tenant is unknown to the administrator of another, for every operation (threat C61)', async t => {
  const one = await place(t)
  const two = await new Place(one.store, 'two').found()
  const agent = await newAgent(one)
  const jwk = generateKeyPair('ES256').verify.jwk
  const key = await one.make('keys.create', { jwk }, { id: agent['id'] ?? '' })
  const scopes = [{ name: 'r', description: 'R' }]
  const resource = await one.make('resources.create', {
    identifier: 'https://api.example',
    name: 'API',
    scopes,
  })
  const reason = 'x'
  const granted = { agent: agent['id'], resource: 'https://api.example', scopes: ['r'], reason }
  const grant = await one.make('grants.create', granted)
  const client = await one.make('clients.create', { client_name: 'app' })
  const person = await one.make('people.create', { login: 'ada' })
  const [entry] = await one.store.log.range(one.ctx, 0, 1)
  const ids: Record<string, string> = {
    agents: agent['id'] ?? '',
    resources: resource['id'] ?? '',
    grants: grant['id'] ?? '',
    clients: client['id'] ?? '',
    people: person['id'] ?? '',
    events: JSON.parse(entry?.text ?? '{}').id,
  }
  const size = await one.store.log.size(one.ctx)
  let asked = 0
  for (const { id, path } of operations.filter(each => each.path.includes('{id}'))) {
    const params = {
      id: ids[path.split('/')[1] ?? ''] ?? '',
      ...(path.includes('{kid}') ? { kid: key['kid'] ?? '' } : {}),
    }
    const bodies = [{ reason }, { jwk }, {}, undefined]
    const answers = await Promise.all(bodies.map(body => two.ask(id, params, body)))
    assert.ok(answers.includes('not_found'), `${id}: ${answers}`)
    for (const answer of answers)
      assert.ok(['not_found', 'invalid_request'].includes(String(answer)), `${id}: ${answer}`)
    asked++
  }
  assert.ok(asked > 20)
  assert.equal(await one.store.log.size(one.ctx), size)
  assert.equal(await two.ask('grants.create', {}, granted), 'invalid_value')
  assert.equal(await two.ask('agents.create', {}, { name: 'a', owner: 'ada', purpose: 'x' }), 'invalid_value')
  assert.equal(
    await two.ask('agents.create', {}, { name: 'a', owner: one.operator, purpose: 'x' }),
    'invalid_value',
  )
  // The same key is another key in another tenant: who holds it there is told nothing about it here.
  assert.equal(
    typeof (await two.ask('keys.create', { id: (await newAgent(two))['id'] ?? '' }, { jwk })),
    'object',
  )
})

test('a caller that is stopped while its call is in flight changes nothing, and its attempt is an entry', async t => {
  const at = await place(t)
  const { id = '' } = await newAgent(at)
  at.before = async () => {
    const entry = { type: 'agent.suspended', outcome: 'allowed', requestId: randomUUID() } as const
    const signals = [{ subject: at.operator, kind: 'narrowed' }] as const
    await at.store.commit(at.ctx, { signals, entries: [entry] })
  }
  assert.equal(await at.ask('agents.suspend', { id }, { reason: 'x' }), 'invalid_token')
  assert.equal((await at.store.agents.get(at.ctx, id))?.status, 'active')
  const { type, outcome, decision } = await at.lastEntry()
  assert.deepEqual([type, outcome, decision.code], ['agent.suspended', 'refused', 'invalid_token'])
})

test('a reader that is stopped while it reads is not answered', async t => {
  const at = await place(t)
  at.before = async () => {
    const entry = { type: 'agent.suspended', outcome: 'allowed', requestId: randomUUID() } as const
    await at.store.commit(at.ctx, { signals: [{ subject: at.operator, kind: 'narrowed' }], entries: [entry] })
  }
  assert.equal(await at.ask('agents.list'), 'invalid_token')
})

test('what a decision rests on is looked at again when it ends before the commit', async t => {
  const at = await place(t)
  const other = new Place(at.store, 'one', at.operator)
  const { id = '' } = await newAgent(at)
  const scopes = [{ name: 'r', description: 'R' }]
  const resource = await at.make('resources.create', {
    identifier: 'https://api.example',
    name: 'API',
    scopes,
  })
  const grant = { agent: id, resource: 'https://api.example', scopes: ['r'], reason: 'x' }
  at.before = () => other.make('agents.suspend', { reason: 'x' }, { id })
  assert.equal(
    typeof (await at.ask('grants.create', {}, grant)),
    'object',
    'a suspended agent may still be granted',
  )
  at.before = () => other.make('agents.retire', { reason: 'x' }, { id })
  assert.equal(await at.ask('grants.create', {}, grant), 'invalid_value')
  const { id: second = '' } = await newAgent(at)
  at.before = () => other.ask('resources.delete', { id: resource['id'] ?? '' })
  assert.equal(await at.ask('grants.create', {}, { ...grant, agent: second }), 'invalid_value')
  const ada = await at.make('people.create', { login: 'ada' })
  at.before = () => other.make('people.suspend', { reason: 'x' }, { id: ada['id'] ?? '' })
  assert.equal(await at.ask('agents.create', {}, { name: 'a', owner: 'ada', purpose: 'x' }), 'invalid_value')
  at.before = () => other.make('agents.suspend', { reason: 'x' }, { id: second })
  assert.equal(await at.ask('enrollments.create', { id: second }), 'conflict')
})

test('a change that somebody else made meanwhile is decided on again, never overwritten', async t => {
  const at = await place(t)
  const other = new Place(at.store, 'one', at.operator)
  const { id = '' } = await newAgent(at)
  at.before = () => other.make('agents.update', { model: 'theirs' }, { id })
  await at.make('agents.update', { name: 'mine' }, { id })
  const agent = await at.store.agents.get(at.ctx, id)
  assert.deepEqual([agent?.name, agent?.model], ['mine', 'theirs'])
  at.before = () => other.make('agents.suspend', { reason: 'x' }, { id })
  assert.equal(await at.ask('agents.suspend', { id }, { reason: 'x' }), 'conflict')
})

test('where the entry cannot be written nothing is done, read or refused: the answer is 503', async t => {
  const at = await place(t)
  const { id = '' } = await newAgent(at)
  const size = await at.store.log.size(at.ctx)
  at.broken = true
  const asked: [id: string, params: Record<string, string>, body?: Record<string, unknown>][] = [
    ['agents.suspend', { id }, { reason: 'x' }],
    ['agents.suspend', { id }, { nonsense: 1 }],
    ['agents.get', { id }],
    ['agents.get', { id: 'nothing' }],
  ]
  for (const [operation, params, body] of asked) {
    assert.equal(await at.ask(operation, params, body), 'temporarily_unavailable', operation)
  }
  assert.equal(await at.store.log.size(at.ctx), size)
  assert.equal((await at.store.agents.get(at.ctx, id))?.status, 'active')
})
