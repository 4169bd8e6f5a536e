// The door: addresses that are made up, paths under other spellings, callers in a crowd (threats C44, C63, C66, C70).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { assertionType } from '../harness/party.ts'

interface Asked {
  readonly from?: string | undefined
  readonly headers?: Record<string, string>
  readonly method?: string
  readonly body?: string
}

const ask = (writ: Authority, path: string, { from, ...init }: Asked = {}): Promise<Response> =>
  writ.server.fetch(new Request(`${writ.issuer}${path}`, init), {
    incoming: { socket: { remoteAddress: from } },
  })

/** How many of a hundred requests are answered, each asked as the function says. */
async function answered(writ: Authority, asked: (at: number) => Asked): Promise<number> {
  let served = 0
  for (let at = 0; at < 100; at++) {
    const { status } = await ask(writ, '/limits', asked(at))
    assert.ok(status === 200 || status === 429, `${status}`)
    if (status === 200) served += 1
  }
  return served
}

const few = { rateLimits: 'on', ratePerSecond: 1 } as const
/** Ten at once, and those that came due while a hundred were asked. */
const isLimited = (served: number): boolean => served >= 10 && served <= 40

test('whoever has an IPv6 network has one allowance, and headers give nobody another address', async t => {
  const writ = await authority(t, few)
  const spoofed = (at: number): Record<string, string> => ({
    'x-forwarded-for': `198.51.100.${at}`,
    'x-real-ip': `198.51.100.${at}`,
    forwarded: `for=198.51.100.${at}`,
    'client-ip': `198.51.100.${at}`,
    'x-client-ip': `198.51.100.${at}`,
    'true-client-ip': `198.51.100.${at}`,
    'cf-connecting-ip': `198.51.100.${at}`,
    'x-cluster-client-ip': `198.51.100.${at}`,
  })
  const hex = (at: number): string => (at * 7919).toString(16)
  const crowds: ((at: number) => Asked)[] = [
    at => ({ from: `2001:db8:1:1:${hex(at).slice(-4)}::1` }),
    at => ({ from: `2001:db8:1:2::${hex(at).slice(-4)}` }),
    at => ({ from: at % 2 === 0 ? '192.0.2.7' : '::ffff:192.0.2.7' }),
    at => ({ from: '192.0.2.8', headers: spoofed(at) }),
    at => ({ from: undefined, headers: spoofed(at) }),
  ]
  for (const [number, crowd] of crowds.entries()) {
    const served = await answered(writ, crowd)
    assert.ok(isLimited(served), `crowd ${number}: ${served}`)
  }
})

test('behind a named proxy the last hop counts, whatever stands before it and however it is written', async t => {
  const writ = await authority(t, { ...few, trustedProxies: '192.0.2.1, 192.0.2.2' })
  const crowds: ((at: number) => string)[] = [
    at => `198.51.100.${at}, 203.0.113.1`,
    at => `198.51.100.${at}, 203.0.113.2, 192.0.2.2`,
    at => `203.0.113.3:${40_000 + at}`,
    at => `[2001:db8:3:1::${at}]:${40_000 + at}`,
    at => `198.51.100.${at}, unknown`,
    at => `198.51.100.${at}, _hidden${at}, 192.0.2.2`,
    at => `198.51.100.${at},,`.replace(`198.51.100.${at}`, '203.0.113.4'),
    at => `x\u00e4${at}, 203.0.113.5 `,
  ]
  for (const [number, crowd] of crowds.entries()) {
    // What is left of the allowance of the proxy itself, for hops that name nobody.
    const served = await answered(writ, at => ({
      from: '192.0.2.1',
      headers: { 'x-forwarded-for': crowd(at) },
    }))
    assert.ok(served <= 40, `crowd ${number}: ${served}`)
  }
  const served = await answered(writ, at => ({
    from: '192.0.2.1',
    headers: { 'x-forwarded-for': `203.0.113.${100 + at}` },
  }))
  assert.equal(served, 100)
})

test('the log names the address of the socket, not the one that a header claims', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const answer = await ask(writ, '/token', {
    from: '::ffff:192.0.2.9',
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      dpop: agent.proof('/token', { nonce: await agent.nonce() }),
      'x-forwarded-for': '127.0.0.1',
      forwarded: 'for=127.0.0.1',
    },
    body: new URLSearchParams({
      grant_type: 'client_credentials',
      client_assertion_type: assertionType,
      client_assertion: agent.assertion(),
      resource: api,
    }).toString(),
  })
  assert.equal(answer.status, 200)
  const { items } = (await writ.operator.manage('GET', `/events?agent=${agent.clientId}&type=token.issued`))
    .body
  assert.equal(items[0].peer, '192.0.2.9')
})

