// Every route of the management API with every role: who is not meant is refused, and no route is without a rule.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { authority } from '../harness/authority.ts'
import { administrator, ask, askAs, newAgent } from './roles.ts'
import { routesOf } from './routes.ts'

test('every route needs exactly one scope, and each is a leaf of the management API', async t => {
  const writ = await authority(t)
  const management = await writ.operator.manage(
    'GET',
    `/resources?identifier=${encodeURIComponent(`${writ.issuer}/api/v1`)}`,
  )
  const leaves = new Set<string>()
  for (const scope of management.body.items[0].scopes) if (scope.includes.length === 0) leaves.add(scope.name)
  assert.ok(leaves.size > 10)
  for (const route of await routesOf(writ)) {
    assert.equal(route.scopes.length, 1, `${route.operation} has no access rule`)
    assert.ok(leaves.has(route.scopes[0] ?? ''), `${route.operation} needs a scope that nobody can be given`)
  }
})

test('nobody gets past any route without credentials, and is told how to come back', async t => {
  const writ = await authority(t)
  for (const route of await routesOf(writ)) {
    const answer = await ask(writ, route, {})
    assert.equal(answer.status, 401, route.operation)
    const challenge = answer.headers.get('www-authenticate') ?? ''
    assert.match(challenge, /^DPoP /, route.operation)
    assert.doesNotMatch(challenge, /error=/, route.operation)
    assert.equal(answer.body.code, 'invalid_token')
    assert.ok(answer.headers.get('x-request-id'))
  }
})

test('no route takes the token of another resource, of another authority, or one that nobody signed', async t => {
  const writ = await authority(t)
  const other = await authority(t, { issuer: 'https://other.example' })
  const identifier = 'https://api.example'
  await writ.operator.manage('POST', '/resources', {
    identifier,
    name: 'API',
    scopes: [{ name: 'writ:agents:read', description: 'Named like one of ours' }],
  })
  const { id, party } = await newAgent(writ, 'visitor')
  await writ.operator.manage('POST', '/grants', {
    agent: id,
    resource: identifier,
    scopes: ['writ:agents:read'],
    reason: 'x',
  })
  const [header, payload] = (await writ.operator.token(`${writ.issuer}/api/v1`, 'writ:*')).split('.')
  const tokens = [
    { who: party, token: await party.token(identifier), code: 'invalid_token' },
    {
      who: other.operator,
      token: await other.operator.token(`${other.issuer}/api/v1`, 'writ:*'),
      code: 'invalid_token',
    },
    { who: writ.operator, token: `${header}.${payload}.${'A'.repeat(86)}`, code: 'invalid_token' },
    { who: writ.operator, token: `${header}.${payload}.`, code: 'invalid_token' },
  ]
  for (const route of await routesOf(writ)) {
    for (const { who, token, code } of tokens) {
      const dpop = who.proof(route.url, { method: route.method, accessToken: token })
      const answer = await ask(writ, route, { authorization: `DPoP ${token}`, dpop })
      assert.deepEqual([answer.status, answer.body.code], [401, code], route.operation)
    }
  }
})

test('no route takes a good token without its key: as a bearer, without a proof, with a proof of somebody else', async t => {
  const writ = await authority(t)
  const { operator } = writ
  const { party: thief } = await newAgent(writ, 'thief')
  const token = await operator.token(`${writ.issuer}/api/v1`, 'writ:*')
  for (const route of await routesOf(writ)) {
    const proof = (options = {}) =>
      operator.proof(route.url, { method: route.method, accessToken: token, ...options })
    const attempts: Record<string, string>[] = [
      { authorization: `Bearer ${token}`, dpop: proof() },
      { authorization: `DPoP ${token}` },
      {
        authorization: `DPoP ${token}`,
        dpop: thief.proof(route.url, { method: route.method, accessToken: token }),
      },
      { authorization: `DPoP ${token}`, dpop: proof({ method: route.method === 'GET' ? 'POST' : 'GET' }) },
      {
        authorization: `DPoP ${token}`,
        dpop: operator.proof(`${route.url}x`, { method: route.method, accessToken: token }),
      },
      { authorization: `DPoP ${token}`, dpop: proof({ accessToken: `${token}x` }) },
      { authorization: `DPoP ${token}, DPoP ${token}`, dpop: proof() },
    ]
    for (const headers of attempts) {
      const answer = await ask(writ, route, headers)
      assert.equal(
        answer.status,
        401,
        `${route.operation} ${Object.keys(headers)} ${JSON.stringify(answer.body)}`,
      )
    }
  }
})

