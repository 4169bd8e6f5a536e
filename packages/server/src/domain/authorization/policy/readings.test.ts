// What policies look at: every form is seen, and one that is not understood looks at everything.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readingsOf } from './readings.ts'
import { parseStatements } from './statements.ts'

function readings(condition: string) {
  const parsed = parseStatements(`permit (principal, action, resource) when { ${condition} };`)
  assert.ok('statements' in parsed)
  const { context, arguments: names, attributes } = readingsOf(parsed.statements)
  const listed = (tags: ReadonlySet<string> | 'all') => (tags === 'all' ? tags : [...tags].sort().join(' '))
  return [listed(context), listed(names), attributes]
}

test('names of arguments, members of the context and attributes are told apart', () => {
  const has = 'context.arguments.hasTag("amount")'
  assert.deepEqual(readings(has), ['', 'amount', false])
  assert.deepEqual(readings(`${has} && context.arguments.getTag("lines/0").text == "x"`), [
    '',
    'amount lines/0',
    false,
  ])
  assert.deepEqual(readings('context has peer && context.peer.isLoopback()'), ['peer', '', false])
  assert.deepEqual(readings('context has approval.id && context.risk > 5'), ['approval risk', '', false])
  assert.deepEqual(readings('principal.hasTag("team")'), ['', '', true])
  assert.deepEqual(readings('context.claims.hasTag("x")'), ['claims', '', true])
})

test('a name that is computed, and arguments or a context as a whole, may be any of them', () => {
  assert.deepEqual(readings('context.arguments.hasTag(context.task)'), ['task', 'all', false])
  assert.deepEqual(readings('[context.arguments].contains(context.arguments)'), ['arguments', 'all', false])
  assert.deepEqual(readings('[context].contains(context)'), ['all', 'all', true])
})

test('entities of the request are looked at under their names as well', () => {
  assert.deepEqual(readings('Writ::Arguments::"call".hasTag("amount")'), ['', 'all', true])
  assert.deepEqual(readings('Writ::Claims::"call".hasTag("x")'), ['claims', '', true])
})

test('a record whose members are called like operators hides nothing', () => {
  const record = '{ "hasTag": 1, "x": context.arguments.hasTag("y") } == { "hasTag": 1, "x": true }'
  assert.deepEqual(readings(record), ['', 'y', false])
})

test('whether parties and resources are looked at is told by their variables, by names, and by members of the context', () => {
  const looks = (condition: string): boolean => {
    const parsed = parseStatements(`permit (principal, action, resource) when { ${condition} };`)
    assert.ok('statements' in parsed)
    return readingsOf(parsed.statements).parties
  }
  const all = [
    'principal has owner',
    'resource in Writ::Resource::"https://api.example"',
    'principal is Writ::Agent',
    'Writ::Agent::"a".owner == "ada"',
    '[Writ::Agent::"a"].contains(Writ::Agent::"b")',
    'context has person',
    'context.chain.isEmpty()',
    'context has instance.x',
    '[context].contains(context)',
    'if context.risk > 1 then context.risk > 2 else principal == resource',
  ]
  assert.deepEqual(all.map(looks), Array(all.length).fill(true))
  const none = ['context.risk > 1', 'context has peer', 'context.claims.hasTag("principal")']
  assert.deepEqual(none.map(looks), Array(none.length).fill(false))
})
