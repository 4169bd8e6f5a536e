// The programs in the guide for agent authors run as they stand, against a real authority and a real API on sockets.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { createMcpHandler, fromJsonSchema, McpServer } from '@modelcontextprotocol/server'
import { Agent } from '@writ/sdk/agent'
import { require as demand, protect, toResponse } from '@writ/sdk/resource/fetch'
import { decideRequest, mcpGuard } from '@writ/sdk/resource/mcp'
import { createServer } from '@writ/server'
import { freshDirectory } from './agents.ts'
import { listen } from './listening.ts'

const root = join(import.meta.dirname, '../..')
const guide = readFileSync(join(root, 'docs/guide/agents.md'), 'utf8')
const programs = [...guide.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, program = '']) => program)
let environment: Record<string, string>
const started = new AsyncDisposableStack()
after(() => started.disposeAsync())

async function startAuthority(): Promise<string> {
  const data = mkdtempSync(join(tmpdir(), 'writ-guide-'))
  started.defer(() => rmSync(data, { recursive: true }))
  let answer: (request: Request) => Promise<Response>
  const { origin } = started.use(await listen(request => answer(request)))
  const server = await createServer({ data, issuer: origin, rateLimits: 'off' })
  started.defer(() => server.close())
  answer = server.fetch
  return data
}

async function startInvoices(issuer: string): Promise<string> {
  let answer: (request: Request) => Promise<Response>
  const { origin } = started.use(await listen(request => answer(request)))
  const guard = protect({ issuer, resource: origin })
  started.defer(() => guard.verifier.close())
  answer = guard(demand('invoices:read')(() => Response.json(['an invoice'])))
  await guard.verifier.ready()
  return origin
}

/** A server of the official library behind the guard, joined as a proxy in front of it would. */
async function startTools(issuer: string): Promise<string> {
  const backend = createMcpHandler(() => {
    const tools = new McpServer({ name: 'tools', version: '1' })
    const properties = { message: { type: 'string' } } as const
    const inputSchema = fromJsonSchema<{ message: string }>({ type: 'object', properties })
    tools.registerTool('echo', { inputSchema }, ({ message }) => ({
      content: [{ type: 'text', text: message }],
    }))
    return tools
  })
  let answer: (request: Request) => Promise<Response>
  const { origin } = started.use(await listen(request => answer(request)))
  const resource = `${origin}/mcp`
  const guard = mcpGuard({ issuer, resource, tools: { echo: 'tools:echo' } })
  started.defer(() => guard.verifier.close())
  answer = async request => {
    const decision = await decideRequest(guard, request)
    if (decision.kind === 'answer') return toResponse(decision.answer)
    const { headers, body } = decision
    const init = {
      method: request.method,
      headers,
      ...(body === undefined ? {} : { body: Buffer.from(body) }),
    }
    return backend.fetch(new Request(request.url, init))
  }
  await guard.verifier.ready()
  return resource
}

before(async () => {
  const data = await startAuthority()
  const operator = Agent.fromCredentials(JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8')))
  const [api, tools] = [await startInvoices(operator.issuer), await startTools(operator.issuer)]
  const management = `${operator.issuer}/api/v1`
  const asOperator = operator.fetchFor({ resource: management, scope: 'writ:*' })
  const post = async (path: string, members: object): Promise<Record<string, string>> => {
    const [headers, body] = [{ 'content-type': 'application/json' }, JSON.stringify(members)]
    const answer = await asOperator(management + path, { method: 'POST', headers, body })
    assert.equal(answer.status, 201, path)
    return (await answer.json()) as Record<string, string>
  }
  const scopesOf = (...names: string[]) => names.map(name => ({ name, description: name }))
  await post('/resources', {
    identifier: api,
    name: 'API',
    scopes: scopesOf('invoices:read', 'invoices:erase'),
  })
  await post('/resources', { identifier: tools, name: 'Tools', scopes: scopesOf('tools:echo') })
  const { id = '' } = await post('/agents', { name: 'reader', owner: operator.clientId, purpose: 'Reads' })
  await post('/grants', { agent: id, resource: api, scopes: ['invoices:read'], reason: 'guide' })
  await post('/grants', { agent: id, resource: tools, scopes: ['tools:echo'], reason: 'guide' })
  const { enroll_uri, token } = await post(`/agents/${id}/enrollments`, {})
  const enrollment = { WRIT_ENROLLMENT: `${enroll_uri}#${token}`, WRIT_AGENT_DIRECTORY: freshDirectory() }
  environment = { API: api, MCP: tools, ...enrollment }
})

/** Runs a program as a user would, and ends with it: nothing of the agent keeps a process alive. */
async function run(program: string): Promise<string> {
  const conditions = process.execArgv.filter(flag => flag.startsWith('--conditions'))
  const flags = [...conditions, '--input-type=module-typescript', '-e', program]
  const child = spawn(process.execPath, flags, {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  assert.equal(stderr, '')
  return stdout.trim()
}

test('the guide shows as many programs as are tested here', () => assert.equal(programs.length, 4))

test('three lines call an API, on the first start and on the next', async () => {
  assert.equal(await run(programs[0] ?? ''), "200 [ 'an invoice' ]")
  assert.equal(await run(programs[0] ?? ''), "200 [ 'an invoice' ]")
})

test('a refusal says what is not granted', async () => {
  assert.match(await run(programs[1] ?? ''), /^invalid_scope: .*invoices:erase is not granted/)
})

test('the official MCP client lists and calls tools with the fetch of the agent', async () => {
  assert.match(await run(programs[2] ?? ''), /text: 'hello'/)
})

test('a run is a session, and what it calls belongs to it', async () => {
  assert.equal(await run(programs[3] ?? ''), '200 monthly report')
})
