// `agent.fetch` gets its work done: discovery, tokens, nonces, step-up, renewal, bodies, clocks.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadAgent } from './agents.ts'
import { startApi } from './api.ts'
import { startIssuer } from './issuer.ts'
import { listen } from './listening.ts'
import { fault } from './refusals.ts'

const asked = (issuer: { asked: Map<string, number> }): number => issuer.asked.get('/token') ?? 0

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

test('returns the 401 of somebody who wants credentials of another kind', async () => {
  await using issuer = await startIssuer()
  const agent = await loadAgent(issuer)
  for (const found of [
    new Response('nothing', { status: 404 }),
    new Response('<html>', { headers: { 'content-type': 'text/html' } }),
  ]) {
    await using other = await listen(async request => {
      if (request.url.includes('/.well-known/')) return found.clone() as Response
      return new Response('who are you?', { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } })
    })
    const answer = await agent.fetch(`${other.origin}/path`)
    assert.deepEqual([answer.status, await answer.text()], [401, 'who are you?'])
  }
  assert.equal(asked(issuer), 0)
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
