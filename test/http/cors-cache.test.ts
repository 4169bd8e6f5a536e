// What browsers, caches and probes are told: CORS where the standards want it and nowhere else, nothing secret kept,
// HEAD and OPTIONS wherever they belong (RFC 6749 §5.1, RFC 9700 §2.6, RFC 9110 §9.3, RFC 6797).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, grant, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'

const discovery = [
  '/.well-known/oauth-authorization-server',
  '/.well-known/openid-configuration',
  '/.well-known/writ-configuration',
]
const documents = [...discovery, '/jwks', '/errors', '/limits', '/api/v1/openapi.json', '/audit/key']
const forScripts = ['/token', '/revoke', ...documents]
const forServersOnly = [
  '/introspect',
  '/enroll',
  '/rekey',
  '/api/v1/agents',
  '/api/v1/grants',
  '/healthz',
  '/metrics',
]

const preflight = (writ: Authority, path: string): Promise<Response> =>
  writ.fetch(path, {
    method: 'OPTIONS',
    headers: {
      origin: 'https://app.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,dpop',
    },
  })

const items = (response: Response, header: string): string[] =>
  (response.headers.get(header) ?? '').split(', ').filter(item => item !== '')

const corsHeaders = (response: Response): string[] =>
  [...response.headers.keys()].filter(name => name.startsWith('access-control-'))

test('scripts of any origin may use the token endpoint and read what discovery needs, with credentials of nobody', async t => {
  const writ = await authority(t)
  for (const path of forScripts) {
    const asked = await preflight(writ, path)
    assert.equal(asked.status, 204, path)
    assert.equal(asked.headers.get('access-control-allow-origin'), '*', path)
    assert.deepEqual(
      items(asked, 'access-control-allow-methods').toSorted(),
      items(asked, 'allow').toSorted(),
      path,
    )
    const headers = items(asked, 'access-control-allow-headers')
    for (const needed of ['authorization', 'content-type', 'dpop', 'mcp-protocol-version'])
      assert.ok(headers.includes(needed), `${path} ${needed}`)
    // Never together with `*`: a cookie of somebody's browser is no credential here.
    assert.equal(asked.headers.get('access-control-allow-credentials'), null, path)
    const answer = await writ.fetch(path, { headers: { origin: 'https://app.example' } })
    assert.equal(answer.headers.get('access-control-allow-origin'), '*', path)
    for (const seen of ['dpop-nonce', 'www-authenticate', 'x-request-id'])
      assert.ok(items(answer, 'access-control-expose-headers').includes(seen), `${path} ${seen}`)
    await answer.body?.cancel()
  }
})

test('a script is told what was wrong as well, errors being no less open than answers', async t => {
  const writ = await authority(t)
  const answer = await writ.operator.post('/token', { grant_type: 'client_credentials' })
  assert.equal(answer.status, 401)
  assert.equal(answer.headers.get('access-control-allow-origin'), '*')
})

test('what only servers and administrators use is open to no script', async t => {
  const writ = await authority(t)
  for (const path of forServersOnly) {
    const asked = await preflight(writ, path)
    assert.deepEqual([asked.status, corsHeaders(asked)], [204, []], path)
    for (const method of ['GET', 'POST']) {
      const answer = await writ.fetch(path, { method, headers: { origin: 'https://app.example' } })
      assert.deepEqual(corsHeaders(answer), [], `${method} ${path}`)
    }
  }
})

