// Scope: the grammar of RFC 6749 §3.3 to the letter, bounded, without repetitions.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatScope, isScopeToken, parseScope } from './scope.ts'

test('refuses what is no scope: empty, other spacing, foreign characters, repetitions', () => {
  for (const text of [
    '',
    ' ',
    ' a',
    'a ',
    'a  b',
    'a\tb',
    'a\nb',
    'a,"b"',
    'a\\b',
    'é',
    'a\u00a0b',
    'a\u0000',
    'a a',
    'a b a',
    '"',
  ]) {
    assert.equal(parseScope(text), undefined, JSON.stringify(text))
  }
})

test('keeps the tokens in their order, with every character that a token may have', () => {
  const every = Array.from({ length: 0x7f - 0x21 }, (_, at) => String.fromCharCode(0x21 + at)).filter(
    c => c !== '"' && c !== '\\',
  )
  assert.deepEqual(parseScope(every.join('')), [every.join('')])
  assert.deepEqual(parseScope('invoices:read writ:* A a'), ['invoices:read', 'writ:*', 'A', 'a'])
  for (const character of every) assert.ok(isScopeToken(character))
  for (const token of ['', 'a b', '"', 'é']) assert.equal(isScopeToken(token), false)
})

test('bounds the number of tokens and the length, each at its exact limit', () => {
  const tokens = Array.from({ length: 101 }, (_, at) => `s${at}`)
  assert.equal(parseScope(tokens.slice(1).join(' '))?.length, 100)
  assert.equal(parseScope(tokens.join(' ')), undefined)
  assert.equal(parseScope('a'.repeat(4_096))?.length, 1)
  assert.equal(parseScope('a'.repeat(4_097)), undefined)
})

test('will not write what it would not read', () => {
  for (const tokens of [[], [''], ['a', 'a'], ['a b'], ['é'], ['a', ' ']])
    assert.throws(() => formatScope(tokens), RangeError)
})

test('writes what it read, and reads nothing else', () => {
  const soup = fc.string({ unit: fc.constantFrom(...'ab: "\\\t~!é'), maxLength: 20 })
  fc.assert(
    fc.property(fc.oneof(soup, fc.string({ unit: 'binary' })), text => {
      const tokens = parseScope(text)
      if (tokens === undefined) return
      assert.equal(formatScope(tokens), text)
      assert.ok(tokens.every(isScopeToken))
    }),
    { numRuns: 3_000 },
  )
})
