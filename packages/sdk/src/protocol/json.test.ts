// JSON: what two parsers could read in two ways is refused, and every text ends in a value or in a named problem.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type JsonProblem, parseJson, parseJsonObject, readJson, readJsonObject } from './json.ts'

const runs = { numRuns: 2_000 }

function problemOf(
  text: string | Uint8Array,
  limits?: Parameters<typeof readJson>[1],
): JsonProblem | undefined {
  const read = readJson(text, limits)
  return 'problem' in read ? read.problem : undefined
}

test('refuses a repeated member at any depth and in any spelling', () => {
  for (const text of [
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":2}',
    '{"\\u0061":1,"\\u0061":2}',
    '{"\\/":1,"/":2}',
    '{"":1,"":2}',
    '[{"x":{"y":[{"a":1,"b":2,"a":3}]}}]',
    '{"a":{"b":1},"a":{"c":2}}',
    '{"1":1,"0":1,"1":2}',
    '{"é":1,"\\u00e9":2}',
    '{"\\ud83d\\ude00":1,"😀":2}',
    '{"a:\\"":1,"a:\\"":2}',
    '{"constructor":1,"constructor":2}',
  ]) {
    assert.equal(problemOf(text), 'duplicate_member', text)
  }
})

test('tells members with different names apart, also where they look alike', () => {
  const text =
    '{"a":1,"A":2,"a ":3,"é":4,"e\\u0301":5,"a\\\\":6,"a\\"":7,"constructor":8,"toString":9,":":10}'
  assert.deepEqual(parseJson(text), JSON.parse(text))
})

test('refuses __proto__ as a member, and a text that hides a second one behind it', () => {
  for (const text of ['{"__proto__":{}}', '{"a":[{"__proto__":1}]}', '{"\\u005f_proto__":{"admin":true}}']) {
    assert.equal(problemOf(text), 'proto_member', text)
  }
  assert.notEqual(problemOf('{"__proto__":1,"__proto__":2}'), undefined)
})

test('refuses numbers that were rounded by being read', () => {
  for (const text of [
    '9007199254740992',
    '9007199254740993',
    '-9007199254740993',
    '1e16',
    '1e400',
    '-1e400',
    '[1E999]',
  ]) {
    assert.equal(problemOf(text), 'number_out_of_range', text)
  }
  for (const text of ['9007199254740991', '-9007199254740991', '0', '-0', '1562262616.25', '1e3', '0.1']) {
    assert.equal(problemOf(text), undefined, text)
  }
})

test('refuses lone surrogates in values and in names, and keeps pairs', () => {
  for (const text of ['"\\ud800"', '"\\udc00x"', '{"\\ud800":1}', '["\\ude00\\ud83d"]', '"\ud800"']) {
    assert.equal(problemOf(text), 'lone_surrogate', text)
  }
  assert.equal(parseJson('"\\ud83d\\ude00"'), '😀')
})

test('refuses what is not JSON, though some parsers take it', () => {
  for (const text of [
    '',
    ' ',
    '{',
    '"',
    '"\\',
    '"\\"',
    '{"a":1,}',
    '[1,]',
    "{'a':1}",
    '{a:1}',
    '01',
    '+1',
    '.5',
    '1.',
    'NaN',
    'Infinity',
    'undefined',
    '// x\n1',
    '1 2',
    '"\t"',
    '"\u0000"',
    '\ufeff{}',
    '{"a"}',
    '{"a"::1}',
    '{:}',
    ']',
    '}{',
  ]) {
    assert.equal(problemOf(text), 'syntax', JSON.stringify(text))
  }
})

test('refuses bytes that are not UTF-8, or begin with a byte order mark', () => {
  assert.equal(problemOf(Buffer.from([0x22, 0xc3, 0x28, 0x22])), 'not_utf8')
  assert.equal(problemOf(Buffer.from([0x22, 0xc0, 0x80, 0x22])), 'not_utf8')
  assert.equal(problemOf(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])), 'not_utf8')
  assert.equal(problemOf(Buffer.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d])), 'syntax')
  assert.equal(problemOf(Buffer.from('{"a":1}', 'utf16le')), 'syntax')
  assert.deepEqual(parseJson(Buffer.from('{"ä":"😀"}')), { ä: '😀' })
})

