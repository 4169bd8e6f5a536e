// The MCP guard: who may call which tool is decided on the bytes that travel on, and nothing else travels with them.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Answer } from './challenge.ts'
import {
  decideRequest,
  type McpDecision,
  type McpGuard,
  type McpOptions,
  mcpGuard,
  plainMethods,
} from './mcp.ts'

import { createHolder, type IssuerFixture, startIssuer, until } from './testing/issuer.ts'

const resource = 'https://tools.example/mcp'
const holder = createHolder()
const tools = { echo: 'echo:call', add: 'math:call', constructor: 'odd:call' }
let issuer: IssuerFixture
let guard: McpGuard

const open = async (options: Partial<McpOptions> = {}): Promise<McpGuard> => {
  const opened = mcpGuard({ issuer: issuer.url, resource, tools, ...options })
  await opened.verifier.ready()
  return opened
}
before(async () => {
  issuer = await startIssuer()
  guard = await open()
})
after(async () => {
  guard.verifier.close()
  await issuer.close()
})

interface Sent {
  readonly scope?: string | undefined
  readonly method?: string
  readonly url?: string
  readonly lines?: readonly string[]
  readonly type?: string
  readonly by?: McpGuard
  /** Claims laid over those of the token. */
  readonly as?: Readonly<Record<string, unknown>>
}

/** Sends a body (text as it is, anything else as JSON) with a fresh token and proof. */
function send(body: unknown, sent: Sent = {}): Promise<McpDecision> {
  const { scope, method = 'POST', url = '/mcp', lines = [], type = 'application/json', by = guard, as } = sent
  const token = issuer.issue({ aud: resource, scope, cnf: { jkt: holder.jkt }, ...as })
  const { authorization = '', dpop = '' } = holder.headers(token, { uri: resource, method })
  const headers = ['Host', 'x', 'Content-Type', type, 'Authorization', authorization, 'DPoP', dpop, ...lines]
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return by.decide({ method, url, headers, body: bytesOf(text) })
}

async function* bytesOf(text: string, chunk = 7): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk)
}

const request = (method: string, params?: unknown) => ({ jsonrpc: '2.0', id: 5, method, params })
const call = (name: unknown) => request('tools/call', { name, arguments: { text: 'hi' } })

function answered(decision: McpDecision) {
  assert.ok(decision.kind === 'answer', 'the request was let through')
  const { status, headers, body } = decision.answer
  const parsed = body === '' ? undefined : JSON.parse(body)
  return { status, headers, challenge: headers['www-authenticate'] ?? '', body: parsed, error: parsed?.error }
}

function passed(decision: McpDecision) {
  assert.ok(decision.kind === 'forward', decision.kind === 'answer' ? decision.answer.body : '')
  return decision
}

test('lets a listed tool be called by who has its scope, and forwards the very bytes without the credentials', async () => {
  const text = ' {"jsonrpc":"2.0", "id":5,\n"method":"tools\\/call","params":{"name":"\\u0065cho"}} '
  passed(await send(request('initialize'))).answered({ status: 200, headers: ['Mcp-Session-Id', 's1'] })
  const lines = [
    'Mcp-Session-Id',
    's1',
    'Accept',
    'application/json',
    'accept',
    'text/event-stream',
    'Cookie',
    'c=1',
  ]
  const more = ['Mcp-Param-Text', 'hi', 'X-Api-Key', 'k', 'Proxy-Authorization', 'p', 'User-Agent', 'agent']
  const decision = passed(await send(text, { scope: 'echo:call', lines: [...lines, ...more] }))
  assert.deepEqual(decision.headers, {
    'content-type': 'application/json',
    'mcp-session-id': 's1',
    accept: 'application/json, text/event-stream',
    'mcp-param-text': 'hi',
    'user-agent': 'agent',
  })
  assert.equal(Buffer.from(decision.body ?? []).toString(), text)
  assert.equal(decision.caller.agent, 'agt_1')
  assert.deepEqual(decision.message, {
    kind: 'request',
    id: 5,
    method: 'tools/call',
    params: { name: 'echo' },
  })
})

test('refuses a listed tool to who lacks its scope, with 403, the scope, and an answer to the message', async () => {
  const { status, challenge, body } = answered(await send(call('echo'), { scope: 'math:call' }))
  assert.equal(status, 403)
  assert.match(
    challenge,
    /^DPoP error="insufficient_scope", .*scope="echo:call", resource_metadata="https:\/\/tools\.example\/\.well-known\/oauth-protected-resource\/mcp"/,
  )
  assert.equal(body.id, 5)
  assert.deepEqual(body.error.data, { error: 'insufficient_scope', scope: 'echo:call' })
})

