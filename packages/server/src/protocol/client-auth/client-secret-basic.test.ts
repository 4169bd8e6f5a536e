// The Authorization header of RFC 7617: what a client writes is read back, and nothing else is read at all.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseBasic } from './client-secret-basic.ts'

const form = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)
const headerOf = (id: string, secret: string): string =>
  `Basic ${Buffer.from(`${form(id)}:${form(secret)}`).toString('base64')}`

const text = (maxLength: number) =>
  fc.string({ unit: 'binary', minLength: 1, maxLength }).filter(one => one.isWellFormed())

test('any id and secret that a client form-encodes come back as they were', () => {
  fc.assert(
    fc.property(text(40), text(40), (id, secret) => {
      const shown = parseBasic(headerOf(id, secret))
      assert.deepEqual([shown?.client, shown?.secret.reveal()], [id, secret])
    }),
  )
})

test('a secret is in nothing that is printed', () => {
  assert.ok(!JSON.stringify(parseBasic(headerOf('cli_1', 'hidden'))).includes('hidden'))
})

test('what is not one canonical base64 of two encoded texts is nothing', () => {
  const raw = (bytes: string | Uint8Array): string => `Basic ${Buffer.from(bytes).toString('base64')}`
  for (const header of [
    '',
    'Basic',
    'Basic ',
    'Bearer YTpi',
    'Basic YTpi ',
    'Basic  YTpi',
    'Basic YTpi, Basic YTpi',
    'Basic YTpiYw',
    'Basic YTpiYx==',
    'Basic YT pi',
    `Basic ${'A'.repeat(2052)}`,
    raw('ab'),
    raw(':b'),
    raw('a:'),
    raw('a%:b'),
    raw('a:b%4'),
    raw('a:%ff'),
    raw(Buffer.from([0x61, 0x3a, 0xff])),
  ]) {
    assert.equal(parseBasic(header), undefined, header)
  }
  // A byte order mark is a character like any other; what was encoded twice is decoded once.
  assert.equal(parseBasic(raw('\ufeffa:b'))?.client, '\ufeffa')
  assert.equal(parseBasic(raw('a%252D:b'))?.client, 'a%2D')
})
