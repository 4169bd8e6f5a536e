// The guide to policies: its example is valid, and says what the page says it does.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { checkPolicies } from '@writ/server/testing'
import { answerOf } from './scene.ts'

const page = readFileSync(new URL('../../docs/guide/policies.md', import.meta.url), 'utf8')
const [source = ''] = [...page.matchAll(/^```cedar\n(.*?)^```$/gms)].map(([, text = '']) => text)

test('the set of the guide is valid', () => assert.deepEqual(checkPolicies(source, []), []))

test('the set of the guide decides as the guide says', () => {
  const from = { peer: '10.1.2.3' }
  assert.deepEqual(answerOf(source, { peer: '192.0.2.1' }).reasons, ['office-only'])
  assert.equal(answerOf(source, from).allowed, true)
  assert.deepEqual(answerOf(source, { ...from, action: 'delete', claims: { model: 'model-1' } }).reasons, [
    'approved-models',
  ])
  const ada = { who: 'person ada', action: 'get', on: 'http /x' }
  assert.equal(answerOf(source, ada).allowed, false)
  assert.equal(answerOf(source, { ...ada, groups: ['grp_00000000000000000000000001'] }).allowed, true)
})
