// The programs in the guide for agent authors run as they stand, against a real authority and a real API on sockets.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createMcpHandler, fromJsonSchema, McpServer } from '@modelcontextprotocol/server'
import { require as demand, protect, toResponse } from '@writ/sdk/resource/fetch'
import { decideRequest, mcpGuard } from '@writ/sdk/resource/mcp'
import { guideAuthority, programsOf, runProgram } from '../harness/guide.ts'
import { freshDirectory } from './agents.ts'
import { listen } from './listening.ts'

const programs = programsOf('agents.md')
let environment: Record<string, string>
const started = new AsyncDisposableStack()
after(() => started.disposeAsync())

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
  const { issuer, operator, manage } = await guideAuthority(started)
  const [api, tools] = [await startInvoices(issuer), await startTools(issuer)]
  const post = (path: string, members: object) => manage('POST', path, members)
  const scopesOf = (...names: string[]) => names.map(name => ({ name, description: name }))
  await post('/resources', {
    identifier: api,
    name: 'API',
    scopes: scopesOf('invoices:read', 'invoices:erase'),
  })
  await post('/resources', { identifier: tools, name: 'Tools', scopes: scopesOf('tools:echo') })
  const { id } = await post('/agents', { name: 'reader', owner: operator.clientId, purpose: 'Reads' })
  await post('/grants', { agent: id, resource: api, scopes: ['invoices:read'], reason: 'guide' })
  await post('/grants', { agent: id, resource: tools, scopes: ['tools:echo'], reason: 'guide' })
  const { enroll_uri, token } = await post(`/agents/${id}/enrollments`, {})
  const enrollment = { WRIT_ENROLLMENT: `${enroll_uri}#${token}`, WRIT_AGENT_DIRECTORY: freshDirectory() }
  environment = { API: api, MCP: tools, ...enrollment }
})

test('the guide shows as many programs as are tested here', () => assert.equal(programs.length, 4))

test('three lines call an API, on the first start and on the next', async () => {
  assert.equal(await runProgram(programs[0] ?? '', environment), "200 [ 'an invoice' ]")
  assert.equal(await runProgram(programs[0] ?? '', environment), "200 [ 'an invoice' ]")
})

test('a refusal says what is not granted', async () => {
  assert.match(
    await runProgram(programs[1] ?? '', environment),
    /^invalid_scope: .*invoices:erase is not granted/,
  )
})

test('the official MCP client lists and calls tools with the fetch of the agent', async () => {
  assert.match(await runProgram(programs[2] ?? '', environment), /text: 'hello'/)
})

test('a run is a session, and what it calls belongs to it', async () => {
  assert.equal(await runProgram(programs[3] ?? '', environment), '200 monthly report')
})
