// Challenges as resources write them, and as attackers and sloppy ones do.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { challengeOf, parseChallenges } from './challenge.ts'

const read = (field: string) =>
  parseChallenges(field).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])

test('reads several challenges in one field, quoted and bare values, and token68 of other schemes', () => {
  assert.deepEqual(read('DPoP'), [['dpop', {}]])
  assert.deepEqual(read('DPoP error="use_dpop_nonce", algs="ES256 EdDSA"'), [
    ['dpop', { error: 'use_dpop_nonce', algs: 'ES256 EdDSA' }],
  ])
  assert.deepEqual(read('Negotiate abc==, Bearer realm="a, b", scope=x , DPoP ALGS="ES256"'), [
    ['negotiate', {}],
    ['bearer', { realm: 'a, b', scope: 'x' }],
    ['dpop', { algs: 'ES256' }],
  ])
  assert.deepEqual(read('Bearer error_description="a \\"quoted\\" word"'), [
    ['bearer', { error_description: 'a "quoted" word' }],
  ])
  assert.deepEqual(read('Basic, , Bearer a = "b"'), [
    ['basic', {}],
    ['bearer', { a: 'b' }],
  ])
})

test('reads nothing out of a field that is malformed anywhere', () => {
  const fields = [
    '"DPoP"',
    'error="x"',
    'DPoP error="x',
    'DPoP error="x" scope="y"',
    'DPoP error="x", error="y"',
    'DPoP error="x", Error="y"',
    'DPoP;error="x"',
    'DPoP error="x"\u0000',
    `DPoP a="${'x'.repeat(9_000)}"`,
  ]
  for (const field of fields) assert.deepEqual(read(field), [], field)
  assert.deepEqual(parseChallenges(null), [])
})

test('takes the challenge that is meant for bound tokens, and what only the other one says', () => {
  const of = (field: string) =>
    Object.fromEntries(challengeOf(new Response(null, { headers: { 'www-authenticate': field } })) ?? [])
  assert.deepEqual(of('Bearer scope="a", resource_metadata="m", DPoP scope="b", algs="ES256"'), {
    scope: 'b',
    resource_metadata: 'm',
    algs: 'ES256',
  })
  assert.deepEqual(of('Basic realm="x"'), {})
  assert.equal(challengeOf(new Response(null)), undefined)
})

test('ends on any text, and reads back what it can have been made from', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary-ascii' }), text => Array.isArray(parseChallenges(text))))
  const name = fc.stringMatching(/^[a-z][a-z0-9_]{0,10}$/)
  const value = fc.stringMatching(/^[\x20-\x7e]{0,20}$/)
  const challenge = fc.tuple(
    name,
    fc.dictionary(name, value, { minKeys: 1, maxKeys: 4, noNullPrototype: true }),
  )
  fc.assert(
    fc.property(fc.array(challenge, { minLength: 1, maxLength: 3 }), challenges => {
      const field = challenges
        .map(([scheme, parameters]) => {
          const texts = Object.entries(parameters).map(
            ([key, text]) => `${key}="${text.replace(/["\\]/g, '\\$&')}"`,
          )
          return `${scheme} ${texts.join(', ')}`
        })
        .join(', ')
      assert.deepEqual(read(field), challenges)
    }),
  )
})