test('bounds bytes, depth and members, each at its exact limit', () => {
  assert.equal(problemOf('"1234"', { maxBytes: 6 }), undefined)
  assert.equal(problemOf('"12345"', { maxBytes: 6 }), 'too_large')
  assert.equal(problemOf('"éé"', { maxBytes: 6 }), undefined)
  assert.equal(problemOf('"ééé"', { maxBytes: 6 }), 'too_large')
  assert.equal(problemOf(Buffer.from('"ééé"'), { maxBytes: 6 }), 'too_large')
  assert.equal(problemOf(`${'['.repeat(16)}${']'.repeat(16)}`), undefined)
  assert.equal(problemOf(`${'['.repeat(17)}${']'.repeat(17)}`), 'too_deep')
  assert.equal(problemOf('{"a":{"b":[]}}', { maxDepth: 2 }), 'too_deep')
  assert.equal(problemOf('[[],[],[]]', { maxDepth: 2 }), undefined)
  assert.equal(problemOf('"[[[[{{{{"', { maxDepth: 1 }), undefined)
  assert.equal(problemOf('{"a":1,"b":{"c":2}}', { maxMembers: 3 }), undefined)
  assert.equal(problemOf('{"a":1,"b":{"c":2}}', { maxMembers: 2 }), 'too_many_members')
  assert.equal(problemOf('[1,2,3,4]', { maxMembers: 2 }), 'too_many_members')
})

test('never lets a deep text exhaust the stack', () => {
  assert.equal(problemOf('['.repeat(60_000)), 'too_deep')
  assert.equal(problemOf(`${'{"a":'.repeat(10_000)}`), 'too_deep')
})

test('reads an object only from an object', () => {
  for (const text of ['null', '[]', '"{}"', '1', 'true']) {
    assert.deepEqual(readJsonObject(text), { problem: 'not_an_object' })
    assert.equal(parseJsonObject(text), undefined)
  }
  assert.deepEqual(readJsonObject('{"a":1,"a":1}'), { problem: 'duplicate_member' })
  assert.deepEqual(parseJsonObject('{"a":null}'), { a: null })
  assert.equal(parseJson('null'), null)
  assert.equal(parseJson('nul'), undefined)
})

/** How JSON may spell one and the same character. */
const spellings = (character: string): string[] => {
  const escaped = [...Array(character.length).keys()]
    .map(at => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`)
    .join('')
  const plain = JSON.stringify(character).slice(1, -1)
  return [plain, escaped, escaped.replace(/[a-f]/g, letter => letter.toUpperCase())]
}

const spelt = (text: string): fc.Arbitrary<string> =>
  fc
    .tuple(...[...text].map(character => fc.constantFrom(...spellings(character))))
    .map(parts => `"${parts.join('')}"`)

const names = fc
  .string({ unit: 'binary', minLength: 0, maxLength: 4 })
  .filter(name => name.isWellFormed() && name !== '__proto__')

test('finds a duplicate wherever it is put', () => {
  const texts = names.chain(name =>
    fc.record({
      first: spelt(name),
      second: spelt(name),
      before: fc.uniqueArray(names, { maxLength: 3 }),
      around: fc.array(fc.constantFrom('[0,%]', '{"k":%}', '[%,"a:\\"b"]', '{"x":{},"y":%}', ' [ % ] '), {
        maxLength: 5,
      }),
    }),
  )
  fc.assert(
    fc.property(texts, ({ first, second, before, around }) => {
      const others = before.map(name => `${JSON.stringify(name)}:[1]`)
      const inner = `{${[`${first}:1`, ...others, `${second} : "}{"`].join(',')}}`
      const text = around.reduce((kept, shell) => shell.replace('%', () => kept), inner)
      assert.equal(problemOf(text), 'duplicate_member')
    }),
    runs,
  )
})

test('returns every value that JSON can carry exactly, however it is laid out', () => {
  const value = fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' })
  fc.assert(
    fc.property(value, fc.constantFrom(0, 1, '\t'), (given, indent) => {
      const text = JSON.stringify(given, null, indent)
      const problem = problemOf(text)
      if (problem === undefined) assert.deepEqual(parseJson(text), JSON.parse(text))
      else assert.equal(isCarried(given), false, `${problem}: ${text}`)
    }),
    runs,
  )
})

function isCarried(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value === 'number') return !Number.isInteger(value) || Math.abs(value) < 2 ** 53
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(
    ([name, inner]) => name !== '__proto__' && name.isWellFormed() && isCarried(inner),
  )
}

test('ends for arbitrary bytes and texts, and never accepts what the platform refuses', () => {
  const soup = fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0061e-+.1 \n\ud800é'), maxLength: 40 })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.string({ unit: 'binary' }), soup), input => {
      const read = readJson(input)
      if ('problem' in read) return
      assert.deepEqual(
        read.value,
        JSON.parse(typeof input === 'string' ? input : Buffer.from(input).toString()),
      )
    }),
    { numRuns: 5_000 },
  )
})
