// The proxy of the examples as its own process, between real agents and an MCP server that writes down what reaches it.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createAdminClient } from '@writ/sdk/admin'
import { Agent } from '@writ/sdk/agent'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'writ-proxy-'))
const children: ChildProcess[] = []

/** Started like anybody would start it; resolves with the address that it says to be ready at. */
async function start(
  command: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<string> {
  const child = spawn(command, args, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  let said = ''
  for await (const chunk of child.stdout) {
    said += chunk
    const address = /ready (\S+)\n/.exec(said)?.[1]
    if (address !== undefined) {
      child.stdout.resume()
      return address
    }
  }
  throw new Error(`${args[0]} ended before it was ready: ${said}`)
}

interface Reached {
  readonly method: string | undefined
  readonly headers: readonly string[]
  readonly body: string
}

/** What reached the server behind the proxy, and how it answers next. */
const reached: Reached[] = []
let behave: (res: ServerResponse) => void = res => res.writeHead(202).end()
let upstream: Server
let mcp: string
let first: Agent
let second: Agent
let revokeSecond: () => Promise<unknown>

before(async () => {
  upstream = createServer(async (req: IncomingMessage, res) => {
    let body = ''
    for await (const chunk of req) body += chunk
    reached.push({ method: req.method, headers: req.rawHeaders, body })
    behave(res)
  })
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const data = join(folder, 'data')
  const issuer = await start('node_modules/.bin/writ', [
    'serve',
    '--port',
    '0',
    '--data',
    data,
    '--log-level',
    'error',
  ])
  mcp = await start(process.execPath, [...process.execArgv, 'examples/mcp-proxy/main.ts'], {
    WRIT_ISSUER: issuer,
    MCP_UPSTREAM: `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp`,
    PORT: '0',
  })
  const operator = JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8'))
  const admin = createAdminClient(Agent.fromCredentials(operator))
  await admin.call('resources.create', {
    body: { identifier: mcp, name: 'MCP', scopes: [{ name: 'echo:call', description: 'Call echo' }] },
  })
  const { id } = await admin.call('agents.create', {
    body: { name: 'reporter', owner: operator.client_id, purpose: 'Weekly report' },
  })
  await admin.call('grants.create', {
    body: { agent: id, resource: mcp, scopes: ['echo:call'], reason: 'test' },
  })
  const instance = async (directory: string): Promise<Agent> => {
    const { token, enroll_uri: place } = await admin.call('enrollments.create', { params: { id } })
    return Agent.load({ directory: join(folder, directory), enrollment: `${place}#${token}` })
  }
  first = await instance('first')
  second = await instance('second')
  revokeSecond = () =>
    admin.call('keys.revoke', { params: { id, kid: second.key().thumbprint }, body: { reason: 'test' } })
})

after(async () => {
  first?.close()
  second?.close()
  upstream.closeAllConnections()
  upstream.close()
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGTERM')
    await once(child, 'exit')
  }
  rmSync(folder, { recursive: true, force: true })
})

const post = (agent: Agent, message: object, headers: Record<string, string> = {}): Promise<Response> =>
  agent.fetch(mcp, {
    method: 'POST',
    resource: mcp,
    scope: 'echo:call',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: '2.0', ...message }),
  })

const call = (name: string): object => ({ id: 1, method: 'tools/call', params: { name, arguments: {} } })

test('hands on the very message and no credential of any name', async () => {
  reached.length = 0
  behave = res => res.writeHead(200, { 'content-type': 'application/json', 'set-cookie': 'a=b' }).end('{}')
  const answer = await post(first, call('echo'), {
    cookie: 'session=1',
    'x-api-key': 'k',
    'mcp-protocol-version': '2025-06-18',
  })
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('set-cookie'), null)
  const [one, ...others] = reached
  assert.deepEqual(others, [])
  assert.deepEqual(JSON.parse(one?.body ?? ''), { jsonrpc: '2.0', ...call('echo') })
  const names = one?.headers.filter((_, at) => at % 2 === 0).map(name => name.toLowerCase()) ?? []
  for (const secret of ['authorization', 'dpop', 'cookie', 'x-api-key'])
    assert.ok(!names.includes(secret), secret)
  assert.ok(names.includes('mcp-protocol-version'))
})

test('keeps from the server what it refuses: a tool outside the table, and a caller without a token', async () => {
  reached.length = 0
  const unlisted = await post(first, call('get-env'))
  assert.equal(unlisted.status, 403)
  const anonymous = await fetch(mcp, { method: 'POST', body: JSON.stringify(call('echo')) })
  assert.equal(anonymous.status, 401)
  assert.match(anonymous.headers.get('www-authenticate') ?? '', /^DPoP resource_metadata="http/)
  assert.deepEqual(reached, [])
})

test('shows nobody the session of another instance', async () => {
  behave = res =>
    res.writeHead(200, { 'content-type': 'application/json', 'mcp-session-id': 's-1' }).end('{}')
  await (await post(first, call('echo'))).text()
  reached.length = 0
  const own = await post(first, call('echo'), { 'mcp-session-id': 's-1' })
  assert.equal(own.status, 200)
  const stolen = await post(second, call('echo'), { 'mcp-session-id': 's-1' })
  const invented = await post(second, call('echo'), { 'mcp-session-id': 's-2' })
  assert.deepEqual([stolen.status, invented.status], [404, 404])
  assert.equal(reached.length, 1)
})

test('passes each event on when it happens, and ends the request behind when the client leaves', async () => {
  const behind = Promise.withResolvers<ServerResponse>()
  behave = res => {
    res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
    behind.resolve(res)
  }
  const answer = await post(first, call('echo'))
  const reader = answer.body?.getReader()
  assert.ok(reader)
  const decoder = new TextDecoder()
  assert.equal(decoder.decode((await reader.read()).value), 'data: 1\n\n')
  const res = await behind.promise
  res.write('data: 2\n\n')
  assert.equal(decoder.decode((await reader.read()).value), 'data: 2\n\n')
  const left = once(res, 'close')
  await reader.cancel()
  await left
})

test('tells a client whose token ends before there is an answer that it ended', async () => {
  const behind = Promise.withResolvers<ServerResponse>()
  behave = behind.resolve
  // A stream cannot be sent twice, so that the refusal arrives here and not at another try.
  const body = new Blob([JSON.stringify({ jsonrpc: '2.0', ...call('echo') })]).stream()
  const answer = second.fetch(mcp, {
    method: 'POST',
    resource: mcp,
    scope: 'echo:call',
    headers: { 'content-type': 'application/json' },
    body,
    duplex: 'half',
  } as RequestInit)
  const left = once(await behind.promise, 'close')
  await revokeSecond()
  const { status, headers } = await answer
  assert.equal(status, 401)
  assert.match(headers.get('www-authenticate') ?? '', /^DPoP error="invalid_token"/)
  await left
})

test('answers 502 where there is no server behind it', async () => {
  behave = res => res.destroy()
  const answer = await post(first, call('echo'))
  assert.equal(answer.status, 502)
})