test('refuses a tool that is not listed, whatever the token carries and however the tool is spelt', async () => {
  const scope = 'echo:call math:call odd:call'
  for (const name of [
    'printEnv',
    'Echo',
    'echo ',
    'toString',
    '__proto__x',
    'hasOwnProperty',
    '',
    undefined,
    null,
    ['echo'],
    7,
  ]) {
    const { status, body, challenge } = answered(await send(call(name), { scope }))
    assert.equal(status, 403, String(name))
    assert.equal(body.error.data.error, 'access_denied')
    assert.equal(challenge, '')
  }
  passed(await send(call('constructor'), { scope }))
  const silent = { jsonrpc: '2.0', method: 'tools/call', params: { name: 'printEnv' } }
  assert.equal(answered(await send(silent, { scope })).status, 403)
})

test('lets any valid token use the methods of the table, and refuses every other method', async () => {
  for (const method of Object.keys(plainMethods)) passed(await send(request(method)))
  passed(await send({ jsonrpc: '2.0', method: 'notifications/initialized' }))
  passed(await send({ jsonrpc: '2.0', id: 1, result: {} }))
  for (const method of ['resources/read', 'prompts/get', 'tasks/result', 'tools/Call', 'toString', '']) {
    const { status, body } = answered(await send(request(method), { scope: 'echo:call' }))
    assert.deepEqual([status, body.error.data.error], [403, 'access_denied'], method)
  }
})

test('opens further methods only as far as the options say', async () => {
  const wider = await open({ other: { 'resources/list': null, 'resources/read': 'docs:read' } })
  passed(await send(request('resources/list'), { by: wider }))
  const lacking = answered(await send(request('resources/read', { uri: 'x' }), { by: wider }))
  assert.match(lacking.challenge, /scope="docs:read"/)
  passed(await send(request('resources/read', { uri: 'x' }), { by: wider, scope: 'docs:read' }))
  wider.verifier.close()
  await assert.rejects(open({ other: { 'tools/call': null } }), RangeError)
})

test('refuses a body that others could read differently: batches, duplicates, other encodings, other types', async () => {
  const scope = 'echo:call'
  const evil = '"params":{"name":"echo","name":"printEnv"}'
  const bodies = [
    JSON.stringify([call('echo'), call('printEnv')]),
    `{"jsonrpc":"2.0","id":5,"method":"tools/call",${evil}}`,
    `{"jsonrpc":"2.0","id":5,"method":"tools/list","method":"tools/call","params":{"name":"printEnv"}}`,
    `${JSON.stringify(call('echo'))}${JSON.stringify(call('printEnv'))}`,
    '{',
    '',
  ]
  for (const body of bodies) {
    const { status, error, challenge } = answered(await send(body, { scope }))
    assert.equal(status, 400, body)
    assert.ok(error.code === -32600 || error.code === -32700)
    assert.equal(challenge, '')
  }
  for (const type of [
    'text/plain',
    'application/json; charset=utf-16',
    'application/json, text/plain',
    'multipart/mixed',
  ]) {
    assert.equal(answered(await send(call('echo'), { scope, type })).status, 415, type)
  }
  const encoded = { scope, lines: ['Content-Encoding', 'gzip'] }
  assert.equal(answered(await send(call('echo'), encoded)).status, 415)
  passed(await send(call('echo'), { scope, type: 'application/json; charset="UTF-8"' }))
})

test('refuses a request whose headers name another method or tool than its body', async () => {
  const scope = 'echo:call'
  for (const lines of [
    ['Mcp-Method', 'tools/list'],
    ['Mcp-Name', 'add'],
    ['Mcp-Name', 'echo', 'Mcp-Name', 'echo'],
  ]) {
    const { status } = answered(await send(call('echo'), { scope, lines }))
    assert.equal(status, 400)
  }
  const mismatch = answered(await send(call('echo'), { scope, lines: ['Mcp-Name', 'add'] }))
  assert.deepEqual([mismatch.body.id, mismatch.error.code], [5, -32020])
  const twice = ['Mcp-Session-Id', 'a', 'mcp-session-id', 'b']
  assert.equal(answered(await send(call('echo'), { scope, lines: twice })).status, 400)
  passed(await send(call('echo'), { scope, lines: ['Mcp-Method', 'tools/call', 'Mcp-Name', 'echo'] }))
})

