// RFC 9396 from outside: details are granted, asked for and shown, and never grow on the way.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, expect, grant, newAgent, payloadOf, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import type { Party } from '../harness/party.ts'
import { verifies } from './verifies.ts'

const tool = (name: string, limits?: object) => ({
  ...{ type: 'mcp_tool', server: api, tool: name },
  ...(limits === undefined ? {} : { arguments: limits }),
})
const upTo = (max: number) => tool('pay', { amount: { range: { max } } })
const invoices = { type: 'http', host: 'api.example', methods: ['GET', 'POST'], path: '/invoices/{+rest}' }

interface Scene {
  readonly a: Authority
  readonly agent: Party
  /** Asks for a token of the API; details as a value or as the very text. */
  ask(details: unknown, scope?: string): ReturnType<Party['tokenRequest']>
}

/** An agent with a grant for `write` limited to paying up to 100 and to invoices, and nothing else. */
async function scene(t: Parameters<typeof authority>[0]): Promise<Scene> {
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a)
  await grant(a, agent.clientId, ['write'], { authorization_details: [upTo(100), invoices] })
  return {
    a,
    agent,
    ask: (details, scope) =>
      agent.tokenRequest({
        resource: api,
        ...(scope === undefined ? {} : { scope }),
        ...(details === undefined
          ? {}
          : { authorization_details: typeof details === 'string' ? details : JSON.stringify(details) }),
      }),
  }
}

const introspect = ({ operator }: Authority, token: string) =>
  operator.post('/introspect', {
    token,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: operator.assertion(),
  })

test('details that are granted come back in the answer, the token and introspection', async t => {
  verifies('RFC9396-2-1', 'RFC9396-3.1-1', 'RFC9396-7-1', 'RFC9396-9.1-1', 'RFC9396-9.2-1')
  const { a, ask } = await scene(t)
  const asked = [upTo(10), tool('pay', { amount: { exact: 50 } })]
  const body = expect(await ask(asked, 'write'), 200)
  assert.deepEqual([body.scope, body.authorization_details], ['write', asked])
  const claims = payloadOf(body.access_token)
  assert.deepEqual([claims['aud'], claims['scope'], claims['authorization_details']], [api, 'write', asked])
  const introspected = expect(await introspect(a, body.access_token), 200)
  assert.deepEqual([introspected.active, introspected.authorization_details], [true, asked])
})

test('a request without details is answered with those of the grant, which limit the scope', async t => {
  verifies('RFC9396-7-1')
  const { ask } = await scene(t)
  for (const scope of ['write', undefined]) {
    const body = expect(await ask(undefined, scope), 200)
    assert.deepEqual([body.scope, body.authorization_details], ['write', [upTo(100), invoices]])
  }
})

test('details that are not understood are refused, whatever else is right', async t => {
  verifies('RFC9396-2-1', 'RFC9396-5-1')
  const { ask } = await scene(t)
  for (const details of [
    ...['{', '[', 'null', '"mcp_tool"', '[]', '[[]]', '[null]', '{}', JSON.stringify(upTo(1))],
    ...[[{}], [{ type: 'payment_initiation' }], [{ ...upTo(1), type: 'MCP_TOOL' }], [upTo(1), upTo(1)]],
    ...[
      [{ ...upTo(1), locations: [api] }],
      [{ ...upTo(1), actions: ['admin'] }],
      [{ type: 'mcp_tool', server: api }],
    ],
    ...[[tool('pay', { amount: {} })], [tool('pay', { amount: { range: { max: '1' } } })], [tool('pay', [])]],
    ...[[{ ...invoices, methods: ['get'] }], [{ ...invoices, path: '/invoices/../keys' }]],
    // Members that come twice are read in one way by one reader and in another by the next.
    `[{"type":"mcp_tool","type":"http","server":"${api}","tool":"pay"}]`,
    `[{"type":"mcp_tool","server":"${api}","tool":"list","t\\u006fol":"pay"}]`,
    `[{"type":"mcp_tool","server":"${api}","tool":"pay","arguments":{"__proto__":{"any":true}}}]`,
    JSON.stringify(Array.from({ length: 65 }, (_, at) => upTo(at))),
    `[${'['.repeat(100)}${']'.repeat(100)}]`,
  ]) {
    const answer = await ask(details, 'write')
    assert.deepEqual(
      [answer.status, answer.body.error],
      [400, 'invalid_authorization_details'],
      JSON.stringify(details),
    )
  }
})

