// Ids of entries say where the entry is, and nobody can guess one.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { newId, parseId } from '@writ/sdk/protocol/identifier'
import fc from 'fast-check'
import { eventIdAt, indexIn, randomBytesOfId } from './event-id.ts'

const index = fc.integer({ min: 0, max: 2 ** 50 - 1 })

test('an id is an identifier like any other, and its index is read back from it', () => {
  fc.assert(
    fc.property(index, at => {
      const id = eventIdAt(at, randomBytes(randomBytesOfId))
      assert.equal(parseId('evt', id), id)
      assert.equal(indexIn(id), at)
    }),
  )
})

test('ids sort as their entries do', () => {
  fc.assert(
    fc.property(index, index, (a, b) => {
      const [first, second] = [a, b].map(at => eventIdAt(at, randomBytes(randomBytesOfId)))
      if (a !== b) assert.equal((first ?? '') < (second ?? ''), a < b)
    }),
  )
})

test('two ids of one place differ, and other texts are no ids', () => {
  assert.notEqual(eventIdAt(1, randomBytes(randomBytesOfId)), eventIdAt(1, randomBytes(randomBytesOfId)))
  for (const text of [
    '',
    'evt_',
    newId('agt', randomBytes),
    `evt_${'l'.repeat(26)}`,
    `evt_${'0'.repeat(27)}`,
  ]) {
    assert.equal(indexIn(text), undefined, text)
  }
})
