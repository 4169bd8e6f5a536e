// The MCP guard with a decision point behind it: which messages are put to it, with what, and what becomes of its no.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Agent } from '../agent/agent.ts'
import { type McpDecision, type McpGuard, mcpGuard } from './mcp.ts'
import { createHolder, type IssuerFixture, startIssuer } from './testing/issuer.ts'

const resource = 'https://tools.example/mcp'
const holder = createHolder()
const asked: Record<string, Record<string, unknown>>[] = []
let answer = true
let issuer: IssuerFixture
let guard: McpGuard

before(async () => {
  issuer = await startIssuer()
  // The port that an agent is: what it sends is kept, what it gets is made up.
  const agent = {
    issuer: issuer.url,
    async fetch(_: string, init: RequestInit) {
      asked.push(JSON.parse(String(init.body)))
      return Response.json({ decision: answer })
    },
  } as unknown as Agent
  guard = mcpGuard({ issuer: issuer.url, resource, tools: { echo: 'echo:call' }, decisions: { agent } })
  await guard.verifier.ready()
})
after(async () => {
  guard.verifier.close()
  await issuer.close()
})

function send(method: string, params: unknown, scope = 'echo:call'): Promise<McpDecision> {
  const writ = { epoch: 1, key: 'client-key', grants: ['grt_1'], decide: true }
  const token = issuer.issue({ aud: resource, scope, writ, cnf: { jkt: holder.jkt } })
  const { authorization = '', dpop = '' } = holder.headers(token, { uri: resource, method: 'POST' })
  const headers = ['Content-Type', 'application/json', 'Authorization', authorization, 'DPoP', dpop]
  const { body } = new Response(JSON.stringify({ jsonrpc: '2.0', id: 5, method, params }))
  return guard.decide({ method: 'POST', url: '/mcp', headers, body, peer: '192.0.2.7' })
}

const call = { name: 'echo', arguments: { text: 'hi' } }

test('a call of a tool is put to it with the arguments that travel on and the address it came from', async () => {
  assert.equal((await send('tools/call', call)).kind, 'forward')
  const { action, resource: tool, context = {} } = asked.at(-1) ?? {}
  assert.deepEqual([action, tool], [{ name: 'call' }, { type: 'tool', id: `${resource}#echo` }])
  assert.deepEqual([context['arguments'], context['peer']], [{ text: 'hi' }, '192.0.2.7'])
})

test('it is asked about calls alone, and only about those that the token could make', async () => {
  const before = asked.length
  assert.equal((await send('tools/list', {})).kind, 'forward')
  assert.equal((await send('tools/call', call, 'other:call')).kind, 'answer')
  assert.equal((await send('tools/call', { ...call, name: 'unlisted' })).kind, 'answer')
  assert.equal(asked.length, before)
})

test('its no is the answer to the message', async () => {
  answer = false
  const refused = await send('tools/call', call)
  assert.ok(refused.kind === 'answer')
  const { id, error } = JSON.parse(refused.answer.body)
  assert.deepEqual(
    [refused.answer.status, id, error.code, error.data.error],
    [403, 5, -32010, 'access_denied'],
  )
})
