// Authorization details (RFC 9396) in force: of grants and of tokens, through the map of actions, as agents of the SDK ask.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Agent, type OperatorCredentials } from '@writ/sdk/agent'
import { parseScopeActions, scopesFor } from '@writ/sdk/protocol/details/scope-actions'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { protect } from '@writ/sdk/resource/fetch'
import { api, expect, grant, newAgent, payloadOf, registerApi } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import type { Party } from '../harness/party.ts'
import { enforcementPoint } from './point.ts'

const pay = (max: number) => ({
  type: 'mcp_tool',
  server: api,
  tool: 'pay',
  arguments: { amount: { range: { max } }, to: { prefix: 'acct/', optional: true } },
})
const actions = { call: { any_of: ['write'] } }

async function scene(t: Parameters<typeof authority>[0]) {
  const writ = await authority(t)
  const resource = await registerApi(writ, { actions })
  const point = await enforcementPoint(writ)
  const agent = await newAgent(writ)
  const explained = async (members: { id?: string; type?: string; action?: string; context?: object }) => {
    const { id = 'pay', type = 'tool', action = 'call', context = {} } = members
    const body = {
      subject: { type: 'agent', id: agent.clientId },
      action: { name: action },
      resource: { type, id: `${api}#${id}` },
      context,
      options: { explain: true },
    }
    const { decision, context: told } = expect(await point.ask('evaluation', body), 200)
    return decision ? 'allowed' : `${told.writ.refused_by} ${told.writ.rule}`
  }
  return { writ, point, agent, resource, explained }
}

const tokenOf = async (agent: Party, details: unknown, scope = 'write') => {
  const body = expect(
    await agent.tokenRequest({ resource: api, scope, authorization_details: JSON.stringify(details) }),
    200,
  )
  const claims = payloadOf(body.access_token) as { jti: string; exp: number; writ: Record<string, unknown> }
  return {
    jti: claims.jti,
    exp: claims.exp,
    scopes: [scope],
    authorization_details: body.authorization_details,
    grants: claims.writ['grants'],
    epoch: claims.writ['epoch'],
    key: claims.writ['key'],
  }
}

test('a grant with details covers what they cover, and its scopes as well', async t => {
  const { writ, agent, explained } = await scene(t)
  const id = await grant(writ, agent.clientId, ['write'], { authorization_details: [pay(100)] })
  const given = (amount: unknown, more = {}) => explained({ context: { arguments: { amount, ...more } } })
  assert.equal(await given(100), 'allowed')
  assert.equal(await given(1, { to: 'acct/7' }), 'allowed')
  for (const [amount, more] of [
    [101, {}],
    ['1', {}],
    [null, {}],
    [1, { to: 'acct/../root' }],
    [1, { to: 'ACCT/7' }],
    [1, { memo: '' }],
  ] as const)
    assert.equal(await given(amount, more), `details ${id}`, JSON.stringify([amount, more]))
  assert.equal(await explained({}), `details ${id}`)
  const one = { arguments: { amount: 1 } }
  assert.equal(await explained({ id: 'refund', context: one }), `details ${id}`)
  assert.equal(await explained({ id: '*', context: one }), `details ${id}`)
  assert.equal(await explained({ id: 'Pay', context: one }), `details ${id}`)
  assert.equal(await explained({ action: 'read', context: one }), 'grant no_grant')
  // Neither the scope alone nor the detail alone is enough.
  const other = await newAgent(writ)
  await grant(writ, other.clientId, ['read'], { authorization_details: [pay(100)] })
  const smaller = await tokenOf(agent, [pay(10)])
  assert.equal(
    await explained({ context: { token: smaller, arguments: { amount: 11 } } }),
    'ceiling token_details',
  )
  assert.equal(await explained({ context: { token: smaller, arguments: { amount: 10 } } }), 'allowed')
  const forged = { ...smaller, authorization_details: [pay(1_000)] }
  assert.equal(await explained({ context: { token: forged, arguments: { amount: 101 } } }), `details ${id}`)
})

test('a grant whose details are all it has needs no scope', async t => {
  const { writ, agent, explained } = await scene(t)
  const read = { type: 'http', host: 'api.example', methods: ['GET'], path: '/invoices/{id}' }
  const rows = { type: 'sql', database: 'shop', schema: 'public', tables: ['orders'], verbs: ['select'] }
  const id = expect(
    await writ.operator.manage('POST', '/grants', {
      agent: agent.clientId,
      resource: api,
      authorization_details: [read, rows],
      reason: 'test',
    }),
    201,
  ).id
  const get = (path: string, action = 'get') => explained({ type: 'http', id: path, action })
  assert.equal(await get('/invoices/7'), 'allowed')
  for (const path of ['/invoices', '/invoices/', '/invoices/7/lines', '/Invoices/7', '/invoices/{id}'])
    assert.notEqual(await get(path), 'allowed', path)
  for (const path of [
    '/invoices/../keys',
    '/invoices/%37',
    '/invoices//7',
    '/invoices/7?all',
    '/invoices/%2e%2e',
  ])
    assert.equal(await get(path), 'resource spelling', path)
  assert.equal(await get('/invoices/7', 'delete'), `details ${id}`)
  assert.equal(await get('/invoices/7', 'GET'), 'resource spelling')
  assert.equal(await explained({ type: 'HTTP', id: '/invoices/7', action: 'get' }), 'resource spelling')
  const select = (table: string) => explained({ type: 'sql', id: table, action: 'select' })
  assert.equal(await select('shop.public.orders'), 'allowed')
  for (const table of ['shop.public.keys', 'shop.public.*', 'shop.public.Orders', 'public.orders'])
    assert.equal(await select(table), `details ${id}`, table)
})

