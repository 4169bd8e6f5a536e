// The map of actions as it is published, and read again: one rule for each action, and none that is half understood.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatScopeActions, parseScopeActions, scopesFor } from './scope-actions.ts'

const names = fc.array(fc.constantFrom('read', 'write', 'pay'), { maxLength: 3 })
const map = fc.record({
  version: fc.integer({ min: 1, max: 9 }),
  actions: fc.dictionary(
    fc.constantFrom('list', 'pay', 'constructor'),
    fc.record({ anyOf: names.filter(list => list.length > 0), recorded: names }, { noNullPrototype: true }),
    { noNullPrototype: true },
  ),
})

const print = (value: unknown): string => JSON.stringify(value)

test('a map is read as what was published', () => {
  fc.assert(
    fc.property(map, one => assert.equal(print(parseScopeActions(formatScopeActions(one))), print(one))),
  )
})

test('an action without a row needs the scope of its own name, whatever its name is', () => {
  const known = { version: 1, actions: { pay: { anyOf: ['payments', 'all'], recorded: [] } } }
  assert.deepEqual(scopesFor(known, 'pay'), ['payments', 'all'])
  for (const action of ['Pay', 'list', 'constructor', '__proto__'])
    assert.deepEqual(scopesFor(known, action), [action])
  assert.deepEqual(scopesFor(null, 'pay'), ['pay'])
})

const rule = { any_of: ['read'] }
for (const [what, value] of Object.entries<unknown>({
  nothing: null,
  'a list': [],
  'no version': { actions: {} },
  'a version that is none': { version: 0, actions: {} },
  'no actions': { version: 1 },
  'a further member': { version: 1, actions: {}, default: 'allow' },
  'a rule without scopes': { version: 1, actions: { list: { any_of: [] } } },
  'a rule that is a scope': { version: 1, actions: { list: 'read' } },
  'a rule with a further member': { version: 1, actions: { list: { ...rule, all_of: ['write'] } } },
  'a scope that is none': { version: 1, actions: { list: { any_of: [1] } } },
  'an action of the prototype': { version: 1, actions: JSON.parse('{"__proto__":{"any_of":["read"]}}') },
}))
  test(`a map is not ${what}`, () => assert.equal(parseScopeActions(value), undefined))