test('refuses a message that is too large, and reads none of it before the caller is known', async () => {
  const small = await open({ maxBodyBytes: 300 })
  const { status } = answered(await send(call('x'.repeat(300)), { by: small }))
  assert.equal(status, 413)
  let read = 0
  const body = (async function* () {
    read += 1
    yield Buffer.from('{}')
  })()
  const stranger = await small.decide({
    method: 'POST',
    url: '/mcp',
    headers: ['Content-Type', 'application/json'],
    body,
  })
  const { status: unknown, challenge } = answered(stranger)
  assert.deepEqual([unknown, read], [401, 0])
  assert.match(challenge, /^DPoP resource_metadata=/)
  small.verifier.close()
})

test('guards the stream of a session and its end by the token alone, and drops what they carry', async () => {
  for (const method of ['GET', 'DELETE']) {
    const decision = passed(await send('smuggled', { method, lines: ['Last-Event-Id', '7'] }))
    assert.equal(decision.body, undefined)
    assert.equal(decision.headers['last-event-id'], '7')
  }
  const put = answered(await send('', { method: 'PUT' }))
  assert.deepEqual([put.status, put.headers['allow']], [405, 'POST, GET, DELETE'])
  assert.equal(answered(await send(call('echo'), { url: '/mcp/../admin' })).status, 400)
  const below = await guard.decide({ method: 'GET', url: '/mcp/x', headers: below_(), body: null })
  assert.equal(answered(below).status, 404)
})

const below_ = (): string[] => {
  const token = issuer.issue({ aud: resource, cnf: { jkt: holder.jkt } })
  const { authorization = '', dpop = '' } = holder.headers(token, { uri: `${resource}/x` })
  return ['Authorization', authorization, 'DPoP', dpop]
}

const claimsOf = (grant: string) => ({ writ: { epoch: issuer.epoch, key: 'client-key', grants: [grant] } })

test('tells when the token behind an open stream ends, with the answer for a client that has none yet', async () => {
  const stream = passed(await send('', { method: 'GET', as: claimsOf('grt_7') }))
  const listed = passed(await send(request('tools/list'), { as: claimsOf('grt_7') }))
  const refusals: Answer[] = []
  for (const decision of [stream, listed]) decision.onEnd(refusal => void refusals.push(refusal))
  await until(() => issuer.listeners() > 0)
  issuer.narrow('grt_7')
  await until(() => refusals.length === 2)
  for (const { status, headers } of refusals) {
    assert.equal(status, 401)
    assert.match(headers['www-authenticate'] ?? '', /^DPoP error="invalid_token"/)
  }
  const [plain, answer] = refusals.map(({ body }) => JSON.parse(body))
  assert.equal(plain.error, 'invalid_token')
  assert.deepEqual([answer.id, answer.error.data], [5, { error: 'invalid_token' }])
})

test('answers 503 in place of what it can no longer vouch for', async () => {
  const closing = await open()
  const decision = passed(await send('', { method: 'GET', by: closing }))
  const refusals: Answer[] = []
  decision.onEnd(refusal => void refusals.push(refusal))
  closing.verifier.close()
  assert.deepEqual(
    refusals.map(({ status, headers }) => [status, headers['retry-after']]),
    [[503, '1']],
  )
})

/** Opens a session as the server behind would: its id in the answer to `initialize`. */
async function opens(id: string, sent: Sent = {}): Promise<void> {
  passed(await send(request('initialize'), sent)).answered({ status: 200, headers: ['Mcp-Session-Id', id] })
}
const inSession = (id: string, sent: Sent = {}): Promise<McpDecision> =>
  send(request('tools/list'), { ...sent, lines: ['Mcp-Session-Id', id] })

