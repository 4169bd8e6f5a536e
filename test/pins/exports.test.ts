// Pin: what others can import. Deliberate? Then: node tools/surface.ts > test/pins/exports.txt, and a fragment.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { surface } from '../../tools/surface.ts'
import { openTree } from '../../tools/tree.ts'

test('the packages export what they exported before', () => {
  const pinned = readFileSync(`${import.meta.dirname}/exports.txt`, 'utf8')
    .trimEnd()
    .split('\n')
  const now = surface(openTree(`${import.meta.dirname}/../..`))
  assert.notEqual(now.length, 0)
  assert.deepEqual(
    { gone: pinned.filter(name => !now.includes(name)), new: now.filter(name => !pinned.includes(name)) },
    { gone: [], new: [] },
  )
})
