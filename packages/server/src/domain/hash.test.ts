// The domain's hashing: known answers, and parts that never run into each other.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { hashParts, sha256, sha256Into } from './hash.ts'

const runs = { numRuns: 1000 }
const part = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary-ascii' }), fc.uint8Array())

test('SHA-256 gives the answers of FIPS 180-4', () => {
  assert.equal(sha256('').toString('hex'), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  assert.equal(
    sha256('abc').toString('hex'),
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  )
  const out = Buffer.alloc(40)
  sha256Into(out, 4, Buffer.from('abc'))
  assert.equal(out.toString('hex'), `00000000${sha256('abc').toString('hex')}00000000`)
})

test('parts hash as a big-endian length and their bytes', () => {
  const expected = createHash('sha256')
    .update('\0\0\0\x02')
    .update('é', 'utf8')
    .update('\0\0\0\x01b')
    .digest()
  assert.deepEqual(hashParts('é', 'b'), expected)
  assert.deepEqual(hashParts(Buffer.from('é'), 'b'), expected)
})

test('moving a letter from one part to the next changes the hash', () => {
  assert.notDeepEqual(hashParts('a', 'bc'), hashParts('ab', 'c'))
  assert.notDeepEqual(hashParts('a'), hashParts('a', ''))
  assert.notDeepEqual(hashParts(), hashParts(''))
})

test('texts that differ only in lone surrogates never share a hash', () => {
  assert.notDeepEqual(hashParts('jti\ud800'), hashParts('jti\ud801'))
  assert.notDeepEqual(hashParts('\ud800'), hashParts('\ufffd'))
  assert.notDeepEqual(hashParts('\ud800'), hashParts(Buffer.from('\ud800', 'utf16le')))
})

test('two lists of parts have one hash only if they are the same list', () => {
  fc.assert(
    fc.property(fc.array(part, { maxLength: 4 }), fc.array(part, { maxLength: 4 }), (a, b) => {
      const same =
        a.length === b.length &&
        a.every((one, at) => bytesOf(one).equals(bytesOf(b[at] as string | Uint8Array)))
      assert.equal(hashParts(...a).equals(hashParts(...b)), same)
    }),
    runs,
  )
})

test('a part longer than the working memory hashes like any other', () => {
  const long = 'ü'.repeat(100_000)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(200_000)
  assert.deepEqual(hashParts(long), createHash('sha256').update(length).update(long).digest())
})

function bytesOf(part: string | Uint8Array): Buffer {
  return typeof part === 'string' ? Buffer.from(part) : Buffer.from(part)
}
