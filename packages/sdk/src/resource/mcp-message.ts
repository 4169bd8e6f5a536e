// One JSON-RPC message of an MCP request, read strictly: MCP 2026-07-28 (Streamable HTTP), JSON-RPC 2.0 §4 and §5.
import { type JsonObject, readJson } from '../protocol/json.ts'

export type McpMessage =
  | {
      readonly kind: 'request'
      readonly id: string | number
      readonly method: string
      readonly params: JsonObject | undefined
    }
  | { readonly kind: 'notification'; readonly method: string; readonly params: JsonObject | undefined }
  /** The client's answer to something the server asked. */
  | { readonly kind: 'response'; readonly id: string | number }

/** Why a body is no such message: the JSON-RPC error code and a sentence. */
export interface McpProblem {
  readonly kind: 'problem'
  readonly code: -32700 | -32600 | -32602 | -32020
  readonly say: string
}

const problem = (code: McpProblem['code'], say: string): McpProblem => ({ kind: 'problem', code, say })
const members = new Set(['jsonrpc', 'id', 'method', 'params', 'result', 'error'])

/**
 * The message in these bytes. What two parsers could read in two ways is refused, so that the server behind decides on
 * what was decided here (threat C19).
 */
export function readMcpMessage(body: Uint8Array): McpMessage | McpProblem {
  const read = readJson(body, { maxBytes: body.length, maxDepth: 64, maxMembers: 20_000 })
  if ('problem' in read) return problem(-32700, 'The body is not JSON that every parser reads alike.')
  const { value } = read
  // A batch would need a decision for each of its parts and one answer for all; this revision has none.
  if (Array.isArray(value)) return problem(-32600, 'Batches are refused; send one message at a time.')
  if (!isObject(value) || value['jsonrpc'] !== '2.0')
    return problem(-32600, 'The body is not a JSON-RPC 2.0 message.')
  if (!Object.keys(value).every(name => members.has(name))) {
    return problem(-32600, 'The message has a member that JSON-RPC 2.0 does not know.')
  }
  return 'method' in value ? readCall(value) : readResponse(value)
}

function readCall(value: JsonObject): McpMessage | McpProblem {
  const { id, method, params } = value
  if (typeof method !== 'string' || 'result' in value || 'error' in value) {
    return problem(-32600, 'The message is neither a request nor a notification nor a response.')
  }
  if (params !== undefined && !isObject(params)) return problem(-32602, 'params must be an object.')
  // Arguments that are no object would be decided on as none, and used as what they are.
  const given = params?.['arguments']
  if (method === 'tools/call' && given !== undefined && !isObject(given))
    return problem(-32602, 'arguments must be an object.')
  if (!('id' in value)) return { kind: 'notification', method, params }
  if (!isId(id)) return problem(-32600, 'id must be a string or a whole number.')
  return { kind: 'request', id, method, params }
}

function readResponse(value: JsonObject): McpMessage | McpProblem {
  const { id } = value
  if (!isId(id) || 'params' in value || 'result' in value === 'error' in value) {
    return problem(-32600, 'The message is neither a request nor a notification nor a response.')
  }
  return { kind: 'response', id }
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isId = (id: unknown): id is string | number => typeof id === 'string' || Number.isSafeInteger(id)

/** The member of `params` that `Mcp-Name` repeats, by method: MCP 2026-07-28, Standard Request Headers. */
const namedBy = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
])

const versionMember = 'io.modelcontextprotocol/protocolVersion'

/**
 * Why the headers contradict the body, or undefined. The body alone decides; but a router, a log or a limit on the way
 * may have believed the headers, so a request that shows two faces is refused. `lines` gives the lines of one header.
 */
export function contradiction(
  message: McpMessage,
  lines: (name: string) => readonly string[],
): McpProblem | undefined {
  const says = (
    header: string,
    body: unknown,
    decode = (value: string): string | undefined => value,
  ): boolean => {
    const [value, ...more] = lines(header)
    return value === undefined || (more.length === 0 && decode(value) === body)
  }
  const method = message.kind === 'response' ? undefined : message.method
  if (!says('mcp-method', method)) return mismatch('Mcp-Method')
  const params = message.kind === 'response' ? undefined : message.params
  const source = method === undefined ? undefined : namedBy.get(method)
  const name = source === undefined ? undefined : params?.[source]
  if (!says('mcp-name', name, decodeHeader)) return mismatch('Mcp-Name')
  // A message that names no revision leaves it to the header.
  const meta = params?.['_meta']
  const version = isObject(meta) ? meta[versionMember] : undefined
  if (version !== undefined && !says('mcp-protocol-version', version)) return mismatch('MCP-Protocol-Version')
  return undefined
}

const mismatch = (header: string): McpProblem => problem(-32020, `The header ${header} contradicts the body.`)

/** A value that is not plain ASCII comes as `=?base64?…?=`; undefined where that is not canonical or not UTF-8. */
function decodeHeader(value: string): string | undefined {
  const [, encoded] = /^=\?base64\?(.*)\?=$/s.exec(value) ?? []
  if (encoded === undefined) return value
  const bytes = Buffer.from(encoded, 'base64')
  const text = bytes.toString('utf8')
  return bytes.toString('base64') === encoded && Buffer.from(text, 'utf8').equals(bytes) ? text : undefined
}
