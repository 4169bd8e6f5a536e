// `agent.fetch`: first what resources and issuers could do to an agent, then that it gets its work done.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { isFault } from '@writ/sdk/protocol/fault'
import { loadAgent } from './agents.ts'
import { startApi } from './api.ts'
import { startIssuer } from './issuer.ts'
import { listen } from './listening.ts'
import { fault } from './refusals.ts'

const asked = (issuer: { asked: Map<string, number> }): number => issuer.asked.get('/token') ?? 0

test('asks for no token for a resource that trusts another issuer', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [] }
  const agent = await loadAgent(issuer)
  const lists = [
    ['https://other.example'],
    [`${issuer.url}/`],
    [issuer.url.toUpperCase()],
    [],
    undefined,
    issuer.url,
    { 0: issuer.url },
  ]
  for (const authorization_servers of lists) {
    api.conduct.publish = document => ({ ...document, authorization_servers })
    await assert.rejects(agent.fetch(api.url), fault('invalid_target', 'other_issuer'))
  }
  assert.equal(asked(issuer), 0)
  assert.ok(api.seen.every(({ authorization }) => authorization === null))
})

test('fetches no token for a resource that calls itself by the name of another', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  await using victim = await startApi(issuer)
  issuer.conduct.grants = { [victim.url]: [], [api.url]: [], [`${api.url}/inner`]: [] }
  const agent = await loadAgent(issuer)
  for (const resource of [
    victim.url,
    `${api.url}/inner`,
    `${api.url}0`,
    `${api.url}@${victim.url.slice(7)}`,
    'urn:writ:x',
    '',
    undefined,
  ]) {
    api.conduct.publish = document => ({ ...document, resource })
    await assert.rejects(agent.fetch(`${api.url}/outer`), fault('invalid_target', 'other_resource'))
  }
  assert.equal(asked(issuer), 0)
})

test('fetches metadata from nowhere but the resource itself', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  let visits = 0
  await using inside = await listen(async () => {
    visits += 1
    return Response.json({ resource: api.url, authorization_servers: [issuer.url] })
  })
  const agent = await loadAgent(issuer)
  for (const metadataUrl of [
    inside.origin,
    'http://169.254.169.254/latest',
    'file:///etc/passwd',
    'not a url',
    '/relative',
  ]) {
    api.conduct.metadataUrl = metadataUrl
    await assert.rejects(agent.fetch(api.url), fault('invalid_target', 'metadata_elsewhere'))
  }
  assert.equal(visits, 0)
})

test('does not follow a redirect, so that no credential reaches another origin', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  const visits: (string | null)[] = []
  await using thief = await listen(async request => {
    visits.push(request.headers.get('authorization'))
    return new Response('thanks')
  })
  issuer.conduct.grants = { [api.url]: [] }
  const agent = await loadAgent(issuer)
  await agent.fetch(api.url)
  api.conduct.before = () => Response.redirect(`${thief.origin}/`, 307)
  for (const redirect of ['manual', 'follow', undefined] as const) {
    const answer = await agent.fetch(api.url, redirect === undefined ? {} : { redirect })
    assert.equal(answer.status, 307)
    assert.equal(answer.headers.get('location'), `${thief.origin}/`)
  }
  await assert.rejects(agent.fetch(api.url, { redirect: 'error' }), TypeError)
  assert.deepEqual(visits, [])
})

test('does not follow a redirect of the token endpoint with its assertion', async () => {
  await using issuer = await startIssuer()
  let visits = 0
  await using thief = await listen(async () => {
    visits += 1
    return Response.json({})
  })
  const agent = await loadAgent(issuer)
  issuer.conduct.before = path => (path === '/token' ? Response.redirect(thief.origin, 307) : undefined)
  await assert.rejects(agent.token({ resource: 'https://api.example' }), fault('server_error'))
  assert.equal(visits, 0)
})

