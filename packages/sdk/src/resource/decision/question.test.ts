// Questions: everything that may decide is in them, and equal ones have one text.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Caller } from '../caller.ts'
import { questionOf, textOf } from './question.ts'

const caller: Caller = {
  agent: 'agt_1',
  instance: 'ins_1',
  session: 'ses_1',
  task: 'sorts',
  subject: 'agt_1',
  person: null,
  chain: ['agt_1'],
  grant: 'grt_1',
  grants: ['grt_1'],
  scopes: ['read'],
  authorizationDetails: [],
  key: 'thumb',
  clientKey: 'thumb',
  epoch: 3,
  tokenId: 'jti',
  expiresAt: 2000,
  may: () => true,
  holds: () => true,
}

test('the members of an object may come in any order, its values may not', () => {
  const values = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 8 })
  fc.assert(
    fc.property(values, value => {
      const turned = Object.fromEntries(Object.entries(value).reverse())
      assert.equal(textOf(turned), textOf(value))
      assert.deepEqual(JSON.parse(textOf(value) ?? ''), JSON.parse(JSON.stringify(value)))
    }),
    { numRuns: 1000 },
  )
  assert.notEqual(textOf({ a: '1' }), textOf({ a: 1 }))
  assert.notEqual(textOf({ a: ['b', 'c'] }), textOf({ a: 'b,c' }))
  assert.notEqual(textOf({ 'a":1,"b': 2 }), textOf({ a: 1, b: 2 }))
})

test('what JSON cannot carry exactly has no text, so nothing is decided on it', () => {
  for (const value of [
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1n,
    new Date(0),
    new Map(),
    () => 1,
    Symbol('x'),
  ])
    assert.equal(textOf({ a: value }), undefined)
})

test('every input makes another question: nobody is given the answer of another call', () => {
  const of = (act: Parameters<typeof questionOf>[2], more: Partial<Caller> = {}): string =>
    textOf(questionOf('https://api.example', { ...caller, ...more }, act)) ?? ''
  const act = {
    action: 'pay',
    object: { type: 'invoice', id: '1' },
    arguments: { amount: 1 },
    peer: '192.0.2.1',
  }
  const texts = [
    of(act),
    of({ ...act, action: 'see' }),
    of({ ...act, object: { type: 'invoice', id: '2' } }),
    of({ ...act, object: { type: 'bill', id: '1' } }),
    of({ ...act, arguments: { amount: 2 } }),
    of({ ...act, arguments: {} }),
    of({ ...act, peer: '192.0.2.2' }),
    of({ ...act, approval: 'apr_1' }),
    of({ ...act, amounts: { calls: 2 } }),
    of({ ...act, amounts: { calls: 2 }, reserve: true }),
    of({ ...act, amounts: { money: 2, currency: 'EUR' } }),
    of({ ...act, amounts: { money: 2, currency: 'USD' } }),
    of({ ...act, context: { office: 'north' } }),
    of(act, { agent: 'agt_2' }),
    of(act, { instance: 'ins_2' }),
    of(act, { instance: null }),
    of(act, { person: 'usr_1' }),
    of(act, { session: null }),
    of(act, { task: 'other' }),
    of(act, { grants: [] }),
    of(act, { scopes: ['read', 'write'] }),
    of(act, { authorizationDetails: [{ type: 'http' }] }),
    of(act, { tokenId: 'other' }),
    of(act, { clientKey: 'other' }),
    of(act, { epoch: 4 }),
    of(act, { expiresAt: 2001 }),
  ]
  assert.equal(new Set(texts).size, texts.length)
})

test('a fact of the resource is never one of those that policies believe', () => {
  const claimed = {
    office: 'north',
    peer: '10.0.0.1',
    instance: 'ins_2',
    session: 'ses_2',
    task: 'other',
    chain: [{ type: 'person', id: 'usr_1' }],
    arguments: { amount: 1 },
    approval: { id: 'apr_1' },
    amounts: { calls: 0 },
    reserve: true,
    authentication_age: 1,
    key_age: 1,
  }
  const nobody = { ...caller, instance: null, session: null, task: null }
  const question = questionOf('https://api.example', nobody, { action: 'read', context: claimed })
  const { token: _, ...rest } = question['context'] as Record<string, unknown>
  assert.deepEqual(rest, { office: 'north' })
})

test('a fact of the resource cannot take the place of what the token says', () => {
  const context = { token: { grants: ['grt_2'] }, session: 'ses_2', chain: [], instance: 'ins_2' }
  const question = questionOf('https://api.example', caller, { action: 'read', context })
  const { token, session, instance } = question['context'] as Record<string, Record<string, unknown>>
  assert.deepEqual([token?.['grants'], session, instance], [['grt_1'], 'ses_1', 'ins_1'])
})
