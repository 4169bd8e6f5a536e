// What may be opened of an eligibility: never more, and no kind of limit dropped (threat C29).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { leavesOf, type Scope } from '../resource.ts'
import { endOf, isWithin } from './activation.ts'

const leaf = (name: string): Scope => ({ name, description: name, includes: [], sensitive: false })
const scopes: readonly Scope[] = [
  leaf('read'),
  leaf('write'),
  leaf('erase'),
  { ...leaf('both'), includes: ['read', 'write'] },
  { ...leaf('all'), includes: ['both', 'erase'] },
]
const reach = (...names: string[]) => ({ scopes: names, authorizationDetails: [] })

test('scopes within are those whose leaves are all there, and they are never none', () => {
  const within = (outer: string[], inner: string[]) => isWithin({ scopes }, reach(...outer), reach(...inner))
  assert.equal(within(['both'], ['read']), true)
  assert.equal(within(['read', 'write'], ['both']), true)
  assert.equal(within(['both'], ['all']), false)
  assert.equal(within(['both'], ['erase']), false)
  assert.equal(within(['all'], []), false)
  assert.equal(within(['all'], ['unknown']), false)
  assert.equal(within(['unknown'], ['unknown']), false, 'a scope that is gone stands for nothing')
})

test('whatever is chosen, its leaves are leaves of what it was chosen from', () => {
  const some = fc.subarray(['read', 'write', 'erase', 'both', 'all'])
  fc.assert(
    fc.property(some, some, (outer, inner) => {
      if (outer.length === 0 || !isWithin({ scopes }, reach(...outer), reach(...inner))) return
      const had = new Set(leavesOf(scopes, outer))
      for (const name of leavesOf(scopes, inner)) assert.ok(had.has(name))
    }),
  )
})

test('a limit by details is not dropped, nor is a limit by scopes', () => {
  const details = [{ type: 'mcp_tool', server: 'https://api.example', tool: 'pay' }]
  const outer = { scopes: ['read'], authorizationDetails: details }
  assert.equal(isWithin({ scopes }, outer, reach('read')), false)
  assert.equal(isWithin({ scopes }, outer, { scopes: [], authorizationDetails: details }), false)
  const more = isWithin({ scopes }, reach('read'), { scopes: ['read'], authorizationDetails: details })
  assert.equal(more, true, 'a further limit is always less')
  assert.equal(isWithin({ scopes }, reach('read'), { scopes: [], authorizationDetails: details }), false)
})

test('an activation ends with its time or with its eligibility, whichever comes first', () => {
  assert.equal(endOf(60, null, 100), 160)
  assert.equal(endOf(60, { expiresAt: null }, 100), 160)
  assert.equal(endOf(60, { expiresAt: 130 }, 100), 130)
})
