// Anything at all at every address: an answer that is registered, never a failure, and nothing told that is not meant (C64, C67).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { codes } from '@writ/sdk/protocol/fault'
import fc from 'fast-check'
import { api, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { answerOf } from '../harness/party.ts'

const paths = [
  '/token',
  '/introspect',
  '/revoke',
  '/jwks',
  '/enroll',
  '/rekey',
  '/revocations',
  '/limits',
  '/errors',
  '/healthz',
  '/metrics',
  '/audit/checkpoint',
  '/audit/key',
  '/audit/entries',
  '/audit/export',
  '/audit/tile/0/000',
  '/audit/tile/entries/000',
  '/api/v1/agents',
  '/api/v1/events',
  '/api/v1/openapi.json',
  '/.well-known/writ-configuration',
]

const strange = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '..',
    '%2e%2e',
    '%00',
    '/',
    '//',
    '__proto__',
    'constructor',
    '-1',
    '1e309',
    'null',
    '[]',
    '{}',
    "' or 1=1 --",
  ),
)
const latin = fc.string({ maxLength: 60 }).map(text => text.replace(/[^\x20-\x7e]/g, ''))

const request = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'PROPFIND'),
  path: fc.constantFrom(...paths),
  below: fc.option(strange, { nil: '' }),
  query: fc.option(strange, { nil: '' }),
  type: fc.option(
    fc.oneof(
      fc.constantFrom('application/json', 'application/x-www-form-urlencoded', 'text/event-stream'),
      latin,
    ),
    { nil: undefined },
  ),
  authorization: fc.option(
    fc.oneof(
      latin,
      latin.map(text => `DPoP ${text}`),
    ),
    { nil: undefined },
  ),
  dpop: fc.option(latin, { nil: undefined }),
  body: fc.option(
    fc.oneof(
      strange,
      fc.json({ maxDepth: 3 }),
      strange.map(text => `token=${text}`),
    ),
    { nil: undefined },
  ),
})

async function send(writ: Authority, asked: typeof request extends fc.Arbitrary<infer R> ? R : never) {
  const { method, path, below, query, body } = asked
  const headers = Object.entries({
    'content-type': asked.type,
    authorization: asked.authorization,
    dpop: asked.dpop,
    'if-match': asked.dpop,
    'idempotency-key': asked.dpop,
    accept: asked.type,
    'last-event-id': asked.dpop,
  }).filter((header): header is [string, string] => header[1] !== undefined)
  const url = `${writ.issuer}${path}${below === '' ? '' : `/${encodeURI(below.toWellFormed())}`}?${encodeURI(query.toWellFormed())}`
  const takesBody = method !== 'GET' && method !== 'HEAD'
  return writ.fetch(url, { method, headers, ...(takesBody && body !== undefined ? { body } : {}) })
}

test('whatever is asked, wherever: the answer is registered, and none of it was a failure of ours (property 23)', async t => {
  const writ = await authority(t)
  await fc.assert(
    fc.asyncProperty(request, async asked => {
      const answer = await send(writ, asked)
      if (answer.headers.get('content-type')?.includes('event-stream'))
        return void (await answer.body?.cancel())
      assert.ok(answer.status < 500, `${answer.status}`)
      if (answer.status < 400 || asked.method === 'HEAD') return
      const { status, body } = await answerOf(answer)
      const code = body.code ?? body.error
      assert.ok(Object.hasOwn(codes, code), `${status} ${JSON.stringify(body)}`)
    }),
    { numRuns: 1500 },
  )
})

