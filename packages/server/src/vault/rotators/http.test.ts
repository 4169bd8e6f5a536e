import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type Code, isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import fc from 'fast-check'
import { rotatorContract } from './contract.ts'
import { http } from './http.ts'
import type { HttpOptions } from './http-calls.ts'
import type { Held, RotatorContext } from './rotator.ts'
import { adminKey, type KeyApi, startKeyApi, type Trouble } from './testing/key-api.ts'

type Context = RotatorContext<HttpOptions>

const admin = { authorization: 'Bearer {{admin}}' }
/** The upstream chooses the value and its name. */
const chosenThere = {
  admin: 'api-admin',
  stage: { method: 'POST', path: '/keys', headers: admin, body: { for: '{{secret.name}}' } },
  verify: { method: 'GET', path: '/me', headers: { authorization: 'Bearer {{next.value}}' } },
  retire: { method: 'DELETE', path: '/keys/{{next.handle}}', headers: admin },
  value: '/data/key',
  handle: '/data/id',
  timeoutSeconds: 1,
}
/** We choose both. */
const { value: _, handle: __, ...rest } = chosenThere
const chosenHere = {
  ...rest,
  stage: {
    method: 'POST',
    path: '/keys',
    headers: admin,
    body: { name: '{{next.handle}}', key: '{{next.value}}' },
  },
}

function contextOf(base: string, given: object, more: Partial<Context> = {}): Context {
  return {
    options: http.options.parse({ base, ...given }),
    rotation: 'rot_1',
    secretName: 'api-key',
    current: null,
    next: { value: new Secret('not yet'), handle: null, number: 1 },
    secret: async () => new Secret(adminKey),
    now: 1_800_000_000,
    signal: new AbortController().signal,
    ...more,
  }
}

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

const refuses =
  (code: Code, pattern: RegExp, ...secrets: string[]) =>
  (error: unknown): boolean => {
    assert.ok(isFault(error), String(error))
    assert.equal(error.code, code, error.message)
    assert.match(error.message, pattern)
    const shown = `${error.message} ${JSON.stringify(error.why)} ${error.cause ?? ''} ${error.stack}`
    for (const secret of [adminKey, ...secrets]) assert.ok(!shown.includes(secret), shown)
    return true
  }

const isRefused = (change: object): boolean =>
  !http.options.safeParse({ base: 'https://api.example', ...chosenThere, ...change }).success

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

test('a base that could be read as another place is refused', () => {
  const wrong = [
    ...[
      'http://api.example',
      'https://api.example@evil.example',
      'https://u:p@api.example',
      'https://api.example\\@evil',
    ],
    ...[
      'https://api.example/',
      'https://api.example?x=1',
      'https://api.example#x',
      'https://api.example/a/../b',
    ],
    ...[
      'https://api.example/%2e%2e',
      'ftp://api.example',
      '//api.example',
      'https://0x7f.1',
      'https://api.example.',
    ],
    ...[
      'https:/api.example',
      'https://api.example\n',
      'http://127.0.0.1.evil.example',
      'https://{{admin}}.example',
    ],
    ...['http://localhost.evil.example', 'https://\u0430pi.example', 'https://API.example', ''],
  ]
  for (const base of wrong) assert.ok(isRefused({ base }), base)
  for (const base of [
    'https://api.example',
    'https://api.example:8443/v1',
    'http://127.0.0.1:1',
    'http://[::1]:1',
  ])
    assert.ok(!isRefused({ base }), base)
})

test('a path that could leave the base is refused before anything is filled in', () => {
  const wrong = [
    ...[
      'keys',
      '',
      '//evil.example/keys',
      '/../keys',
      '/keys/..',
      '/keys/%2e%2e/x',
      '/keys/.%2E',
      '/a//b',
      '/a\\b',
    ],
    ...[
      '/a%2fb',
      '/a%5Cb',
      '/a%252fb',
      '/a%00',
      '/a#b',
      '/a b',
      '/a\r\nHost: evil',

      '/keys/..;/x',
      '/\u00e9',
    ],
    ...['/a%zz', '/./a', `/${'a'.repeat(2000)}`],
  ]
  for (const path of wrong)
    if (path !== '/@evil')
      assert.ok(isRefused({ stage: { ...chosenThere.stage, path } }), JSON.stringify(path))
  assert.ok(
    !isRefused({ stage: { ...chosenThere.stage, path: '/v1/keys?name={{secret.name}}&r={{rotation}}' } }),
  )
})

test('a template that is misspelt, unknown, or cannot be known yet is refused', () => {
  const wrong = [
    ...[
      '{{nex.value}}',
      '{{ next.value }}',
      '{{next.value',
      'next.value}}',
      '{{{{next.value}}}}',
      '{{constructor}}',
    ],
    ...['{{__proto__}}', '{{toString}}', '{{}}', '{{next.value}}', '{{next.handle}}'],
  ]
  for (const text of wrong) {
    assert.ok(isRefused({ stage: { ...chosenThere.stage, body: { a: [text] } } }), text)
    assert.ok(isRefused({ stage: { ...chosenThere.stage, headers: { 'x-a': text } } }), text)
  }
  assert.ok(isRefused({ stage: { ...chosenThere.stage, body: { '{{admin}}': 1 } } }), 'a member name')
  assert.ok(isRefused({ admin: undefined }), 'an administrator that is not named')
  for (const name of ['admin', 'next.value', 'current.value'])
    assert.ok(isRefused({ retire: { ...chosenThere.retire, path: `/keys?key={{${name}}}` } }), name)
})

test('a header that changes the request itself, or gives a credential in the options, is refused', () => {
  const wrong: Record<string, string>[] = [
    { host: 'evil.example' },
    { 'content-length': '0' },
    { 'transfer-encoding': 'chunked' },
    { 'idempotency-key': 'mine' },
    { authorization: 'Bearer sk-live' },
    { 'x-api-key': 'sk-live' },
    { cookie: 'session=1' },
    { 'X-A': 'upper case twice is one header' },
    { 'x-a': 'a\r\nx-b: c' },
    { 'x-a': '\u00e9' },
    { 'x a': 'b' },
    { '': 'b' },
  ]
  for (const headers of wrong)
    assert.ok(
      isRefused({ stage: { ...chosenThere.stage, headers: { ...admin, ...headers } } }),
      JSON.stringify(headers),
    )
  for (const status of [301, 307, 500, 100])
    assert.ok(isRefused({ stage: { ...chosenThere.stage, expect: [status] } }))
  for (const pointer of ['', 'data', '/a~2', '/~']) assert.ok(isRefused({ value: pointer }), pointer)
  assert.ok(isRefused({ extra: true }))
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