test('answers that hold a token or speak of one are kept by nobody, and neither is any refusal', async t => {
  const writ = await authority(t)
  await registerApi(writ, { introspection_clients: [writ.operator.clientId] })
  const agent = await newAgent(writ)
  await grant(writ, agent.clientId, ['read'])
  const issued = await agent.tokenRequest({ resource: api })
  assert.equal(issued.status, 200)
  const about = (path: string) => ({
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: (path === '/introspect' ? writ.operator : agent).assertion(),
    token: issued.body.access_token as string,
  })
  const live = await writ.operator.post('/introspect', about('/introspect'))
  assert.equal(live.body.active, true)
  const revoked = await agent.post('/revoke', about('/revoke'))
  const refusals = ['/token', '/introspect', '/revoke', '/enroll', '/rekey'].map(path => agent.post(path, {}))
  const missing = await writ.fetch('/nothing')
  const managed = await writ.operator.manage('GET', '/agents')
  for (const { status, headers } of [
    issued,
    live,
    revoked,
    managed,
    missing,
    ...(await Promise.all(refusals)),
  ])
    assert.equal(headers.get('cache-control'), 'no-store', String(status))
})

test('published documents may be kept, keys no longer than a new one is published before it signs', async t => {
  const writ = await authority(t, { jwksCacheSeconds: 7, issuerKeyPublishSeconds: 90 })
  const ages = new Map<string, number>()
  for (const path of documents) {
    const answer = await writ.fetch(path)
    const [, seconds] = /^public, max-age=(\d+)$/.exec(answer.headers.get('cache-control') ?? '') ?? []
    assert.ok(seconds !== undefined, path)
    ages.set(path, Number(seconds))
  }
  assert.equal(ages.get('/jwks'), 7)
  for (const path of discovery) assert.ok((ages.get(path) ?? 0) <= 90, path)
  await assert.rejects(
    authority(t, { jwksCacheSeconds: 91, issuerKeyPublishSeconds: 90 }),
    /issuerKeyPublishSeconds/,
  )
})

test('HEAD answers as GET does, without the content', async t => {
  const writ = await authority(t)
  for (const path of [...documents, '/revocations', '/audit/checkpoint', '/healthz', '/readyz', '/nothing']) {
    const [got, headed] = [await writ.fetch(path), await writ.fetch(path, { method: 'HEAD' })]
    assert.equal(headed.status, got.status, path)
    assert.equal(headed.headers.get('content-type'), got.headers.get('content-type'), path)
    assert.equal(headed.headers.get('cache-control'), got.headers.get('cache-control'), path)
    assert.equal(await headed.text(), '', path)
    await got.body?.cancel()
  }
})

test('every address says which methods it has, to OPTIONS and to whoever uses another', async t => {
  const writ = await authority(t)
  const methods: Record<string, string[]> = {
    '/token': ['OPTIONS', 'POST'],
    '/introspect': ['OPTIONS', 'POST'],
    '/jwks': ['GET', 'HEAD', 'OPTIONS'],
    '/api/v1/agents': ['GET', 'HEAD', 'OPTIONS', 'POST'],
  }
  for (const [path, expected] of Object.entries(methods)) {
    const asked = await writ.fetch(path, { method: 'OPTIONS' })
    assert.deepEqual([asked.status, items(asked, 'allow').toSorted()], [204, expected], path)
    const refused = await writ.fetch(path, { method: 'PUT' })
    assert.deepEqual([refused.status, items(refused, 'allow').toSorted()], [405, expected], path)
  }
})

test('an issuer of https under a name of its own tells browsers to come back over TLS only', async t => {
  const strictAt = async (issuer: string): Promise<(string | null)[]> => {
    const writ = await authority(t, { issuer })
    const answers = [await writ.fetch('/jwks'), await writ.fetch('/nothing')]
    return answers.map(({ headers }) => headers.get('strict-transport-security'))
  }
  assert.deepEqual(await strictAt('https://writ.example/team'), ['max-age=31536000', 'max-age=31536000'])
  const notItsOwn = [
    'http://127.0.0.1:8455',
    'https://localhost:8455',
    'https://writ.localhost',
    'https://127.0.0.1:8455',
    'https://[::1]:8455',
  ]
  for (const issuer of notItsOwn) assert.deepEqual(await strictAt(issuer), [null, null], issuer)
})
