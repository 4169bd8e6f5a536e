// Names as weapons: those that keep a matcher busy for ever, and those that are not what they look like (C40, C64).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authority } from '../harness/authority.ts'

// Each character belongs to two alternatives of a pattern, the last one to none: tried one by one, their combinations
// double with each character.
const doubling = [
  `a${'\u0363'.repeat(120)}я`,
  `あ${'ー'.repeat(120)}я`,
  `क${'\u0951'.repeat(126)}я`,
  `${'ー'.repeat(126)}ａя`.normalize('NFKC'),
  `${'々'.repeat(127)}я`,
  `я${'\u0483'.repeat(120)}a`,
]

test('no name keeps the server busy, however its characters combine', async t => {
  const writ = await authority(t)
  const { operator } = writ
  const agent = { name: 'a', owner: operator.clientId, purpose: 'x' }
  for (const text of doubling) {
    for (const member of ['name', 'model', 'provider', 'version']) {
      const answer = await operator.manage('POST', '/agents', { ...agent, [member]: text })
      assert.equal(answer.status, 422, JSON.stringify(answer.body))
    }
    assert.equal((await operator.manage('POST', '/people', { login: text })).status, 422)
    assert.equal((await operator.manage('POST', '/clients', { client_name: text })).status, 422)
  }
})

test('a name of one script, with its marks, digits and signs, is a name', async t => {
  const { operator } = await authority(t)
  for (const name of [
    'Ａ'.normalize('NFKC'),
    'größter Läufer 2',
    'スーパー AI',
    '報告エージェント',
    'отчёт-1',
    'report №'.normalize('NFKC'),
  ]) {
    const answer = await operator.manage('POST', '/agents', { name, owner: operator.clientId, purpose: 'x' })
    assert.equal(answer.status, 201, `${name}: ${JSON.stringify(answer.body)}`)
  }
})
