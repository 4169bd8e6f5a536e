// The reference page says what the commands say of themselves.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { referenceOf, referencePage } from './reference.ts'

test('the reference page has every command and option as it is; where not, run reference.ts', async () => {
  const page = readFileSync(referencePage, 'utf8')
  assert.equal(await referenceOf(page), page)
  assert.ok(page.split('\n### writ ').length > 40)
})
