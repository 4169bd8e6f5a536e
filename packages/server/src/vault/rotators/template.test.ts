// What a value can make of a call: nothing but a value, whatever stands in it.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import fc from 'fast-check'
import { http } from './http.ts'
import { chosenHere, chosenThere, contextOf, refuses } from './testing/http-options.ts'
import { type KeyApi, startKeyApi } from './testing/key-api.ts'

const opened = async (t: TestContext): Promise<KeyApi> => {
  const api = await startKeyApi()
  t.after(() => api.close())
  return api
}

const hostile = [
  ...['../keys', '..', '.', '..%2f', '%2e%2e', 'a/b', 'a\\b', 'a\u0000', '..;x', 'a\r\nb', '\ud800', ''],
]

test('no value can make a path another path', async t => {
  const api = await opened(t)
  for (const handle of hostile) {
    const context = contextOf(api.origin, chosenThere)
    const next = { value: new Secret('v'), handle, number: 1 }
    await assert.rejects(
      http.retire({ ...context, next }),
      refuses('conflict', /cannot stand in a path/),
      handle,
    )
  }
  assert.deepEqual(api.seen, [])
  const near = { ...chosenThere.retire, path: '/keys/.{{next.handle}}/x' }
  const context = contextOf(api.origin, { ...chosenThere, retire: near })
  await assert.rejects(http.retire({ ...context, next: { ...context.next, handle: '.' } }))
  assert.deepEqual(api.seen, [])
})

test('a value stays one segment, one parameter, one header and one string, whatever it holds', async t => {
  const api = await opened(t)
  const call = {
    method: 'PUT',
    path: '/keys/{{next.handle}}?q={{next.handle}}&r=1',
    headers: { authorization: 'Bearer {{next.value}}' },
    body: { a: ['x{{next.value}}y', 1, null, { b: '{{next.handle}}' }] },
    expect: [201, 401],
  }
  const options = { ...chosenHere, verify: call }
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'grapheme', maxLength: 40 }), async text => {
      api.seen.length = 0
      const context = contextOf(api.origin, options)
      const next = { value: new Secret(text), handle: text, number: 1 }
      try {
        await http.verify({ ...context, next })
      } catch (error) {
        assert.ok(isFault(error), String(error))
        assert.match(error.message, /cannot stand in a (?:path|query|header)/)
        assert.deepEqual(api.seen, [])
        return
      }
      const [seen] = api.seen
      assert.ok(seen)
      const url = new URL(seen.url, api.origin)
      assert.equal(url.pathname.split('/').length, 3)
      assert.equal(decodeURIComponent(url.pathname.split('/')[2] ?? ''), text)
      assert.deepEqual(
        [...url.searchParams],
        [
          ['q', text],
          ['r', '1'],
        ],
      )
      assert.equal(seen.headers.authorization, `Bearer ${text}`.trim())
      assert.deepEqual(JSON.parse(seen.body), { a: [`x${text}y`, 1, null, { b: text }] })
    }),
    { numRuns: 200, examples: [['{{admin}}'], ['","admin":"'], ['$&'], ['a?b&c=d#e'], ["$'"], ['a;b']] },
  )
})

test('a header never takes a control character or a letter outside ASCII, so no other header follows', async t => {
  const api = await opened(t)
  for (const value of ['a\r\nx-evil: 1', 'a\nb', 'a\u0000', '\u00e9', 'a\u2028', '\ud800']) {
    const context = contextOf(api.origin, chosenThere)
    const next = { value: new Secret(value), handle: 'k', number: 1 }
    await assert.rejects(
      http.verify({ ...context, next }),
      refuses('conflict', /cannot stand in a header/, value),
    )
  }
  assert.deepEqual(api.seen, [])
})