test('each single scope opens the routes that name it and no others', async t => {
  const writ = await authority(t)
  const routes = await routesOf(writ)
  const scopes = [...new Set(routes.flatMap(route => route.scopes))]
  assert.ok(scopes.length > 10)
  for (const scope of scopes) {
    const { party, token } = await administrator(writ, [scope])
    for (const route of routes) {
      const answer = await askAs(writ, route, { party, token })
      const isMeant = route.scopes.includes(scope)
      assert.equal(
        answer.status === 403 || answer.status === 401,
        !isMeant,
        `${scope} at ${route.operation}: ${answer.status}`,
      )
      if (isMeant) continue
      assert.equal(answer.body.code, 'insufficient_scope')
      assert.ok(
        answer.headers.get('www-authenticate')?.includes(`scope="${route.scopes[0]}"`),
        route.operation,
      )
    }
  }
})

test('the bundle of everything opens every route', async t => {
  const writ = await authority(t)
  const token = await writ.operator.token(`${writ.issuer}/api/v1`, 'writ:*')
  for (const route of await routesOf(writ)) {
    const answer = await askAs(writ, route, { party: writ.operator, token })
    assert.ok(answer.status !== 401 && answer.status !== 403, `${route.operation}: ${answer.status}`)
  }
})

test('no route answers an administrator that was suspended, retired, or whose key or grant was taken', async t => {
  const writ = await authority(t)
  const routes = await routesOf(writ)
  const { operator } = writ
  const ways: ((id: string) => Promise<unknown>)[] = [
    id => operator.manage('POST', `/agents/${id}/suspend`, { reason: 'x' }),
    id => operator.manage('POST', `/agents/${id}/retire`, { reason: 'x' }),
    async id => {
      const keys = await operator.manage('GET', `/agents/${id}/keys`)
      return operator.manage('POST', `/agents/${id}/keys/${keys.body.items[0].kid}/revoke`, { reason: 'x' })
    },
    async id => {
      const grants = await operator.manage('GET', `/grants?agent=${id}`)
      return operator.manage('DELETE', `/grants/${grants.body.items[0].id}`)
    },
    async id => {
      await operator.manage('POST', `/agents/${id}/suspend`, { reason: 'x' })
      return operator.manage('POST', `/agents/${id}/resume`, { reason: 'x' })
    },
  ]
  for (const end of ways) {
    const { id, party, token } = await administrator(writ, ['writ:*'])
    await end(id)
    for (const route of routes) {
      const answer = await askAs(writ, route, { party, token })
      assert.deepEqual([answer.status, answer.body.code], [401, 'invalid_token'], route.operation)
    }
  }
})

test('paths that are no route answer nobody, whatever they carry', async t => {
  const writ = await authority(t)
  for (const path of [
    '/',
    '/agents/',
    '/agents//keys',
    '/nothing',
    '/agents/agt_x/nothing',
    '/../api/v1/agents/x/y',
  ]) {
    for (const method of ['GET', 'POST', 'PATCH', 'DELETE', 'PUT']) {
      const answer = await writ.operator.manage(method, path)
      assert.ok([404, 405, 401].includes(answer.status), `${method} ${path}: ${answer.status}`)
    }
  }
})
