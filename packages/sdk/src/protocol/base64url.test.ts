// base64url: one spelling for each string of bytes, every other one refused.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeBase64url, encodeBase64url } from './base64url.ts'

const runs = { numRuns: 2_000 }

test('refuses padding, white space, foreign letters, dangling bits and a lonely letter', () => {
  for (const text of [
    'Zg==',
    'Zm8=',
    ' Zm9v',
    'Zm9v\n',
    'Zm 9v',
    'Zm+v',
    'Zm/v',
    'Zm9v.',
    'Zh',
    'Zm9',
    'Z',
    'Zm9vé',
    'Zm9\u0176',
  ]) {
    assert.equal(decodeBase64url(text), undefined, JSON.stringify(text))
  }
})

test('decodes the examples of RFC 4648 §10 and the two letters that differ from base64', () => {
  const examples = {
    '': '',
    Zg: 'f',
    Zm8: 'fo',
    Zm9v: 'foo',
    Zm9vYg: 'foob',
    Zm9vYmE: 'fooba',
    Zm9vYmFy: 'foobar',
  }
  for (const [text, plain] of Object.entries(examples)) {
    assert.equal(decodeBase64url(text)?.toString(), plain)
    assert.equal(encodeBase64url(plain), text)
  }
  assert.deepEqual([...(decodeBase64url('-_8') ?? [])], [0xfb, 0xff])
})

test('encodes the bytes of a view, not those of the buffer under it', () => {
  assert.equal(encodeBase64url(new Uint8Array(Buffer.from('xfoox')).subarray(1, 4)), 'Zm9v')
})

test('returns what was encoded, for all bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      assert.deepEqual(new Uint8Array(decodeBase64url(encodeBase64url(bytes)) ?? []), bytes)
    }),
    runs,
  )
})

test('accepts a text only as the one that encoding its bytes gives', () => {
  const letters = fc.constantFrom(...'ABYZabyz0189-_+/= .\n\u0141')
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: letters, maxLength: 12 })), text => {
      const bytes = decodeBase64url(text)
      assert.equal(bytes !== undefined, /^[A-Za-z0-9_-]*$/.test(text) && isWhole(text))
      if (bytes !== undefined) assert.equal(encodeBase64url(bytes), text)
    }),
    runs,
  )
})

/** By the letter of RFC 4648 §3.5, without a decoder: no lonely letter, and the bits that no byte needs are zero. */
function isWhole(text: string): boolean {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(text.at(-1) ?? 'A')
  const spare = [0, undefined, 0b1111, 0b11][text.length % 4]
  return spare !== undefined && (last & spare) === 0
}
