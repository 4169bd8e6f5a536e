// The rotator `http`, against a real API that makes, uses and withdraws keys, and misbehaves in every way.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { Code } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { rotatorContract } from './contract.ts'
import { http } from './http.ts'
import type { Held } from './rotator.ts'
import { type Context, chosenHere, chosenThere, contextOf, refuses } from './testing/http-options.ts'
import { adminKey, type KeyApi, startKeyApi, type Trouble } from './testing/key-api.ts'

const opened = async (t: TestContext, options = {}): Promise<KeyApi> => {
  const api = await startKeyApi(options)
  t.after(() => api.close())
  return api
}

const proposed = async (context: Context): Promise<Context> => ({
  ...context,
  next: { ...(await http.propose(context)), number: (context.current?.number ?? 0) + 1 },
})

const staged = async (context: Context): Promise<Context> => ({
  ...context,
  next: { ...context.next, ...(await http.stage(context)) },
})

for (const [how, given] of Object.entries({ 'the upstream chooses': chosenThere, 'we choose': chosenHere }))
  rotatorContract(`http, where ${how}`, {
    rotator: http,
    async open(through) {
      const api = await startKeyApi()
      return {
        options: { base: `http://127.0.0.1:${await through(api.port)}`, ...given },
        secrets: { 'api-admin': adminKey },
        worksWith: async value => [...api.keys.values()].includes(value.reveal()),
        refuse: async isRefusing => api.refuse(isRefusing),
        // What a server logs of a request by itself.
        written: async () => api.seen.map(({ method, url }) => `${method} ${url}`).join('\n'),
        close: () => api.close(),
      }
    },
    hostile: [
      { base: 'https://user@evil.example' },
      { base: 'http://evil.example' },
      { retire: { ...chosenThere.retire, path: '/../{{next.handle}}' } },
      { retire: { ...chosenThere.retire, path: '/?key={{next.value}}' } },
      { stage: { ...chosenThere.stage, headers: { host: 'evil.example' } } },
      { stage: { ...chosenThere.stage, headers: { authorization: 'Bearer in-the-options' } } },
      { verify: { ...chosenThere.verify, body: '{{env.HOME}}' } },
    ],
  })

for (const [how, given] of Object.entries({ 'the upstream chooses': chosenThere, 'we choose': chosenHere }))
  test(`a key is made, used and withdrawn, each step once however often it is taken: ${how}`, async t => {
    const api = await opened(t)
    const first = await staged(await proposed(contextOf(api.origin, given)))
    await http.stage(first)
    assert.equal(api.keys.get(first.next.handle ?? ''), first.next.value.reveal())
    const second = await staged(
      await proposed(contextOf(api.origin, given, { rotation: 'rot_2', current: first.next })),
    )
    for (const _ of [1, 2]) {
      await http.verify(second)
      await http.promote(second)
    }
    assert.equal(api.keys.size, 2)
    const gone = { ...second, current: second.next, next: first.next }
    for (const _ of [1, 2]) await http.retire(gone)
    assert.deepEqual([...api.keys], [[second.next.handle, second.next.value.reveal()]])
    await assert.rejects(
      http.verify(gone),
      refuses('conflict', /refuses to verify/, first.next.value.reveal()),
    )
    const ids = api.seen.map(({ headers }) => headers['idempotency-key'])
    assert.ok(ids.includes('rot_1-stage-1') && ids.includes('rot_2-retire-1'))
  })

test('an answer that was lost is asked for again, and there is one key', async t => {
  const api = await opened(t)
  for (const trouble of ['lose-answer', 'half-apply'] as const) {
    const context = await proposed(contextOf(api.origin, chosenThere, { rotation: `rot_${trouble}` }))
    api.trouble('POST', trouble)
    await assert.rejects(http.stage(context), refuses('temporarily_unavailable', /no answer|cannot stage/))
    const [[handle, value] = [], ...more] = [...api.keys]
    assert.deepEqual(more, [])
    const next = await staged(context)
    assert.deepEqual([next.next.handle, next.next.value.reveal()], [handle, value])
    await http.retire(next)
  }
})

