// What the options of `http` may not say: each an attack on where a call goes, or on what it carries.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { httpOptions } from './http-calls.ts'
import { chosenThere } from './testing/http-options.ts'

const { headers: admin } = chosenThere.stage
const isRefused = (change: object): boolean =>
  !httpOptions.safeParse({ base: 'https://api.example', ...chosenThere, ...change }).success

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
