// MCP messages: read in one way or not at all, and never with two faces.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { contradiction, type McpMessage, readMcpMessage } from './mcp-message.ts'

const read = (text: string) => readMcpMessage(Buffer.from(text))
const headers = (given: Record<string, readonly string[]>) => (name: string) => given[name] ?? []
const call = (params: Record<string, unknown>): McpMessage => ({
  kind: 'request',
  id: 1,
  method: 'tools/call',
  params,
})

test('reads a request, a notification and a response', () => {
  assert.deepEqual(read('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo"}}'), {
    kind: 'request',
    id: 7,
    method: 'tools/call',
    params: { name: 'echo' },
  })
  assert.deepEqual(read('{"jsonrpc":"2.0","method":"notifications/initialized"}'), {
    kind: 'notification',
    method: 'notifications/initialized',
    params: undefined,
  })
  assert.deepEqual(read('{"jsonrpc":"2.0","id":"a","result":{}}'), { kind: 'response', id: 'a' })
  assert.deepEqual(read('{"jsonrpc":"2.0","id":"a","error":{"code":1,"message":""}}'), {
    kind: 'response',
    id: 'a',
  })
})

test('refuses what two parsers could read in two ways, and what is not one whole message', () => {
  const refused = [
    '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"x"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","na\\u006de":"b"}}',
    '\ufeff{"jsonrpc":"2.0","id":1,"method":"ping"}',
    '{"jsonrpc":"2.0","id":1,"method":"ping"}{"jsonrpc":"2.0","id":2,"method":"tools/call"}',
    '[{"jsonrpc":"2.0","id":1,"method":"ping"}]',
    '[]',
    'null',
    '"ping"',
    '',
    '{"id":1,"method":"ping"}',
    '{"jsonrpc":"1.0","id":1,"method":"ping"}',
    '{"jsonrpc":"2.0","id":null,"method":"ping"}',
    '{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
    '{"jsonrpc":"2.0","id":1,"method":["tools/call"]}',
    '{"jsonrpc":"2.0","id":1,"method":"ping","params":["x"]}',
    '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
    '{"jsonrpc":"2.0","id":1,"result":{},"error":{}}',
    '{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}',
    '{"jsonrpc":"2.0","id":1}',
  ]
  for (const text of refused) assert.equal(read(text).kind, 'problem', text)
  assert.equal(readMcpMessage(Buffer.from([0x22, 0xff, 0x22])).kind, 'problem')
  assert.equal(read(`${'['.repeat(10_000)}`).kind, 'problem')
})

test('ends with a message or a problem for any bytes', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), bytes => void readMcpMessage(bytes).kind))
  fc.assert(fc.property(fc.json(), text => void read(text).kind))
})

test('refuses headers that contradict the body, and headers that come twice', () => {
  const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' }
  const refused: [Record<string, readonly string[]>, McpMessage][] = [
    [{ 'mcp-method': ['tools/list'] }, call({ name: 'echo' })],
    [{ 'mcp-method': ['tools/call', 'tools/call'] }, call({ name: 'echo' })],
    [{ 'mcp-name': ['safe'] }, call({ name: 'danger' })],
    [{ 'mcp-name': ['safe'] }, call({})],
    [{ 'mcp-name': ['echo'] }, { kind: 'request', id: 1, method: 'tools/list', params: { name: 'echo' } }],
    [{ 'mcp-name': ['=?base64?ZWNobx==?='] }, call({ name: 'echo' })],
    [{ 'mcp-method': ['tools/call'] }, { kind: 'response', id: 1 }],
    [{ 'mcp-protocol-version': ['2025-06-18'] }, call({ name: 'echo', _meta: meta })],
  ]
  for (const [given, message] of refused) assert.equal(contradiction(message, headers(given))?.code, -32020)
  const accepted: [Record<string, readonly string[]>, McpMessage][] = [
    [{}, call({ name: 'echo' })],
    [{ 'mcp-method': ['tools/call'], 'mcp-name': ['echo'] }, call({ name: 'echo' })],
    [{ 'mcp-name': ['=?base64?w6ljaG8=?='] }, call({ name: 'écho' })],
    [{ 'mcp-protocol-version': ['2026-07-28'] }, call({ name: 'echo', _meta: meta })],
    [{ 'mcp-protocol-version': ['2025-06-18'] }, call({ name: 'echo' })],
    [
      { 'mcp-name': ['test://x'] },
      { kind: 'request', id: 1, method: 'resources/read', params: { uri: 'test://x' } },
    ],
  ]
  for (const [given, message] of accepted) assert.equal(contradiction(message, headers(given)), undefined)
})