test('a denied call names the least detail that would be enough, which can be granted as it is', async t => {
  const { writ, point, agent, explained } = await scene(t)
  const context = { arguments: { amount: 3, tags: ['a', 'b'] } }
  const body = {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'call' },
    resource: { type: 'tool', id: `${api}#pay` },
    options: { explain: true },
    context,
  }
  const smallest = expect(await point.ask('evaluation', body), 200).context.writ.smallest_grant
  assert.deepEqual(smallest.authorization_details, [
    {
      ...{ type: 'mcp_tool', server: api, tool: 'pay' },
      arguments: { amount: { exact: 3 }, tags: { subset: ['a', 'b'] } },
    },
  ])
  expect(await writ.operator.manage('POST', '/grants', { ...smallest, reason: 'asked for' }), 201)
  assert.equal(await explained({ context }), 'allowed')
  assert.match(await explained({ context: { arguments: { amount: 4, tags: ['a'] } } }), /^details/)
})

test('a change of the map of actions is in force at the next call', async t => {
  const { writ, agent, resource, explained } = await scene(t)
  await grant(writ, agent.clientId, ['write'])
  assert.equal(await explained({}), 'allowed')
  const change = async (map: object) =>
    expect(await writ.operator.manage('PATCH', `/resources/${resource}`, { actions: map }), 200)
  await change({ call: { any_of: ['erase'] } })
  assert.equal(await explained({}), 'grant no_grant')
  await change({ call: { any_of: ['erase', 'all'] } })
  assert.equal(await explained({}), 'grant no_grant')
  await change({ call: { any_of: ['erase', 'write'] } })
  assert.equal(await explained({}), 'allowed')
  // Without a row an action needs the scope of its own name.
  await change({})
  assert.equal(await explained({}), 'grant no_grant')
})

test('an agent of the SDK asks for details, keeps tokens of each apart, and hears what was granted', async t => {
  const { writ } = await scene(t)
  const pair = generateKeyPair('ES256')
  const made = await writ.operator.manage('POST', '/agents', {
    ...{ name: 'shopper', owner: writ.operator.clientId, purpose: 'Buys' },
    jwks: { keys: [pair.verify.jwk] },
  })
  const { id } = expect(made, 201)
  const jwk = pair.secret.reveal() as unknown as Record<string, unknown>
  const credentials = { issuer: writ.issuer, client_id: id, jwk } as unknown as OperatorCredentials
  const reach = ((url: string | URL | Request, init?: RequestInit) =>
    writ.fetch(String(url), init)) as typeof fetch
  const agent = Agent.fromCredentials(credentials, { fetch: reach, clock: writ.nowMs })
  t.after(() => agent.close())
  await grant(writ, id, ['write'], { authorization_details: [pay(100)] })
  const narrow = await agent.token({ resource: api, scope: 'write', authorizationDetails: [pay(10)] })
  const wide = await agent.token({ resource: api, scope: 'write' })
  assert.deepEqual([narrow.authorizationDetails, wide.authorizationDetails], [[pay(10)], [pay(100)]])
  assert.notEqual(narrow.accessToken.reveal(), wide.accessToken.reveal())
  const again = await agent.token({ resource: api, scope: 'write', authorizationDetails: [pay(10)] })
  assert.equal(again.accessToken.reveal(), narrow.accessToken.reveal())
  const more = agent.token({ resource: api, scope: 'write', authorizationDetails: [pay(101)] })
  await assert.rejects(more, { code: 'invalid_authorization_details' })
})

test('a resource publishes its types and its map, and refuses tokens that need what it does not do', async t => {
  const { writ, agent } = await scene(t)
  const [registered] = expect(await writ.operator.manage('GET', `/resources?identifier=${api}`), 200).items
  const scopeActions = parseScopeActions({
    version: registered.actions_version,
    actions: registered.actions,
  })
  assert.ok(scopeActions !== undefined)
  const guarded = protect({
    issuer: writ.issuer,
    resource: api,
    authorizationDetailsTypes: ['mcp_tool'],
    scopeActions,
    fetch: ((url: string | URL | Request, init?: RequestInit) =>
      writ.fetch(String(url), init)) as typeof fetch,
    clock: { wallMs: writ.nowMs, steadyMs: () => performance.now() },
  })
  t.after(() => guarded.verifier.close())
  await guarded.verifier.ready()
  const handle = guarded((_, { caller }) => Response.json(caller.authorizationDetails))
  const document = await (await handle(new Request(`${api}/.well-known/oauth-protected-resource`))).json()
  assert.deepEqual(document.authorization_details_types_supported, ['mcp_tool'])
  assert.deepEqual(document.writ_scope_actions, {
    version: 1,
    actions: { call: { any_of: ['write'], recorded: [] } },
  })
  assert.deepEqual(scopesFor(parseScopeActions(document.writ_scope_actions), 'call'), ['write'])
  const call = async (token: string) =>
    handle(
      new Request(`${api}/`, {
        headers: {
          authorization: `DPoP ${token}`,
          dpop: agent.proof(`${api}/`, { accessToken: token, method: 'GET' }),
        },
      }),
    )
  await grant(writ, agent.clientId, ['write'], { authorization_details: [pay(100)] })
  assert.equal((await call(await agent.token(api, 'write'))).status, 401)
  await grant(writ, agent.clientId, ['read'])
  const plain = await call(await agent.token(api, 'read'))
  assert.deepEqual([plain.status, await plain.json()], [200, []])
  assert.throws(
    () => protect({ issuer: writ.issuer, resource: api, authorizationDetailsTypes: ['payment'] }),
    RangeError,
  )
})
