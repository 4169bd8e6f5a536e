// On the wire: what two readers of the same bytes could take for different requests, and what never ends (C64, C65).
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { assertionType } from '../harness/party.ts'
import { raw, serve } from './serve.ts'

const request = (line: string, headers: readonly string[] = [], body = ''): string =>
  `${line}\r\n${['Host: 127.0.0.1', 'Connection: close', ...headers].join('\r\n')}\r\n\r\n${body}`

const statuses = (answer: string): number[] =>
  [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))

const form = 'Content-Type: application/x-www-form-urlencoded'

test('requests on the wire, each in its own way wrong', { concurrency: true }, async t => {
  const writ = await serve(t, { WRIT_RATE_PER_SECOND: '100000' })
  const { port, operator } = writ
  const ask = async (bytes: string | Buffer): Promise<number[]> => statuses(await raw(port, bytes))

  await t.test('one body has one length: what two proxies could cut in two places is refused', async () => {
    const smuggled = 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'
    const line = 'POST /token HTTP/1.1'
    const bad = [
      request(line, [form, 'Content-Length: 5', 'Transfer-Encoding: chunked'], `0\r\n\r\n${smuggled}`),
      request(line, [form, 'Transfer-Encoding: chunked', 'Content-Length: 5'], `0\r\n\r\n${smuggled}`),
      request(line, [form, 'Content-Length: 5', 'Content-Length: 6'], smuggled),
      request(line, [form, 'Content-Length: 5, 5'], smuggled),
      request(line, [form, 'Content-Length: +5'], smuggled),
      request(line, [form, 'Content-Length: 0x5'], smuggled),
      request(line, [form, 'Content-Length: -1'], smuggled),
      request(line, [form, 'Content-Length: 5 5'], smuggled),
      request(line, [form, 'Transfer-Encoding: chunked, identity'], `0\r\n\r\n${smuggled}`),
      request(line, [form, 'Transfer-Encoding: xchunked'], `0\r\n\r\n${smuggled}`),
      request(line, [form, 'Transfer-Encoding : chunked'], `0\r\n\r\n${smuggled}`),
      request(line, [form, 'Transfer-Encoding: chunked'], `5;a="\n"\r\nhello\r\n0\r\n\r\n`),
      request(line, [form, 'Transfer-Encoding: chunked'], `ffffffffffffffff\r\nx`),
      request(line, [form, 'Transfer-Encoding: chunked'], `5\nhello\n0\n\n`),
      request(line, [form, 'Transfer-Encoding: chunked'], `0x5\r\nhello\r\n0\r\n\r\n`),
      request(line, [form, ' Content-Length: 5'], 'hello'),
      request(line, [form, 'Content-Length: 5', ' folded: x'], 'hello'),
      request(line, ['X\u0000: y'], ''),
      request(line, ['X: a\rb'], ''),
      request('POST /token HTTP/1.1 ', []),
      'POST /token HTTP/1.1\n\n',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
      '\u0016\u0003\u0001\u0000\u0000',
    ]
    for (const bytes of bad) {
      const heard = await ask(bytes)
      assert.ok(heard.length <= 1, `${JSON.stringify(bytes.slice(0, 200))} ${heard}`)
      if (heard.length === 1) assert.equal(heard[0], 400, JSON.stringify(bytes.slice(0, 200)))
    }
  })

  await t.test('a body that comes in pieces is the same body, and no larger', async () => {
    const chunk = (text: string): string => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`
    const chunked = [form, 'Transfer-Encoding: chunked']
    const pieces = 'grant_type=nonsense'.split('').map(chunk).join('')
    assert.match(
      await raw(port, request('POST /token HTTP/1.1', chunked, `${pieces}0\r\n\r\n`)),
      /unsupported_grant_type/,
    )
    const endless = chunk('x'.repeat(4096)).repeat(40)
    assert.deepEqual(await ask(request('POST /token HTTP/1.1', chunked, `${endless}0\r\n\r\n`)), [413])
    const large = request('POST /token HTTP/1.1', [form, 'Content-Length: 999999999'], 'x')
    assert.deepEqual(await ask(large), [413])
    const many = `${'a=b&'.repeat(5000)}a=b`
    assert.deepEqual(
      await ask(request('POST /token HTTP/1.1', [form, `Content-Length: ${many.length}`], many)),
      [400],
    )
  })

  await t.test('headers that decide come once, and not without an end', async () => {
    const answer = async (...headers: string[]) => raw(port, request('GET /api/v1/agents HTTP/1.1', headers))
    assert.match(await answer('Authorization: DPoP a', 'Authorization: DPoP b'), / 400 /)
    assert.match(await answer('DPoP: a', 'dpop: b'), / 40[01] /)
    assert.match(await answer('Idempotency-Key: a', 'Idempotency-Key: b'), / 400 /)
    assert.match(await answer('Content-Type: a/b', 'Content-Type: c/d'), / 400 /)
    assert.match(await answer(`X: ${'x'.repeat(20_000)}`), / 431 /)
    assert.match(await answer(`X: ${'x'.repeat(1_000_000)}`), /^$| 431 /)
    assert.match(await answer(...Array.from({ length: 3000 }, (_, at) => `X${at}: y`)), / 431 /)
    assert.match(await answer(...Array.from({ length: 400 }, (_, at) => `X${at}: y`)), / 401 /)
    assert.match(await raw(port, request(`GET /${'x'.repeat(20_000)} HTTP/1.1`)), / (431|414) /)
  })

  await t.test('a Host that is none, or another, reaches nothing else', async () => {
    const hosts = [
      'evil.example',
      'evil.example:80@127.0.0.1',
      '127.0.0.1:99999',
      'a b',
      '[::1',
      '127.0.0.1/x',
      '',
      '%00',
    ]
    for (const host of hosts) {
      const heard = await raw(
        port,
        `GET /.well-known/writ-configuration HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
      )
      assert.ok(!heard.includes('evil.example'), host)
      assert.ok(/ 200 | 400 |^$/.test(heard), `${host} ${heard.slice(0, 100)}`)
    }
    for (const host of [
      'evil.example',
      'evil.example.',
      '127.0.0.1.evil.example',
      '2130706433.evil.example',
    ]) {
      assert.match(
        await raw(port, `GET /metrics HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
        / 403 /,
      )
    }
    assert.match(
      await raw(
        port,
        'GET http://evil.example/metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n',
      ),
      / 40[03] /,
    )
    assert.match(await raw(port, request('GET /metrics HTTP/1.1')), / 200 /)
    assert.match(await raw(port, request('GET /metrics HTTP/1.1', ['X-Forwarded-For: 127.0.0.1'])), / 403 /)
    assert.match(await raw(port, 'GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n'), / 400 /)
    assert.match(
      await raw(port, 'GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n'),
      / 400 /,
    )
  })

  await t.test('a target is a path of ours in its one spelling, or nothing', async () => {
    const targets = [
      ['//token', 404],
      ['/%74oken', 404],
      ['/token/', 404],
      ['/Token', 404],
      ['/healthz/../token', 404],
      ['/x/%2e%2e/token', 404],
      ['/./token', 404],
      ['/token%00', 404],
      ['/token;x', 404],
      ['/..%2ftoken', 404],
      ['*', 404],
      ['token', 404],
      ['http://127.0.0.1/nothing', 404],
      ['http://evil.example/nothing', 404],
      ['javascript:alert(1)', 404],
      ['/%', 404],
      ['/%E0%A4%A', 404],
      ['/api/v1/agents/%2e%2e/people', 404],
      ['/api/v1/agents/..', 404],
    ] as const
    for (const [target, expected] of targets) {
      for (const method of ['GET', 'POST', 'OPTIONS']) {
        const heard = await ask(
          request(`${method} ${target} HTTP/1.1`, method === 'POST' ? [form, 'Content-Length: 0'] : []),
        )
        // Some are no HTTP at all; of those that are, none is anything.
        assert.ok(
          heard.length === 0 || heard[0] === 400 || heard[0] === expected,
          `${method} ${target} ${heard}`,
        )
      }
    }
  })

  await t.test('strange methods, expectations and upgrades end in an answer', async () => {
    for (const method of ['TRACE', 'CONNECT', 'PURGE', 'PROPFIND', 'QUERY', 'M-SEARCH', 'LINK']) {
      const heard = await ask(request(`${method} /token HTTP/1.1`))
      assert.ok(
        heard.every(status => status === 405 || status === 404 || status === 400),
        `${method} ${heard}`,
      )
    }
    assert.deepEqual(await ask(request('get /healthz HTTP/1.1')), [400])
    assert.deepEqual(
      await ask(request('POST /token HTTP/1.1', ['Expect: 200-ok', 'Content-Length: 0'])),
      [417],
    )
    const expecting = request('POST /token HTTP/1.1', [
      form,
      'Expect: 100-continue',
      'Content-Length: 999999999',
    ])
    assert.equal((await ask(expecting)).at(-1), 413)
    for (const upgrade of ['websocket', 'h2c', 'TLS/1.3']) {
      const bytes = `GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade, close\r\nUpgrade: ${upgrade}\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n`
      const heard = await ask(bytes)
      assert.ok(
        heard.every(status => status === 200 || status === 400),
        `${upgrade} ${heard}`,
      )
    }
    assert.deepEqual(await ask('GET /healthz HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n'), [200])
    assert.match(await raw(port, request('HEAD /jwks HTTP/1.1')), /\r\n\r\n$/)
  })

  await t.test(
    'what follows a request on its connection is a request of its own, without its credentials',
    async () => {
      const body = new URLSearchParams({
        grant_type: 'client_credentials',
        client_assertion_type: assertionType,
        client_assertion: operator.assertion(),
        resource: `${writ.issuer}/api/v1`,
      }).toString()
      const first = `POST /token HTTP/1.1\r\nHost: 127.0.0.1\r\n${form}\r\nDPoP: ${operator.proof('/token', { nonce: await operator.nonce() })}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
      const second = request('GET /api/v1/agents HTTP/1.1')
      assert.deepEqual(await ask(first + second), [200, 401])
    },
  )

  await t.test('an unread body does not keep a connection, nor do its bytes become a request', async () => {
    const hidden = 'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'
    const line = `POST /api/v1/agents HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${hidden.length}\r\n\r\n`
    const heard = await ask(line + hidden)
    assert.deepEqual(heard, [401])
  })

  await t.test('hundreds of half-open requests keep nobody else from being served', async () => {
    const sockets = Array.from({ length: 300 }, () => connect(port, '127.0.0.1'))
    for (const socket of sockets) {
      socket.on('error', () => {})
      socket.write('POST /token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\nX: ')
    }
    for (let at = 0; at < 20; at++) assert.equal((await writ.fetch('/healthz')).status, 200)
    for (const socket of sockets) socket.destroy()
  })

  await t.test('nothing of all this was a failure of ours', async () => {
    assert.equal((await writ.fetch('/readyz')).status, 200)
    assert.doesNotMatch(writ.said(), /"bug"|uncaught|unhandled|"status":500/i)
  })
})
