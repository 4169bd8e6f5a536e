// Forms: one parse, bounded, nothing repeated, nothing half-decoded.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import fc from 'fast-check'
import { parseForm } from './form.ts'

const never = (): boolean => false

function refusal(body: string, repeatable = never): string | undefined {
  try {
    parseForm(body, repeatable)
    return undefined
  } catch (error) {
    return isFault(error) ? error.code : 'not a fault'
  }
}

test('reads what was written, percent-encoding and plus signs included', () => {
  const form = parseForm('scope=a+b%20c&x=%C3%A4&empty=&flag', never)
  assert.deepEqual(
    [...form],
    [
      ['scope', ['a b c']],
      ['x', ['ä']],
    ],
  )
})

test('refuses a repeated parameter, known or unknown, however its name is spelt', () => {
  assert.equal(refusal('a=1&a=2'), 'invalid_request')
  assert.equal(refusal('grant_type=x&grant%5Ftype=y'), 'invalid_request')
  assert.equal(refusal('a=&a=1'), 'invalid_request')
})

test('lets a parameter repeat where the grant declares it', () => {
  const form = parseForm('resource=https://a&resource=https://b', name => name === 'resource')
  assert.deepEqual(form.get('resource'), ['https://a', 'https://b'])
})

test('refuses broken encodings and floods of parameters', () => {
  for (const body of ['a=%', 'a=%zz', 'a=%ff', 'a=%C3%28'])
    assert.equal(refusal(body), 'invalid_request', body)
  assert.equal(refusal(Array.from({ length: 65 }, (_, index) => `p${index}=1`).join('&')), 'invalid_request')
})

test('ends with a form or a registered error for any text', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.webQueryParameters()), body => {
      const code = refusal(body)
      assert.ok(code === undefined || code === 'invalid_request')
    }),
    { numRuns: 2000 },
  )
})

test('reads back any set of parameters', () => {
  const pairs = fc.dictionary(fc.string({ minLength: 1 }), fc.string({ minLength: 1 }), { maxKeys: 20 })
  fc.assert(
    fc.property(pairs, given => {
      const body = new URLSearchParams(given).toString()
      const form = parseForm(body, never)
      // URLSearchParams replaces lone surrogates, so compare with what it says it wrote.
      for (const [name, value] of new URLSearchParams(body)) assert.deepEqual(form.get(name), [value])
    }),
    { numRuns: 1000 },
  )
})
