// What resources and issuers could do to an agent that calls them, and what it never does.
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

test('looks for the metadata of an issuer in the places of its own and of MCP, in their order', async () => {
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
      '/.well-known/writ-configuration/tenant',
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