test('whatever a holder of a token asks of the log, it is a tile, entries, or a refusal', async t => {
  const writ = await authority(t, { checkpointSeconds: 1 })
  const token = await writ.operator.token(`${writ.issuer}/api/v1`, 'writ:events:read')
  const numbers = [
    '0',
    '1',
    '-1',
    '00',
    '1e3',
    '0x1',
    '999999999999999',
    '9999999999999999',
    '',
    ' ',
    '1.5',
    'NaN',
    '٣',
    '1,2',
  ]
  const places = [
    ...numbers.flatMap(one => [
      `/audit/entries?from=${one}`,
      `/audit/entries?from=0&to=${one}`,
      `/api/v1/events?after=${one}`,
    ]),
    ...numbers.flatMap(one => [
      `/api/v1/events?limit=${one}`,
      `/audit/tile/${one}/000`,
      `/audit/tile/0/${one}`,
    ]),
    ...[
      'x000/000',
      '000.p/1',
      '000.p/0',
      '000.p/256',
      '000.p/257',
      '000.p/-1',
      'x999/x999/x999/x999/999',
      '../000',
      '0000',
    ].flatMap(one => [
      `/audit/tile/0/${one}`,
      `/audit/tile/entries/${one}`,
      `/audit/entries/${one}`,
      `/audit/tile/63/${one}`,
    ]),
    ...[
      '2026-11-23',
      '2026-11-23T00:00:00Z',
      '9999-12-31T23:59:59+23:59',
      '0000-01-01T00:00:00Z',
      'yesterday',
      '2026-02-31T00:00:00Z',
      '1',
    ].flatMap(one => [
      `/audit/export?since=${encodeURIComponent(one)}`,
      `/audit/export?until=${encodeURIComponent(one)}`,
      `/api/v1/events?since=${encodeURIComponent(one)}`,
    ]),
    '/audit/entries?from=0&from=1',
    '/audit/entries?__proto__=1',
    '/audit/export?since=2026-11-23T00:00:00Z&until=2000-01-01T00:00:00Z',
    '/audit/entries?from=0&to=999999999999999',
  ]
  for (const place of places) {
    const url = `${writ.issuer}${place.replace(/[^\x21-\x7e]/g, encodeURIComponent)}`
    const { status, body } = await writ.operator.call('GET', url, { token })
    assert.ok(
      [200, 400, 404, 422].includes(status),
      `${place} ${status} ${JSON.stringify(body).slice(0, 200)}`,
    )
  }
})

test('a failure of ours tells nobody what failed, and lets nobody in', async t => {
  const said = 'password=hunter2 at /srv/writ/secret.ts select * from keys'
  const seen: unknown[] = []
  let isBroken = false
  const breaking = async <T>(ask: () => Promise<T>): Promise<T> => {
    if (isBroken) throw new Error(said)
    return ask()
  }
  const writ = await authority(t, {
    around: {
      observer: { request: () => {}, bug: error => void seen.push(error) },
      wrapStore: store => ({
        ...store,
        facts: {
          ...store.facts,
          caller: (...asked) => breaking(() => store.facts.caller(...asked)),
          resource: (...asked) => breaking(() => store.facts.resource(...asked)),
        },
        oneTimes: { peek: (...asked) => breaking(() => store.oneTimes.peek(...asked)) },
      }),
    },
  })
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const token = await writ.operator.token(`${writ.issuer}/api/v1`, 'writ:*')
  await agent.nonce()
  isBroken = true
  const answers = [
    await agent.tokenRequest({ resource: api }),
    await agent.post('/introspect', {
      token: 'x',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: agent.assertion(),
    }),
    await writ.operator.call('GET', `${writ.issuer}/api/v1/agents`, { token }),
    await writ.operator.call('GET', `${writ.issuer}/audit/entries`, { token }),
  ]
  for (const { status, body, headers } of answers) {
    assert.equal(status, 500)
    const text = JSON.stringify([body, [...headers]])
    for (const word of ['hunter2', '/srv', 'secret.ts', 'select', 'stack'])
      assert.ok(!text.includes(word), text)
    assert.equal(body.error ?? body.code, 'server_error')
  }
  assert.equal(seen.length, answers.length)
  isBroken = false
  assert.equal((await agent.tokenRequest({ resource: api })).status, 200)
})
