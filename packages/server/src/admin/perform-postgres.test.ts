// Two nodes on one PostgreSQL administer as one: one first start, one effect of a repeated request, stops that arrive.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { startPostgres } from '../store/contract/postgres.ts'
import { openStore } from '../store/sql/open.ts'
import { Place } from './testing/place.ts'

test('nodes on one PostgreSQL have one operator, one effect per key, and no answer for whoever is stopped', async t => {
  const cluster = await startPostgres({ databases: 1 })
  t.after(() => cluster.close())
  const url = cluster.database()
  const open = async () => {
    const store = await openStore({ kind: 'postgres', url }, { randomBytes })
    t.after(() => store.close())
    return store
  }
  const stores = [await open(), await open()] as const
  await Promise.all(stores.flatMap(store => Array.from({ length: 5 }, () => new Place(store, 'one').found())))
  const { items: agents } = await stores[0].agents.list(new Place(stores[0], 'one').ctx, { limit: 10 }, {})
  assert.deepEqual(
    agents.map(agent => agent.name),
    ['operator'],
  )
  const [operator] = agents
  assert.ok(operator)
  const [one, two] = stores.map(store => new Place(store, 'one', operator.id)) as [Place, Place]

  await t.test(
    'twenty callers on both nodes with one Idempotency-Key get one answer and one agent',
    async () => {
      const body = { name: 'a', owner: operator.id, purpose: 'x' }
      const nodes = Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? one : two))
      const answers = await Promise.all(nodes.map(node => node.ask('agents.create', {}, body, 'race')))
      for (const answer of answers) assert.deepEqual(answer, answers[0])
      const { items } = await one.store.agents.list(one.ctx, { limit: 10 }, {})
      assert.equal(items.length, 2)
    },
  )

  await t.test('twenty callers on both nodes with one login make one person', async () => {
    const nodes = Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? one : two))
    const answers = await Promise.all(nodes.map(node => node.ask('people.create', {}, { login: 'ada' })))
    assert.equal(answers.filter(answer => typeof answer === 'object').length, 1)
    assert.deepEqual(new Set(answers.filter(answer => typeof answer === 'string')), new Set(['conflict']))
  })

  await t.test('what ends on one node is not rested on at the other', async () => {
    const { id = '' } = await one.make('agents.create', { name: 'b', owner: operator.id, purpose: 'x' })
    two.before = () => one.make('agents.retire', { reason: 'x' }, { id })
    assert.equal(await two.ask('enrollments.create', { id }), 'conflict')
    two.before = () =>
      one.store.commit(one.ctx, {
        signals: [{ subject: operator.id, kind: 'narrowed' }],
        entries: [{ type: 'agent.suspended', outcome: 'allowed', requestId: 'r' }],
      })
    assert.equal(await two.ask('agents.list'), 'invalid_token')
  })
})