test('nothing is had that is not contained in what was granted', async t => {
  verifies('RFC9396-6-1')
  const { ask } = await scene(t)
  const amount = { range: { max: 10 } }
  for (const details of [
    [upTo(101)],
    [tool('pay')],
    [tool('pay', {})],
    [tool('pay', { amount: { any: true } })],
    [tool('pay', { amount: { ...amount, optional: true } })],
    [tool('pay', { amount, currency: { exact: 'EUR' } })],
    [tool('pay', { Amount: amount })],
    [tool('*', { amount })],
    [tool('Pay', { amount })],
    [upTo(10), tool('refund', { amount })],
    [{ ...upTo(10), server: 'https://api.example/mcp' }],
    [{ ...invoices, methods: ['GET', 'DELETE'] }],
    [{ ...invoices, path: '/{+rest}' }],
    [{ ...invoices, path: '/Invoices/1' }],
    [{ ...invoices, path: '/invoices' }],
    [{ ...invoices, host: 'api.example:8443' }],
    [{ ...invoices, host: 'evil.example' }],
  ]) {
    const answer = await ask(details, 'write')
    assert.deepEqual(
      [answer.status, answer.body.error],
      [400, 'invalid_authorization_details'],
      JSON.stringify(details),
    )
  }
  // Of a scope it does not have, an agent learns that it has not got the scope.
  assert.equal((await ask([upTo(10)], 'erase')).body.error, 'invalid_scope')
})

test('the parameter comes once, like every other', async t => {
  verifies('RFC9396-5-1')
  const { agent } = await scene(t)
  const twice = [JSON.stringify([upTo(10)]), JSON.stringify([invoices])]
  const answer = await agent.tokenRequest({ resource: api, authorization_details: twice })
  assert.deepEqual([answer.status, answer.body.error], [400, 'invalid_request'])
})

test('a grant that was taken back and given narrower gives no wide token again', async t => {
  verifies('RFC9396-6-1')
  const { a, agent, ask } = await scene(t)
  const [wide] = (await a.operator.manage('GET', `/grants?agent=${agent.clientId}`)).body.items
  const { access_token: before } = expect(await ask([upTo(100)], 'write'), 200)
  assert.equal((await a.operator.manage('DELETE', `/grants/${wide.id}`)).status, 204)
  await grant(a, agent.clientId, ['write'], { authorization_details: [upTo(10)] })
  assert.equal((await introspect(a, before)).body.active, false)
  assert.equal((await ask([upTo(100)], 'write')).body.error, 'invalid_authorization_details')
  assert.deepEqual(expect(await ask(undefined, 'write'), 200).authorization_details, [upTo(10)])
})

test('a token rests on grants with details or on grants without, and never on both', async t => {
  verifies('RFC9396-3.1-1')
  const { a, agent, ask } = await scene(t)
  const plain = await grant(a, agent.clientId, ['read'])
  const both = await ask(undefined, 'read write')
  assert.deepEqual([both.status, both.body.error], [400, 'invalid_scope'])
  const byDefault = expect(await ask(undefined), 200)
  assert.deepEqual([byDefault.scope, byDefault.authorization_details], ['read', undefined])
  assert.deepEqual((payloadOf(byDefault.access_token)['writ'] as { grants: string[] }).grants, [plain])
})