test('what a known caller asks beyond its allowance is counted in the log', async t => {
  const writ = await authority(t, { ...few, noiseSeconds: 1 })
  const { operator } = writ
  const refused = { token: 0, introspection: 0 }
  for (let at = 0; at < 40; at++) {
    const path = at % 2 === 0 ? 'token' : 'introspect'
    const { status } = await ask(writ, `/${path}`, {
      from: `198.51.100.${at}`,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'client_credentials',
        client_assertion_type: assertionType,
        client_assertion: operator.assertion(),
        token: 'x',
      }).toString(),
    })
    if (status === 429) refused[path === 'token' ? 'token' : 'introspection'] += 1
  }
  assert.ok(refused.token > 5 && refused.introspection > 5)
  // An operator of its own allowance reads, patiently.
  const counted = { token: 0, introspection: 0 }
  const until = Date.now() + 20_000
  while (
    Date.now() < until &&
    (counted.token < refused.token || counted.introspection < refused.introspection)
  ) {
    writ.advance(5)
    const { body } = await operator.manage('GET', '/events?type=noise.summarized')
    counted.token = counted.introspection = 0
    for (const { decision } of body.items ?? []) {
      counted.token += decision['token/rate_limited'] ?? 0
      counted.introspection += decision['introspection/rate_limited'] ?? 0
    }
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  assert.deepEqual(counted, refused)
})

test('a path has one spelling: no other reaches what it leads to', async t => {
  const writ = await authority(t)
  const token = await writ.operator.token(`${writ.issuer}/api/v1`, 'writ:*')
  const other = [
    [
      'POST',
      '/Token',
      '/TOKEN',
      '/token/',
      '//token',
      '/%74oken',
      '/tok%65n',
      '/token%2f',
      '/token%20',
      '/token;a',
    ],
    ['POST', '/token%00', '/token%3f', '/token.json', '/token/.', '/x/token', '/%2ftoken', '/token%23'],
    ['GET', '/Metrics', '/metrics/', '/%6detrics', '/metrics%2f', '//metrics', '/metrics;x=y'],
    ['GET', '/Healthz', '/jwks/', '/%6awks', '/JWKS', '/revocations/', '/%72evocations'],
    ['GET', '/api/v1/Agents', '/api/v1/agents/', '/api/v1//agents', '/api//v1/agents', '/API/v1/agents'],
    [
      'GET',
      '/api/v1/%61gents',
      '/api/v1/agent%73',
      '/%61pi/v1/agents',
      '/api%2fv1%2fagents',
      '/api/v1%2Fagents',
    ],
    ['GET', '/api/v1/audit//entries', '/audit/%65ntries', '/audit/entries%2f', '/Audit/entries'],
    ['GET', '/.well-known/OAuth-authorization-server', '/.well-known/oauth-authorization-server/'],
    ['GET', '/%2ewell-known%2foauth-authorization-server', '/.well-known//writ-configuration'],
  ]
  for (const [method = 'GET', ...paths] of other) {
    for (const path of paths) {
      const url = `${writ.issuer}${path}`
      const headers = {
        authorization: `DPoP ${token}`,
        dpop: writ.operator.proof(url, { method, accessToken: token }),
      }
      const answer = await writ.fetch(url, { method, headers })
      assert.equal(answer.status, 404, `${method} ${path}`)
    }
  }
})

test('what a request calls this server changes nothing that it answers', async t => {
  const writ = await authority(t)
  const usual = await (await writ.fetch('/.well-known/oauth-authorization-server')).text()
  for (const host of ['https://evil.example', 'http://127.0.0.1:1', 'https://writ.example.evil.example']) {
    const answer = await writ.fetch(`${host}/.well-known/oauth-authorization-server`, {
      headers: {
        'x-forwarded-host': 'evil.example',
        'x-forwarded-proto': 'http',
        'x-original-url': '/evil',
        'x-rewrite-url': '/evil',
        'x-http-method-override': 'DELETE',
        forwarded: 'host=evil.example;proto=http',
      },
    })
    assert.equal(await answer.text(), usual)
  }
})

test('scripts of other origins get no credentials in, and see only what is open to all', async t => {
  const writ = await authority(t)
  const origin = 'https://evil.example'
  for (const path of [
    '/token',
    '/revoke',
    '/jwks',
    '/introspect',
    '/enroll',
    '/rekey',
    '/api/v1/agents',
    '/metrics',
  ]) {
    for (const method of ['OPTIONS', 'GET', 'POST']) {
      const { headers } = await writ.fetch(path, {
        method,
        headers: {
          origin,
          cookie: 'session=1',
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization, dpop',
        },
      })
      assert.equal(headers.get('access-control-allow-credentials'), null, path)
      assert.notEqual(headers.get('access-control-allow-origin'), origin, path)
      assert.equal(headers.get('set-cookie'), null)
      const isOpen = ['/token', '/revoke', '/jwks'].includes(path)
      assert.equal(headers.get('access-control-allow-origin'), isOpen ? '*' : null, `${method} ${path}`)
    }
  }
})

test('every answer names its request, and lets no browser guess its type', async t => {
  const writ = await authority(t)
  const seen = new Set<string>()
  for (const path of [
    '/nothing',
    '/token',
    '/jwks',
    '/enroll',
    '/api/v1/agents',
    '/healthz',
    '/audit/key',
    '/errors',
  ]) {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'FOO']) {
      const sent = { 'x-request-id': 'mine', 'x-correlation-id': 'mine', traceparent: '00-0-0-0' }
      const { headers, status } = await writ.fetch(path, { method, headers: sent })
      const id = headers.get('x-request-id') ?? ''
      assert.match(id, /^[0-9a-f-]{36}$/)
      assert.ok(!seen.has(id))
      seen.add(id)
      assert.equal(headers.get('x-content-type-options'), 'nosniff')
      assert.ok(status < 500, `${method} ${path} ${status}`)
    }
  }
})