test('believes no metadata of the issuer that names another issuer, or an endpoint in clear', async () => {
  const changes = [
    { issuer: 'https://issuer.example' },
    { issuer: undefined },
    { token_endpoint: 'http://issuer.example/token' },
    { token_endpoint: undefined },
    { token_endpoint_auth_methods_supported: ['client_secret_basic'] },
    { dpop_signing_alg_values_supported: undefined },
  ]
  for (const change of changes) {
    await using issuer = await startIssuer()
    const agent = await loadAgent(issuer)
    issuer.conduct.publish = document => ({ ...document, ...change })
    await assert.rejects(agent.token({ resource: 'https://api.example' }), fault('server_error'))
    assert.equal(asked(issuer), 0)
  }
})

test('looks for the metadata of an issuer in the three places of MCP, in their order', async () => {
  await using issuer = await startIssuer({ grants: { 'https://api.example': [] } }, '/tenant')
  const agent = await loadAgent(issuer)
  issuer.asked.clear()
  issuer.conduct.before = path => {
    if (path === '/.well-known/oauth-authorization-server/tenant') return new Response(null, { status: 404 })
    return undefined
  }
  await assert.rejects(agent.token({ resource: 'https://api.example' }), fault('server_error', 'no_metadata'))
  assert.deepEqual(
    [...issuer.asked.keys()],
    [
      '/.well-known/oauth-authorization-server/tenant',
      '/.well-known/openid-configuration/tenant',
      '/tenant/.well-known/openid-configuration',
    ],
  )
})

test('refuses a token that came without the binding it asked for', async () => {
  await using issuer = await startIssuer()
  const agent = await loadAgent(issuer)
  for (const token_type of ['Bearer', 'N_A', undefined]) {
    issuer.conduct.before = path =>
      path === '/token' ? Response.json({ access_token: 'abc', token_type, expires_in: 300 }) : undefined
    await assert.rejects(
      agent.token({ resource: 'https://api.example' }),
      fault('server_error', 'unusable_token'),
    )
  }
})

test('answers a demand for a nonce once, at the issuer and at the resource', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [] }
  const agent = await loadAgent(issuer)
  issuer.conduct.nonces = 'never good'
  await assert.rejects(agent.fetch(api.url), fault('use_dpop_nonce', 'issuer_refused'))
  assert.equal(asked(issuer), 2)
  issuer.conduct.nonces = 'required'
  api.conduct.nonces = 'never good'
  api.seen.length = 0
  assert.equal((await agent.fetch(api.url)).status, 401)
  assert.equal(api.seen.length, 2)
})

test('keeps the newest nonce of each origin, so that only the first call pays for it', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [] }
  api.conduct.nonces = 'required'
  const agent = await loadAgent(issuer)
  assert.equal((await agent.fetch(api.url)).status, 200)
  api.seen.length = 0
  for (let call = 0; call < 3; call += 1) assert.equal((await agent.fetch(api.url)).status, 200)
  assert.equal(api.seen.length, 3)
  await agent.token({ resource: api.url, scope: undefined as never })
  assert.equal(asked(issuer), 2)
})

test('bounds a storm of 401: one new token for all who were refused at once, and none for a while after', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [] }
  const agent = await loadAgent(issuer)
  await agent.fetch(api.url)
  for (const token of issuer.tokens.values()) token.isRevoked = true
  const before = asked(issuer)
  const answers = await Promise.all(Array.from({ length: 50 }, () => agent.fetch(api.url)))
  assert.ok(answers.every(({ status }) => status === 200))
  assert.equal(asked(issuer), before + 1)

  api.conduct.before = request =>
    request.headers.has('authorization')
      ? new Response(null, { status: 401, headers: { 'www-authenticate': 'DPoP error="invalid_token"' } })
      : undefined
  let nowMs = Date.now() + 5_000
  const patient = await loadAgent(issuer, { clock: () => nowMs })
  nowMs = Date.now()
  const tokens = asked(issuer)
  api.seen.length = 0
  for (let call = 0; call < 20; call += 1)
    assert.equal((await patient.fetch(api.url, { resource: api.url })).status, 401)
  assert.ok(asked(issuer) - tokens <= 3, `${asked(issuer) - tokens} tokens`)
  assert.equal(api.seen.length, 21)
})

