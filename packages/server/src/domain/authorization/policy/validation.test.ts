// Validation in batches: what one set costs to check stays bounded, and what is told is the same.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { validatePolicies } from './cedar.ts'
import { checkPolicies } from './check.ts'
import { schemaWith } from './schema.ts'
import { parseStatements, type Statement } from './statements.ts'
import { batchesOf, validate } from './validation.ts'

const uid = (action: string) => `Writ::Action::${JSON.stringify(action)}`

function parsed(source: string): readonly Statement[] {
  const read = parseStatements(source)
  assert.ok('statements' in read, JSON.stringify(read))
  return read.statements
}

test('policies of many actions are not each checked for all of them', () => {
  const names = Array.from({ length: 100 }, (_, at) => `action${at}`)
  const source = names
    .map(
      name => `forbid (principal, action == ${uid(name)}, resource); forbid (principal, action, resource);`,
    )
    .join('\n')
  const batches = batchesOf(parsed(source))
  assert.equal(
    batches.reduce((sum, { statements }) => sum + statements.length, 0),
    200,
  )
  assert.ok(batches.every(({ actions }) => actions.length <= 8))
  const [unscoped] = batches.filter(({ statements }) => statements.length === 100)
  assert.deepEqual(unscoped?.actions, [], 'those that name none are checked for one')
})

test('a set that would keep the engine busy for minutes is refused', () => {
  const names = Array.from({ length: 100 }, (_, at) => `a${at}`)
  const one = `forbid (principal, action in [${names.map(uid).join()}], resource) when { context.risk > 1 };`
  assert.deepEqual(checkPolicies(one, names), [])
  assert.match(JSON.stringify(checkPolicies(one.repeat(40), names)), /too much to check/)
})

test('is told what one check of all of them together tells, in the order of the text', () => {
  const scopes = [
    'action',
    ...['call', 'get', 'put', 'a', 'b', 'c', 'd', 'e', 'f'].map(name => `action == ${uid(name)}`),
  ]
  const bodies = [
    'context.risk > 1',
    'context.nope',
    `action == ${uid('get')}`,
    '1 == 2',
    'context.peer.isLoopback()',
  ]
  const policy = fc
    .tuple(fc.constantFrom(...scopes), fc.constantFrom(...bodies))
    .map(([scope, body]) => `permit (principal, ${scope}, resource)\n when { ${body} };`)
  fc.assert(
    fc.property(fc.array(policy, { minLength: 1, maxLength: 20 }), texts => {
      const statements = parsed(texts.join('\n'))
      const together = validatePolicies(
        schemaWith([...new Set(statements.flatMap(({ actions }) => actions))]),
        Object.fromEntries(statements.map(({ id, text }) => [id, text])),
      )
      const told = validate(statements)
      // Of one problem the engine tells once for each action.
      const said = (problems: typeof told) =>
        new Set(problems.map(({ policy: id, say }) => `${id} ${say.replace(/Writ::Action::"[^"]+"/, '')}`))
      assert.deepEqual(said(told), said(together))
      const lines = told.map(({ line }) => line ?? 0)
      assert.deepEqual(
        lines,
        [...lines].sort((a, b) => a - b),
      )
    }),
    { numRuns: 100 },
  )
})