test('a token that needs decisions says so, and one that needs none does not', async t => {
  verifies('RFC9396-9.1-1')
  const { a, ask, agent } = await scene(t)
  const writOf = async (details: unknown, scope: string) =>
    payloadOf(expect(await ask(details, scope), 200).access_token)['writ'] as { decide?: boolean }
  assert.equal((await writOf(undefined, 'write')).decide, true)
  await grant(a, agent.clientId, ['read'])
  assert.equal((await writOf(undefined, 'read')).decide, undefined)
  // Less than a grant without details may be asked for: then the limit is the request's own, and as binding.
  assert.equal((await writOf([tool('list')], 'read')).decide, true)
  await grant(a, agent.clientId, ['erase'], { condition: 'context.risk < 50' })
  assert.equal((await writOf(undefined, 'erase')).decide, true)
  const budgets = [{ unit: 'calls', limit: 3, window_seconds: 60 }]
  const other = await newAgent(a)
  await grant(a, other.clientId, ['read'], { budgets })
  const limited = expect(await other.tokenRequest({ resource: api, scope: 'read' }), 200)
  assert.equal((payloadOf(limited.access_token)['writ'] as { decide?: boolean }).decide, true)
})

test('details of another resource are not those of this one', async t => {
  verifies('RFC9396-9.1-1', 'RFC9396-6-1')
  const { a, agent, ask } = await scene(t)
  const other = 'https://other.example'
  await registerApi(a, { identifier: other })
  const there = { ...tool('pay'), server: other }
  await grant(a, agent.clientId, ['write'], { resource: other, authorization_details: [there] })
  assert.equal((await ask([there], 'write')).body.error, 'invalid_authorization_details')
  assert.deepEqual(expect(await ask(undefined, 'write'), 200).authorization_details, [upTo(100), invoices])
})

test('our own endpoints take no token that is limited to details', async t => {
  verifies('RFC9396-6-1')
  const { a } = await scene(t)
  const management = `${a.issuer}/api/v1`
  const details = JSON.stringify([
    { type: 'sql', database: 'd', schema: 's', tables: ['t'], verbs: ['select'] },
  ])
  const body = expect(
    await a.operator.tokenRequest({
      resource: management,
      scope: 'writ:agents:read',
      authorization_details: details,
    }),
    200,
  )
  const answer = await a.operator.call('GET', `${management}/agents`, { token: body.access_token })
  assert.equal(answer.status, 401)
})

test('more details than a token can carry are said to be too many', async t => {
  const a = await authority(t)
  await registerApi(a)
  const agent = await newAgent(a)
  const long = { x: { one_of: Array.from({ length: 60 }, (_, at) => `${at}${'x'.repeat(150)}`) } }
  await grant(a, agent.clientId, ['write'], { authorization_details: [tool('pay', long)] })
  const answer = await agent.tokenRequest({ resource: api, scope: 'write' })
  assert.deepEqual([answer.status, answer.body.error], [400, 'invalid_scope'])
})

test('no token carries more details of several grants than whoever decides would read', async t => {
  const { a, agent, ask } = await scene(t)
  const named = (count: number, from: number) =>
    Array.from({ length: count }, (_, at) => tool(`t${from + at}`))
  await grant(a, agent.clientId, ['write'], { authorization_details: named(31, 0) })
  await grant(a, agent.clientId, ['write'], { authorization_details: named(31, 100) })
  assert.equal(expect(await ask(undefined, 'write'), 200).authorization_details.length, 64)
  await grant(a, agent.clientId, ['write'], { authorization_details: named(1, 200) })
  const refused = await ask(undefined, 'write')
  assert.deepEqual([refused.status, refused.body.error], [400, 'invalid_scope'])
  assert.match(refused.body.error_description, /more than one token can carry/)
  assert.equal(expect(await ask([tool('t200')], 'write'), 200).authorization_details.length, 1)
})

test('the types are published, and clients register those that they use', async t => {
  verifies('RFC9396-10-1')
  const a = await authority(t)
  const metadata = await (await a.fetch('/.well-known/oauth-authorization-server')).json()
  assert.deepEqual(metadata.authorization_details_types_supported, ['mcp_tool', 'http', 'sql'])
  const client = (types: readonly string[]) =>
    a.operator.manage('POST', '/clients', { client_name: 'shop', authorization_details_types: types })
  assert.deepEqual(expect(await client(['http']), 201).authorization_details_types, ['http'])
  assert.equal((await client(['payment_initiation'])).status, 422)
})