test('returns the refusal of the resource when the issuer does not help either', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [] }
  const agent = await loadAgent(issuer)
  await agent.fetch(api.url)
  for (const token of issuer.tokens.values()) token.isRevoked = true
  issuer.conduct.isSuspended = true
  assert.equal((await agent.fetch(api.url)).status, 401)
  await assert.rejects(agent.fetch(api.url), fault('invalid_client', 'issuer_refused'))
})

test('steps up once to what the challenge names, with what it has; keeps it for the life of that token', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: ['a', 'b', 'c'] }
  api.conduct.scopes = { '/b': ['b'], '/c': ['c'] }
  const agent = await loadAgent(issuer)
  assert.equal((await agent.fetch(`${api.url}/b`, { scope: 'a' })).status, 200)
  assert.deepEqual([...issuer.tokens.values()].at(-1)?.scopes, ['a', 'b'])
  assert.equal((await agent.fetch(`${api.url}/c`, { scope: 'a' })).status, 200)
  assert.deepEqual([...issuer.tokens.values()].at(-1)?.scopes.toSorted(), ['a', 'b', 'c'])
  api.seen.length = 0
  for (const path of ['/b', '/c', '/'])
    assert.equal((await agent.fetch(api.url + path, { scope: 'a' })).status, 200)
  assert.equal(api.seen.length, 3)
  // Another call that names less starts from what it names.
  assert.equal((await agent.fetch(api.url, { scope: 'c' })).status, 200)
  assert.deepEqual([...issuer.tokens.values()].at(-1)?.scopes, ['c'])
})

test('returns the 403 where the issuer does not grant what is missing, and works as soon as it does', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [] }
  api.conduct.scopes = { '/tools': ['echo'] }
  const agent = await loadAgent(issuer)
  const refused = await agent.fetch(`${api.url}/tools`)
  assert.equal(refused.status, 403)
  assert.match(refused.headers.get('www-authenticate') ?? '', /scope="echo"/)
  issuer.conduct.grants = { [api.url]: ['echo'] }
  assert.equal((await agent.fetch(`${api.url}/tools`)).status, 200)
  // And when it is taken away again, the call falls back to what it names.
  for (const token of issuer.tokens.values()) token.isRevoked = true
  issuer.conduct.grants = { [api.url]: [] }
  assert.equal((await agent.fetch(`${api.url}/tools`)).status, 403)
})

test('asks no more than once where a resource names what the token already has, or nothing', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: ['a'] }
  const agent = await loadAgent(issuer)
  await agent.fetch(api.url)
  const before = asked(issuer)
  for (const scope of ['scope="a"', 'scope=""', 'scope="a  b"', 'realm="x"']) {
    api.conduct.before = () =>
      new Response(null, {
        status: 403,
        headers: { 'www-authenticate': `DPoP error="insufficient_scope", ${scope}` },
      })
    api.seen.length = 0
    assert.equal((await agent.fetch(api.url)).status, 403)
    assert.equal(api.seen.length, 1)
  }
  assert.equal(asked(issuer), before)
})

test('sends no token outside the resource that it is for', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [], [`${api.url}/inner`]: [] }
  const agent = await loadAgent(issuer)
  for (const resource of ['https://api.example', `${api.url}/inner`, `${api.url}0`]) {
    await assert.rejects(
      agent.fetch(`${api.url}/innermost`, { resource }),
      fault('invalid_target', 'outside_resource'),
    )
  }
  assert.deepEqual([asked(issuer), api.seen.length], [0, 0])
})