test('a successor whose answer was lost is withdrawn all the same, and a predecessor never staged for it', async t => {
  const api = await opened(t)
  const current: Held = { value: new Secret('current'), handle: 'k_1', number: 1 }
  const context = await proposed(contextOf(api.origin, chosenThere, { current }))
  api.trouble('POST', 'lose-answer')
  await assert.rejects(http.stage(context))
  assert.equal(api.keys.size, 1)
  await http.retire(context)
  assert.equal(api.keys.size, 0)
  // Nothing was made where the upstream refuses to make it.
  api.trouble('POST', 'refuse-echoing')
  await http.retire({ ...context, rotation: 'rot_2' })
  const byHand: Held = { value: new Secret('by hand'), handle: null, number: 0 }
  await assert.rejects(
    http.retire({ ...context, next: byHand }),
    refuses('conflict', /no \{\{next.handle\}\}/),
  )
  assert.equal(api.keys.size, 0)
})

const troubles: Readonly<Record<Exclude<Trouble, 'lose-answer' | 'half-apply'>, [Code, RegExp]>> = {
  'refuse-echoing': ['conflict', /refuses to stage the version \(422\)/],
  hang: ['temporarily_unavailable', /no answer/],
  drip: ['temporarily_unavailable', /no answer/],
  cut: ['temporarily_unavailable', /no answer/],
  fail: ['temporarily_unavailable', /cannot stage the version now \(503\)/],
  huge: ['conflict', /more than 65536 bytes/],
  endless: ['conflict', /more than 65536 bytes/],
  'not-json': ['conflict', /is no JSON/],
  'other-json': ['conflict', /no secret at \/data\/key/],
  redirect: ['conflict', /redirect \(307\)/],
}

for (const [trouble, [code, pattern]] of Object.entries(troubles))
  test(`an upstream that misbehaves is refused without a word of what was sent or said: ${trouble}`, async t => {
    const other = await opened(t)
    const api = await opened(t, { elsewhere: other.origin })
    const context = await proposed(contextOf(api.origin, chosenThere))
    api.trouble('POST', trouble as Trouble)
    await assert.rejects(http.stage(context), refuses(code, pattern))
    assert.deepEqual(other.seen, [], 'nothing goes to another host')
    assert.ok((await staged(context)).next.handle)
  })

test('what the stop of the server aborts is not sent, or not waited for', async t => {
  const api = await opened(t)
  const context = await proposed(contextOf(api.origin, chosenThere, { signal: AbortSignal.abort() }))
  await assert.rejects(http.stage(context), refuses('temporarily_unavailable', /no answer/))
  assert.deepEqual(api.seen, [])
  const stop = new AbortController()
  api.trouble('POST', 'hang')
  const waiting = http.stage({ ...context, signal: stop.signal })
  setImmediate(() => stop.abort())
  await assert.rejects(waiting, refuses('temporarily_unavailable', /no answer/))
})

test('an answer with the old secret, or with the secret for a handle, is refused', async t => {
  const api = await opened(t)
  const context = await proposed(contextOf(api.origin, chosenThere))
  const { next } = await staged(context)
  await assert.rejects(
    http.stage({ ...context, current: { ...next, handle: 'x' } }),
    refuses('conflict', /returns the old secret/, next.value.reveal()),
  )
  const crossed = contextOf(api.origin, { ...chosenThere, handle: '/data/key' })
  await assert.rejects(http.stage(crossed), refuses('conflict', /the secret itself at/, next.value.reveal()))
})

test('the administrator is asked for only where a call uses it', async t => {
  const api = await opened(t)
  const asked: string[] = []
  const secret = async (name: string): Promise<Secret<string>> => {
    asked.push(name)
    return new Secret(adminKey)
  }
  const context = await staged(await proposed(contextOf(api.origin, chosenThere, { secret })))
  assert.deepEqual(asked, ['api-admin'])
  await http.verify(context)
  assert.deepEqual(asked, ['api-admin'])
})

test('a status that means not yet is tried again, one that is expected is done', async t => {
  const api = await opened(t)
  const verify = { ...chosenThere.verify, later: [401] }
  const context = contextOf(api.origin, { ...chosenThere, verify }, {})
  await assert.rejects(http.verify(context), refuses('temporarily_unavailable', /cannot verify yet \(401\)/))
  const done = contextOf(api.origin, { ...chosenThere, verify: { ...chosenThere.verify, expect: [401] } })
  await http.verify(done)
})
