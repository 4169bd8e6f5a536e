// The door to the engine: what it keeps is bounded, what it cannot read is no answer, and Cedar's own vectors hold.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  ask,
  type EngineRequest,
  type Entity,
  parsePolicy,
  prepare,
  splitPolicies,
  validatePolicies,
} from './cedar.ts'

const request: EngineRequest = {
  principal: { type: 'P', id: 'p' },
  action: { type: 'Action', id: 'a' },
  resource: { type: 'R', id: 'r' },
  context: {},
  entities: [],
}

test('answers right for more sets than it keeps parsed, in any order', () => {
  const sets = Array.from({ length: 700 }, (_, at) =>
    prepare({ [`p${at}`]: `permit (principal, action, resource) when { ${at} == ${at} };` }),
  )
  for (const order of [sets, sets.toReversed(), sets]) {
    for (const set of order) {
      const answer = ask(set, request)
      assert.deepEqual(answer, { allowed: true, reasons: Object.keys(set.policies), errors: [] })
    }
  }
})

test('what it cannot read is no answer, and the next question has one', () => {
  const good = prepare({ p: 'permit (principal, action, resource);' })
  assert.equal(ask(prepare({ p: 'permit (' }), request), undefined)
  assert.equal(
    ask(good, { ...request, context: { now: { __extn: { fn: 'datetime', arg: 'soon' } } } }),
    undefined,
  )
  assert.equal(ask(good, { ...request, principal: { type: 'not a type', id: 'p' } }), undefined)
  assert.equal(
    ask(good, { ...request, entities: [{ uid: { type: 'P', id: '\ud800' }, attrs: {}, parents: [] }] }),
    undefined,
  )
  assert.equal(ask(good, request)?.allowed, true)
})

test('a text that breaks the engine is the only one without an answer', () => {
  const good = prepare({ p: 'permit (principal, action, resource);' })
  assert.equal(ask(good, request)?.allowed, true)
  const deep = `permit (principal, action, resource) when { ${'('.repeat(20_000)}true${')'.repeat(20_000)} };`
  for (const break_ of [
    () => splitPolicies(deep),
    () => parsePolicy(deep),
    () => validatePolicies('', { p: deep }),
    () => ask(prepare({ p: deep }), request),
  ]) {
    break_()
    assert.equal(ask(good, request)?.allowed, true)
    assert.ok('value' in splitPolicies('permit (principal, action, resource);'))
  }
})

const folder = process.env['WRIT_VECTORS']
const vectors = folder === undefined ? '' : join(folder, 'cedar')
const skip = vectors !== '' && existsSync(vectors) ? false : 'WRIT_VECTORS names no folder of vectors'

interface Vector {
  readonly policies: string
  readonly entities: string
  readonly schema: string
  readonly shouldValidate: boolean
  readonly requests: readonly (Omit<EngineRequest, 'entities'> & {
    readonly description: string
    readonly decision: 'allow' | 'deny'
    readonly reason: readonly string[]
    readonly errors: readonly string[]
  })[]
}

test("Cedar's own requests are decided as they say", { skip }, () => {
  const read = (path: string): string => readFileSync(join(vectors, path), 'utf8')
  let count = 0
  for (const name of readdirSync(join(vectors, 'tests'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.json')) continue
    const vector = JSON.parse(read(join('tests', name))) as Vector
    const split = splitPolicies(read(vector.policies))
    assert.ok('value' in split, name)
    // Policies without an id are named by their place, as the engine names them in a text.
    const policies: Record<string, string> = {}
    for (const [at, text] of placed(read(vector.policies), split.value).entries()) {
      const tree = parsePolicy(text)
      assert.ok('value' in tree, name)
      policies[`policy${at}`] = text
    }
    const isValid = validatePolicies(read(vector.schema), policies).length === 0
    // Warnings count here as well: what the vectors call valid may be warned of, but never the other way round.
    if (!vector.shouldValidate) assert.equal(isValid, false, name)
    const entities = JSON.parse(read(vector.entities), marked) as Entity[]
    for (const { description, decision, reason, errors, ...asked } of vector.requests) {
      const answer = ask(prepare(policies), { ...asked, entities })
      assert.ok(answer, description)
      assert.equal(answer.allowed ? 'allow' : 'deny', decision, `${name}: ${description}`)
      assert.deepEqual([...answer.reasons].sort(), [...reason].sort(), `${name}: ${description}`)
      assert.deepEqual([...answer.errors].sort(), [...errors].sort(), `${name}: ${description}`)
      count += 1
    }
  }
  assert.ok(count > 20, String(count))
})

/** References within attributes are bare in the vectors, for their schema types them; here they say what they are. */
function marked(name: string, value: unknown): unknown {
  if (name !== 'attrs') return value
  const mark = (within: unknown): unknown => {
    if (typeof within !== 'object' || within === null) return within
    if (Array.isArray(within)) return within.map(mark)
    const isBare = Object.keys(within).sort().join() === 'id,type'
    if (isBare) return { __entity: within }
    return Object.fromEntries(Object.entries(within).map(([key, one]) => [key, mark(one)]))
  }
  return Object.fromEntries(Object.entries(value as object).map(([key, one]) => [key, mark(one)]))
}

/** In the order of the text. */
function placed(source: string, parts: readonly string[]): readonly string[] {
  return [...parts].sort((a, b) => source.indexOf(a) - source.indexOf(b))
}