test('sends credentials neither in clear nor beside others', async () => {
  await using issuer = await startIssuer()
  const agent = await loadAgent(issuer)
  await assert.rejects(agent.fetch('http://api.example/'), fault('invalid_request', 'insecure_url'))
  await assert.rejects(
    agent.fetch('https://me:secret@api.example/'),
    fault('invalid_request', 'insecure_url'),
  )
  for (const name of ['Authorization', 'DPoP']) {
    await assert.rejects(
      agent.fetch(issuer.url, { headers: { [name]: 'x' } }),
      fault('invalid_request', 'own_credentials'),
    )
  }
  await assert.rejects(agent.fetch(issuer.url, { scope: 'a  b' }), fault('invalid_request', 'scope'))
})

test('tells no token in errors, in what it returns, or when it is printed', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: ['a'] }
  const agent = await loadAgent(issuer)
  await agent.fetch(api.url)
  const token = await agent.token({ resource: api.url })
  const refusal = await agent.token({ resource: api.url, scope: 'z' }).catch(error => error)
  assert.ok(isFault(refusal) && refusal.code === 'invalid_scope')
  const shown = [
    inspect(agent, { depth: 9 }),
    inspect(token),
    JSON.stringify(token),
    inspect(refusal),
    JSON.stringify(refusal.why),
  ].join()
  for (const secret of issuer.tokens.keys()) assert.equal(shown.includes(secret), false)
  assert.equal(issuer.tokens.has(token.accessToken.reveal()), true)
  assert.deepEqual([token.tokenType, token.scope], ['DPoP', 'a'])
})

test('gives a bearer token only to who asks for one, and never sends it itself', async () => {
  await using issuer = await startIssuer({ grants: { 'https://api.example': ['a'] } })
  const agent = await loadAgent(issuer)
  const bearer = await agent.token({ resource: 'https://api.example', bearer: true })
  assert.equal(bearer.tokenType, 'Bearer')
  assert.equal(issuer.tokens.get(bearer.accessToken.reveal())?.jkt, undefined)
  const bound = await agent.token({ resource: 'https://api.example' })
  assert.equal(issuer.tokens.get(bound.accessToken.reveal())?.jkt, agent.key().thumbprint)
})

test('finds the resource by its challenge, or by its well-known place, and remembers it', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [] }
  for (const metadataUrl of [api.conduct.metadataUrl, undefined]) {
    api.conduct.metadataUrl = metadataUrl
    const agent = await loadAgent(issuer)
    api.seen.length = 0
    assert.equal(await (await agent.fetch(`${api.url}/deep/down`)).text(), 'GET /deep/down')
    assert.equal(await (await agent.fetch(`${api.url}/elsewhere`)).text(), 'GET /elsewhere')
    const anonymous = api.seen.filter(
      ({ path, authorization }) => authorization === null && !path.startsWith('/.well-known'),
    )
    assert.equal(anonymous.length, 1)
  }
})

test('asks for no credentials where the resource wants none', async () => {
  await using issuer = await startIssuer()
  await using open = await listen(
    async request => new Response(request.headers.get('authorization') ?? 'nobody'),
  )
  const agent = await loadAgent(issuer)
  assert.equal(await (await agent.fetch(open.origin)).text(), 'nobody')
  assert.equal(asked(issuer), 0)
})

test('sends every kind of body again that can be sent again, and no other', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [] }
  api.conduct.nonces = 'required'
  const bodies = ['text', new TextEncoder().encode('text'), new Blob(['text']), new URLSearchParams('text')]
  for (const body of bodies) {
    const agent = await loadAgent(issuer)
    const answer = await agent.fetch(`${api.url}/x`, { method: 'post', body })
    assert.match(await answer.text(), /^POST \/x text/)
  }
  const agent = await loadAgent(issuer)
  const stream = () => ({ method: 'POST', body: new Blob(['text']).stream(), duplex: 'half' }) as RequestInit
  await assert.rejects(agent.fetch(api.url, stream()), fault('invalid_request', 'stream_to_unknown_resource'))
  assert.equal((await agent.fetch(api.url, { ...stream(), resource: api.url })).status, 401)
  // The nonce of that answer is good for the next one.
  assert.equal(await (await agent.fetch(api.url, { ...stream(), resource: api.url })).text(), 'POST / text')
  const request = new Request(`${api.url}/y`, { method: 'PUT', body: 'text' })
  assert.equal(await (await (await loadAgent(issuer)).fetch(request)).text(), 'PUT /y text')
})