test('answers 404 to whoever shows the session of another agent, instance or person, or an invented one', async () => {
  const heard: unknown[] = []
  const by = await open({ onRefusal: ({ why }) => heard.push(why?.kind) })
  await opens('one', { by })
  passed(await inSession('one', { by }))
  const thieves = [
    { client_id: 'agt_2', sub: 'agt_2' },
    { agent_instance_id: 'ins_2' },
    { agent_instance_id: undefined },
    { sub: 'usr_1' },
  ]
  for (const as of thieves) {
    for (const method of ['POST', 'GET', 'DELETE']) {
      const { status, body } = answered(await inSession('one', { by, as, method }))
      assert.deepEqual([status, body.error], [404, 'not_found'], JSON.stringify([as, method]))
    }
  }
  for (const id of ['two', 'One', '', 'one, one', '__proto__']) {
    assert.equal(answered(await inSession(id, { by })).status, 404, id)
  }
  assert.equal(heard.filter(kind => kind === 'mcp_session').length, thieves.length * 3 + 5)
  passed(await inSession('one', { by }))
  by.verifier.close()
})

test('keeps a session with its owner when its id is handed out again, and learns none that comes twice', async () => {
  const by = await open()
  const second = { by, as: { agent_instance_id: 'ins_2' } }
  await opens('one', { by })
  await opens('one', second)
  assert.equal(answered(await inSession('one', second)).status, 404)
  passed(await inSession('one', { by }))
  const twice = ['Mcp-Session-Id', 'a', 'mcp-session-id', 'b']
  passed(await send(request('initialize'), { by })).answered({ status: 200, headers: twice })
  for (const id of ['a', 'b', 'a, b']) assert.equal(answered(await inSession(id, { by })).status, 404)
  const web = new Response(null, { headers: { 'mcp-session-id': 'web' } })
  passed(await send(request('initialize'), { by })).answered(web)
  passed(await inSession('web', { by }))
  by.verifier.close()
})

test('forgets a session that its client ended, or that the server no longer knows', async () => {
  const by = await open()
  for (const id of ['ended', 'kept', 'lost']) await opens(id, { by })
  passed(await inSession('ended', { by, method: 'DELETE' })).answered({ status: 204, headers: [] })
  passed(await inSession('kept', { by, method: 'DELETE' })).answered({ status: 405, headers: [] })
  passed(await inSession('lost', { by })).answered({ status: 404, headers: [] })
  assert.equal(answered(await inSession('ended', { by })).status, 404)
  assert.equal(answered(await inSession('lost', { by })).status, 404)
  passed(await inSession('kept', { by }))
  by.verifier.close()
})

test('remembers so many sessions and no more; who opens them without end loses its own', async () => {
  const by = await open({ maxSessions: 3 })
  await opens('mine', { by })
  const flood = { by, as: { client_id: 'agt_2', sub: 'agt_2' } }
  for (let at = 0; at < 20; at++) await opens(`flood-${at}`, flood)
  passed(await inSession('mine', { by }))
  assert.equal(answered(await inSession('flood-17', flood)).status, 404)
  passed(await inSession('flood-18', flood))
  passed(await inSession('flood-19', flood))
  by.verifier.close()
  await assert.rejects(open({ maxSessions: 0 }), RangeError)
})

test('advertises no more scopes than it was told every client needs, since clients ask for all of them', async () => {
  const at = new Request('https://tools.example/.well-known/oauth-protected-resource/mcp')
  const { status, body } = answered(await decideRequest(guard, at))
  assert.equal(status, 200)
  assert.equal('scopes_supported' in body, false)
  const basic = await open({ scopes: ['echo:call'] })
  assert.deepEqual(answered(await decideRequest(basic, at)).body.scopes_supported, ['echo:call'])
  basic.verifier.close()
})

test('starts with scopes only that are some', async () => {
  await assert.rejects(open({ tools: { echo: 'two scopes' } }), RangeError)
  await assert.rejects(open({ other: { 'prompts/get': '' } }), RangeError)
})

test('decides on Web requests alike', async () => {
  const token = issuer.issue({ aud: resource, scope: 'echo:call', cnf: { jkt: holder.jkt } })
  const headers = {
    'content-type': 'application/json',
    ...holder.headers(token, { uri: resource, method: 'POST' }),
  }
  const web = new Request(resource, { method: 'POST', headers, body: JSON.stringify(call('echo')) })
  const decision = passed(await decideRequest(guard, web))
  assert.deepEqual(decision.headers, { 'content-type': 'application/json' })
  const bare = await open({ resource: 'https://tools.example' })
  const plain = issuer.issue({ aud: 'https://tools.example', cnf: { jkt: holder.jkt } })
  const root = holder.headers(plain, { uri: 'https://tools.example/', method: 'GET' })
  passed(await decideRequest(bare, new Request('https://tools.example', { headers: root })))
  bare.verifier.close()
})
