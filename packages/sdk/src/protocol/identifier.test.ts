// Identifiers: one text for each, and none for anything else.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { type IdPrefix, isId, newId, parseId, prefixes, prefixOf } from './identifier.ts'

const all = Object.keys(prefixes) as IdPrefix[]

test('makes identifiers that are read back as themselves, and under no other prefix', () => {
  for (const prefix of all) {
    const id = newId(prefix, randomBytes)
    assert.match(id, new RegExp(`^${prefix}_[0-9a-hjkmnp-tv-z]{26}$`))
    assert.equal(parseId(prefix, id), id)
    assert.equal(prefixOf(id), prefix)
    for (const other of all) assert.equal(isId(other, id), other === prefix)
  }
})

test('refuses every other spelling of an identifier', () => {
  const id = newId('agt', randomBytes)
  const others = [
    id.toUpperCase(),
    `${id} `,
    ` ${id}`,
    `${id}\n`,
    `${id}0`,
    id.slice(0, -1),
    id.replace('_', '-'),
    id.replace('agt_', ''),
    `agt_${id}`,
    `${id.slice(0, -1)}\u0430`,
    `${id.slice(0, -1)}l`,
    `${id.slice(0, -1)}o`,
    encodeURIComponent(`${id}é`),
    '',
    'agt_',
    'agt',
    '__proto___',
    'constructor_',
  ]
  for (const other of others) {
    assert.equal(parseId('agt', other), undefined, other)
    assert.equal(prefixOf(other), undefined, other)
  }
  for (const value of [undefined, null, 1, [id], { id }])
    assert.deepEqual([parseId('agt', value), prefixOf(value)], [undefined, undefined])
})

test('uses every letter equally often and each byte of randomness once', () => {
  const letters = new Map<string, number>()
  for (let byte = 0; byte < 256; byte++) {
    const id = newId('agt', length => new Uint8Array(length).fill(byte))
    const letter = id.at(-1) ?? ''
    letters.set(letter, (letters.get(letter) ?? 0) + 1)
  }
  assert.deepEqual([...letters.values()], Array(32).fill(8))
})

test('has no two texts for one identifier, for arbitrary values', () => {
  const near = fc
    .tuple(
      fc.constantFrom(...all, 'AGT', 'x', ''),
      fc.string({ unit: fc.constantFrom(...'0189abilouz_ A'), minLength: 24, maxLength: 28 }),
    )
    .map(parts => parts.join('_'))
  fc.assert(
    fc.property(fc.oneof(near, fc.string({ unit: 'binary' }), fc.jsonValue()), value => {
      for (const prefix of all) {
        const id = parseId(prefix, value)
        if (id !== undefined) assert.equal(id, value)
      }
    }),
    { numRuns: 3_000 },
  )
})