test('gives one token to all who ask for it at once, in whatever order they name their scopes', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: ['a', 'b'] }
  const agent = await loadAgent(issuer)
  const calls = Array.from({ length: 50 }, (_, at) =>
    agent.fetch(`${api.url}/${at}`, { resource: api.url, scope: at % 2 ? 'a b' : 'b a' }),
  )
  assert.ok((await Promise.all(calls)).every(({ status }) => status === 200))
  assert.equal(issuer.tokens.size, 1)
})

test('renews a token before it ends, and lets no call wait for it', async () => {
  await using issuer = await startIssuer({ tokenSeconds: 100 })
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [] }
  let aheadMs = 0
  const agent = await loadAgent(issuer, { clock: () => Date.now() + aheadMs })
  const first = await agent.token({ resource: api.url })
  aheadMs = 60_000
  assert.equal((await agent.token({ resource: api.url })).accessToken, first.accessToken)
  aheadMs = 80_000
  issuer.conduct.skewMs = 80_000
  assert.equal((await agent.token({ resource: api.url })).accessToken, first.accessToken)
  while (issuer.tokens.size < 2) await new Promise(resolve => setTimeout(resolve, 5))
  while ((await agent.token({ resource: api.url })).accessToken === first.accessToken)
    await new Promise(setImmediate)
  assert.equal(issuer.tokens.size, 2)
})

test('lets one caller leave without taking the token away from the others', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [] }
  const release = Promise.withResolvers<undefined>()
  issuer.conduct.before = path => (path === '/token' ? release.promise : undefined)
  const agent = await loadAgent(issuer)
  const leaving = new AbortController()
  const left = agent.fetch(api.url, { resource: api.url, signal: leaving.signal })
  const stays = agent.fetch(api.url, { resource: api.url })
  leaving.abort(new Error('gone'))
  await assert.rejects(left, /gone/)
  release.resolve(undefined)
  assert.equal((await stays).status, 200)
  await assert.rejects(agent.fetch(api.url, { signal: AbortSignal.abort(new Error('never')) }), /never/)
})

test('corrects a clock that the resource shows to be wrong', async () => {
  for (const skewMs of [-120_000, 120_000]) {
    await using issuer = await startIssuer()
    await using api = await startApi(issuer)
    issuer.conduct.grants = { [api.url]: [] }
    api.conduct.skewMs = skewMs
    const agent = await loadAgent(issuer)
    assert.equal((await agent.fetch(api.url)).status, 200)
    api.seen.length = 0
    assert.equal((await agent.fetch(api.url)).status, 200)
    assert.equal(api.seen.length, 1)
  }
})

test('outlasts an issuer that is away for a moment, and says so when it stays away', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: [] }
  let away = 2
  issuer.conduct.before = path =>
    path === '/token' && away-- > 0 ? (away ? 'lose' : new Response(null, { status: 503 })) : undefined
  const agent = await loadAgent(issuer)
  assert.equal((await agent.fetch(api.url)).status, 200)
  issuer.conduct.before = path => (path === '/token' ? 'lose' : undefined)
  await assert.rejects(
    agent.token({ resource: 'https://api.example' }),
    fault('temporarily_unavailable', 'unreachable'),
  )
})

test('gives libraries a fetch with resource and scope settled', async () => {
  await using issuer = await startIssuer()
  await using api = await startApi(issuer)
  issuer.conduct.grants = { [api.url]: ['a', 'b'] }
  const agent = await loadAgent(issuer)
  const fetchForApi: typeof fetch = agent.fetchFor({ resource: api.url, scope: 'a' })
  assert.equal((await fetchForApi(new URL(api.url), { method: 'POST', body: 'x' })).status, 200)
  assert.deepEqual(
    [...issuer.tokens.values()].map(({ scopes }) => scopes),
    [['a']],
  )
})
