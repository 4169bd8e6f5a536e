// Tools that the decision point alone opens: tokens of nothing but details call them, within those and not beside them.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Agent } from '@writ/sdk/agent'
import { type McpGuard, type McpOptions, mcpGuard } from '@writ/sdk/resource/mcp'
import { api, expect, grant, payloadOf, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'
import { type Caller, gate, type Member, member, settled } from './protected-site.ts'

const pay = (max: number) => ({
  type: 'mcp_tool',
  server: api,
  tool: 'pay',
  arguments: { amount: { range: { max } }, to: { prefix: 'acct/', optional: true } },
})
const tools = { pay: null, refund: null, echo: 'read' }

const clockOf = (writ: Authority) => ({ wallMs: writ.nowMs, steadyMs: () => performance.now() })

async function guarded(
  t: TestContext,
  writ: Authority,
  by: Member | null,
  more: Partial<McpOptions> = {},
): Promise<McpGuard> {
  const wire = ((url: string | URL | Request, init?: RequestInit) =>
    writ.fetch(String(url), init)) as typeof fetch
  const agent = by === null ? undefined : Agent.fromCredentials(by.credentials, { fetch: wire })
  const guard = mcpGuard({
    issuer: writ.issuer,
    resource: api,
    tools,
    fetch: wire,
    clock: clockOf(writ),
    ...(agent === undefined ? {} : { decisions: { agent } }),
    ...more,
  })
  t.after(async () => {
    await guard.verifier.decider?.close()
    guard.verifier.close()
    agent?.close()
  })
  await guard.verifier.ready()
  return guard
}

async function scene(t: TestContext, resource: Record<string, unknown> = {}) {
  const writ = await authority(t)
  await registerApi(writ, resource)
  const [by, agent] = [await gate(writ), await member(writ, 'payer')]
  return { writ, by, agent, guard: await guarded(t, writ, by) }
}

async function detailed(
  writ: Authority,
  { id, party }: Member,
  details: readonly unknown[],
): Promise<Caller> {
  const body = { agent: id, resource: api, authorization_details: details, reason: 'test' }
  expect(await writ.operator.manage('POST', '/grants', body), 201)
  return { party, token: await party.token(api) }
}

interface Sent {
  readonly name?: unknown
  /** The JSON of the arguments, as it travels. */
  readonly given?: string
  readonly peer?: string
}

/** `passed`, or status and error of the refusal. */
async function call(
  guard: McpGuard,
  by: Caller,
  { name = 'pay', given = '{}', peer }: Sent,
): Promise<string> {
  const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":${JSON.stringify(name)},"arguments":${given}}}`
  const headers = new Headers({
    authorization: `DPoP ${by.token}`,
    dpop: by.party.proof(`${api}/`, { accessToken: by.token }),
    'content-type': 'application/json',
  })
  const body = (async function* () {
    yield Buffer.from(text)
  })()
  const request = { method: 'POST', url: '/', headers, body }
  const decision = await guard.decide(peer === undefined ? request : { ...request, peer })
  if (decision.kind === 'forward') {
    assert.equal(Buffer.from(decision.body ?? []).toString(), text)
    return 'passed'
  }
  const { status, headers: answered, body: said } = decision.answer
  const { error } = JSON.parse(said)
  if (status === 403) assert.equal(answered['www-authenticate'], undefined, 'there is no scope to ask for')
  return `${status} ${error.data?.error ?? error.code ?? error}`
}
const no = '403 access_denied'

test('a token of nothing but details calls the tool within them, and no other tool or spelling of it', async t => {
  const { writ, agent, guard } = await scene(t)
  const payer = await detailed(writ, agent, [pay(100)])
  const claims = payloadOf(payer.token)
  assert.deepEqual([claims['scope'], (claims['writ'] as { decide: boolean }).decide], [undefined, true])
  for (let round = 0; round < 2; round += 1) {
    assert.equal(await call(guard, payer, { given: '{"amount":100}' }), 'passed')
    assert.equal(await call(guard, payer, { given: '{"to":"acct/7","amount":1}' }), 'passed')
    assert.equal(await call(guard, payer, { name: 'pay', given: '{"\\u0061mount":1}' }), 'passed')
  }
  const beside = [
    '{}',
    '{"amount":101}',
    '{"amount":"1"}',
    '{"amount":null}',
    '{"amount":[1]}',
    '{"amount":1,"memo":""}',
    '{"amount":1,"to":"ACCT/7"}',
    '{"amount":1,"to":"acct/../root"}',
    '{"amount":1,"toJSON":1}',
    '{"amount":1,"constructor":{}}',
  ]
  for (const given of beside) assert.equal(await call(guard, payer, { given }), no, given)
  const names = [
    'Pay',
    'PAY',
    'pay ',
    ' pay',
    'pay/',
    './pay',
    'pay#',
    '#pay',
    'p%61y',
    'pay\u0000',
    'рay',
    'pаy',
  ]
  for (const name of [...names, '*', '', 'refund', 'constructor', '__proto__', null, 7, ['pay'], { pay: 1 }])
    assert.equal(await call(guard, payer, { name, given: '{"amount":1}' }), no, JSON.stringify(name))
})

test('what two readers could take for different arguments is never decided on', async t => {
  const { writ, agent, guard } = await scene(t)
  const payer = await detailed(writ, agent, [{ type: 'mcp_tool', server: api, tool: 'pay' }])
  assert.equal(await call(guard, payer, { given: '{"amount":9007199254740991}' }), 'passed')
  const refused: readonly [string, string][] = [
    ['[{"amount":1}]', '400 -32602'],
    ['"amount"', '400 -32602'],
    ['null', '400 -32602'],
    ['1', '400 -32602'],
    ['{"amount":1,"amount":1000}', '400 -32700'],
    ['{"amount":9007199254740993}', '400 -32700'],
    ['{"amount":1e400}', '400 -32700'],
    ['{"to":"\\ud800"}', '400 -32700'],
    ['{"__proto__":{"amount":1}}', '400 -32700'],
  ]
  for (const [given, expected] of refused) assert.equal(await call(guard, payer, { given }), expected, given)
})

test('without a scope to need, a grant of scopes opens a tool only through the map of actions', async t => {
  const { writ, agent, guard } = await scene(t)
  await grant(writ, agent.id, ['read', 'write'])
  const clerk = { party: agent.party, token: await agent.party.token(api) }
  assert.equal(await call(guard, clerk, { name: 'pay' }), no)
  assert.equal(
    await call(guard, clerk, { name: 'echo' }),
    no,
    'each call is decided, its scope is not enough',
  )
  const { items } = expect(await writ.operator.manage('GET', '/resources'), 200)
  const id = items.find((item: { identifier: string }) => item.identifier === api).id
  const actions = { call: { any_of: ['write'] } }
  expect(await writ.operator.manage('PATCH', `/resources/${id}`, { actions }), 200)
  await settled(writ, 1)
  assert.equal(await call(guard, clerk, { name: 'pay' }), 'passed')
  const reader = { party: agent.party, token: await agent.party.token(api, 'read') }
  assert.equal(await call(guard, reader, { name: 'pay' }), no)
})

test('the address that a policy asks for is the one of the socket, and no tool is open without it', async t => {
  const { writ, agent, guard } = await scene(t, { actions: { call: { any_of: ['write'] } } })
  await grant(writ, agent.id, ['write'], { condition: 'context has peer && context.peer.isLoopback()' })
  const clerk = { party: agent.party, token: await agent.party.token(api) }
  assert.equal(await call(guard, clerk, { peer: '127.0.0.1' }), 'passed')
  assert.equal(await call(guard, clerk, { peer: '192.0.2.1' }), no)
  assert.equal(await call(guard, clerk, {}), no)
  assert.equal(await call(guard, clerk, { given: '{"peer":"127.0.0.1"}' }), no)
})

test('a tool without a scope is opened by nobody where nobody decides', async t => {
  const { writ, agent } = await scene(t)
  await assert.rejects(guarded(t, writ, null), RangeError)
  const plain = await guarded(t, writ, null, { tools: { pay: 'read' } })
  const payer = await detailed(writ, agent, [pay(100)])
  assert.equal(await call(plain, payer, { given: '{"amount":1}' }), '401 invalid_token')
})

test('the document of the resource says that details open it, and names no scope for it', async t => {
  const { writ, by, guard } = await scene(t)
  const at = {
    method: 'GET',
    url: '/.well-known/oauth-protected-resource',
    headers: new Headers(),
    body: null,
  }
  const told = async (of: McpGuard): Promise<Record<string, unknown>> => {
    const decision = await of.decide(at)
    assert.ok(decision.kind === 'answer')
    return JSON.parse(decision.answer.body)
  }
  const types = 'authorization_details_types_supported'
  const document = await told(guard)
  assert.deepEqual([document[types], document['scopes_supported']], [['mcp_tool'], undefined])
  const scoped = await guarded(t, writ, by, { tools: { echo: 'read' } })
  assert.equal((await told(scoped))[types], undefined)
  const both = await guarded(t, writ, by, { authorizationDetailsTypes: ['mcp_tool', 'http'] })
  assert.deepEqual((await told(both))[types], ['mcp_tool', 'http'])
})

test('a halted tool is refused where calls are decided too, at once and from memory, until it is lifted', async t => {
  const { writ, agent, guard } = await scene(t)
  const payer = await detailed(writ, agent, [pay(100), { type: 'mcp_tool', server: api, tool: 'refund' }])
  const one = { given: '{"amount":1}' }
  for (let round = 0; round < 2; round += 1) assert.equal(await call(guard, payer, one), 'passed')
  const body = { kind: 'tool', target: `${api}#pay`, reason: 'test' }
  const { id } = expect(await writ.operator.manage('POST', '/halts', body), 201)
  await settled(writ, 1)
  assert.equal(await call(guard, payer, one), no)
  assert.equal(await call(guard, payer, { name: 'refund' }), 'passed')
  expect(await writ.operator.manage('POST', `/halts/${id}/lift`, { reason: 'test' }), 200)
  await settled(writ, 1)
  await until('it is open again', 10, async () => (await call(guard, payer, one)) === 'passed')
})
