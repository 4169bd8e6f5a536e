// Revoking while somebody approves: whichever comes first, nothing stays open of an eligibility that has ended.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { isGrantLive } from '../../domain/grant.ts'
import { openStore } from '../../store/sql/open.ts'
import { Place } from '../testing/place.ts'

test('a grant that is opened while its eligibility is revoked ends with it', async t => {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(() => store.close())
  const at = await new Place(store, 'one').found()
  const identifier = 'https://api.example'
  const scopes = [{ name: 'read', description: 'Reads' }]
  await at.make('resources.create', { identifier, name: 'API', scopes })
  const agent = await at.make('agents.create', { name: 'a', owner: at.operator, purpose: 'x' })
  const rights = { resource: identifier, scopes: ['read'], max_seconds: 60, approval: 'none', reason: 'x' }
  const { id = '' } = await at.make('eligibilities.create', { agent: agent['id'], ...rights })
  // Decided before the grant is there, committed after it.
  at.before = () => at.make('activations.create', { eligibility: id, reason: 'x', seconds: 60 })
  await at.make('eligibilities.revoke', { reason: 'left' }, { id })
  const { items } = await store.grants.list(at.ctx, { limit: 5 }, { agent: agent['id'] ?? '' })
  assert.equal(items.length, 1)
  assert.deepEqual(
    items.filter(grant => isGrantLive(grant, at.ctx.now)),
    [],
  )
  // The other way round: what ends before the commit opens nothing.
  const second = await at.make('eligibilities.create', { agent: agent['id'], ...rights })
  const named = second['id'] ?? ''
  at.before = () => at.make('eligibilities.revoke', { reason: 'left' }, { id: named })
  const late = await at.ask('activations.create', {}, { eligibility: named, reason: 'x', seconds: 60 })
  assert.equal(late, 'conflict')
})
