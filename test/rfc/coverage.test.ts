// Every requirement that is written down is cited by a test, and every citation names one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSpecs } from '../../tools/specs.ts'
import { openTree } from '../../tools/tree.ts'
import { specifications } from './requirements/index.ts'

test('every requirement is cited by a test, and every cited requirement exists', () => {
  const { count, problems } = checkSpecs(openTree(`${import.meta.dirname}/../..`), specifications)
  assert.deepEqual(problems, [])
  assert.notEqual(count, 0)
})
