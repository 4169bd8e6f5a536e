// Protects an MCP server over streamable HTTP, message by message, on the parsed body: MCP 2026-07-28, authorization.
import { type Code, codes, Fault } from '../protocol/fault.ts'
import type { JsonObject } from '../protocol/json.ts'
import { isScopeToken } from '../protocol/scope.ts'
import type { Caller } from './caller.ts'
import type { Answer } from './challenge.ts'
import { type HeaderSource, headerLines, pathOf } from './evidence.ts'
import { createGuard, type Guard, type ProtectOptions } from './guard.ts'
import { haltedTool } from './issuer/ends.ts'
import { contradiction, type McpMessage, type McpProblem, readMcpMessage } from './mcp-message.ts'
import { type Answered, createSessions, type McpSessions } from './mcp-sessions.ts'
import type { Verifier } from './verifier.ts'

export interface McpOptions extends ProtectOptions {
  /**
   * The scope that a call of each tool needs, or null where the decision point alone says who may call it with which
   * arguments; that needs the option `decisions`. A tool that is not listed cannot be called.
   */
  readonly tools: Readonly<Record<string, string | null>>
  /** Further methods and the scope that each needs, or null where any valid token will do. */
  readonly other?: Readonly<Record<string, string | null>>
  /**
   * What is advertised: the least that every client needs, none by default. MCP clients ask for all of it at once
   * (MCP 2026-07-28, scope selection), so that one scope too many shuts out whoever does not have it; what a call
   * needs beyond it they learn from the refusal.
   */
  readonly scopes?: readonly string[]
  /** Default 1 MiB. */
  readonly maxBodyBytes?: number
  /** How many open sessions are remembered, each with its owner. Default 10,000; about 3 MB when full. */
  readonly maxSessions?: number
}

export interface McpRequest {
  readonly method: string
  readonly url: string
  /** A `Headers` object, or node's `rawHeaders`; see `HeaderSource`. */
  readonly headers: HeaderSource
  /** Read only after the caller has been admitted, and only as far as it may reach. */
  readonly body: AsyncIterable<Uint8Array> | null
  /** The address of the client as this process's own socket saw it, for policies; never one from a header. */
  readonly peer?: string | undefined
}

export type McpDecision =
  /** To be sent to the client; the server behind learns nothing of the request. */
  | { readonly kind: 'answer'; readonly answer: Answer }
  | {
      readonly kind: 'forward'
      readonly caller: Caller
      /** Undefined for GET and DELETE, which carry no message. */
      readonly message: McpMessage | undefined
      /** All headers that may travel on: neither credentials nor anything that is not of MCP. */
      readonly headers: Readonly<Record<string, string>>
      /** The very bytes that were decided on. */
      readonly body: Uint8Array | undefined
      /** Headers that belong into the answer to the client. */
      readonly answerHeaders: Readonly<Record<string, string>>
      /**
       * To be told of each answer of the server behind, before any of it goes to the client: a session belongs to whom
       * it was handed out to, and a request with the session of somebody else, or one that was not seen here, is
       * answered with 404.
       */
      answered(answer: Answered): void
      /**
       * Calls back when the token ends, so that an open stream ends with it; with the answer for a client that has
       * received none yet. Returns how to stop that.
       */
      onEnd(callback: (refusal: Answer) => void): () => void
    }

export interface McpGuard {
  readonly verifier: Verifier
  decide(request: McpRequest): Promise<McpDecision>
}

/**
 * The methods that any valid token may use beside `tools`: they open, describe, follow or end a conversation. What
 * is neither here nor in the options is refused, so that a method of a later revision is closed until somebody opens it.
 */
export const plainMethods: Readonly<Record<string, null>> = {
  initialize: null,
  ping: null,
  'server/discover': null,
  'tools/list': null,
  'notifications/initialized': null,
  'notifications/cancelled': null,
  'notifications/progress': null,
  'notifications/roots/list_changed': null,
}

/** What a server behind the guard may hear: an allow-list, so that no credential of any name is passed through. */
const forwarded = ['accept', 'content-type', 'last-event-id', 'user-agent', 'traceparent', 'tracestate']
const isForwarded = (name: string): boolean => name.startsWith('mcp-') || forwarded.includes(name)

/** JSON-RPC leaves -32000 to -32099 to implementations, MCP takes -32020 and on: ours says who refused. */
const refusedCode = -32010

/** What a message needs: a scope, nothing but a valid token, or it is not for this guard to let through. */
type Need = { readonly scope: string | null } | 'unlisted'

/** Starts a guard. Throws a RangeError for options that cannot be made safe. */
export function mcpGuard(options: McpOptions): McpGuard {
  const { tools, other = {}, maxBodyBytes = 1_048_576, maxSessions = 10_000, ...rest } = options
  if (!Number.isSafeInteger(maxSessions) || maxSessions < 1)
    throw new RangeError('maxSessions must be at least 1')
  // A method in `other` would decide on calls of tools without looking at which tool.
  if (Object.hasOwn(other, 'tools/call')) throw new RangeError('tools/call is decided by tools, not by other')
  const toolScopes = new Map(Object.entries(tools))
  // Nobody would hold anybody to anything.
  const isDecided = [...toolScopes.values()].includes(null)
  if (isDecided && rest.decisions === undefined)
    throw new RangeError('a tool without a scope needs the option decisions')
  const methods = new Map<string, string | null>(Object.entries({ ...plainMethods, ...other }))
  for (const scope of [...toolScopes.values(), ...methods.values()]) {
    if (scope !== null && !isScopeToken(scope)) throw new RangeError(`${JSON.stringify(scope)} is no scope`)
  }
  // RFC 9728 §2, RFC 9396 §10: there is no scope to ask for, so that clients are told what else they can ask with.
  const guard = createGuard({ ...(isDecided ? { authorizationDetailsTypes: ['mcp_tool'] } : {}), ...rest })
  const sessions = createSessions(maxSessions)
  const path = pathOf(guard.verifier.resource.replace(/^(https?:\/\/[^/]*)$/, '$1/'))

  const needOf = (message: McpMessage): Need => {
    if (message.kind === 'response') return { scope: null }
    const call = callIn(message)
    const scope = call === undefined ? methods.get(message.method) : toolScopes.get(call.tool)
    return scope === undefined ? 'unlisted' : { scope }
  }

  const decideMessage = async (
    { peer }: McpRequest,
    caller: Caller,
    message: McpMessage,
  ): Promise<Answer | undefined> => {
    const id = idOf(message)
    const call = callIn(message)
    // Before anything else: whatever the caller has or asks, nobody calls it now.
    if (call !== undefined && guard.verifier.isHalted(call.tool))
      return inJsonRpc(guard.refuse(haltedTool(caller, call.tool)), id)
    const need = needOf(message)
    if (need === 'unlisted') {
      const name = message.kind === 'response' ? undefined : message.method
      const what =
        name === 'tools/call' ? 'This tool is not open to callers.' : 'This method is not open to callers.'
      const fault = new Fault('access_denied', what, { kind: 'unlisted', agent: caller.agent, method: name })
      return inJsonRpc(guard.refuse(fault), id)
    }
    const refusal = guard.demand(caller, need.scope === null ? [] : [need.scope])
    if (refusal !== undefined) return inJsonRpc(refusal, id)
    if (guard.verifier.decider === undefined || call === undefined) return undefined
    const act = { action: 'call', object: { type: 'tool', id: call.tool }, arguments: call.given }
    const decided = await guard.decide(caller, peer === undefined ? act : { ...act, peer })
    return 'refusal' in decided ? inJsonRpc(decided.refusal, id) : undefined
  }

  const decidePost = async (
    request: McpRequest,
    caller: Caller,
  ): Promise<Answer | { message: McpMessage; body: Buffer }> => {
    const unsupported = mediaProblem(request.headers)
    if (unsupported !== undefined) return plain('unsupported_media_type', unsupported)
    const body = await readUpTo(request.body, maxBodyBytes)
    if (body === undefined) return plain('request_too_large', `A message has at most ${maxBodyBytes} bytes.`)
    const message = readMcpMessage(body)
    if (message.kind === 'problem') return problemAnswer(message, null)
    const id = idOf(message)
    const twoFaces = contradiction(message, name => headerLines(request.headers, name))
    if (twoFaces !== undefined) return problemAnswer(twoFaces, id)
    return (await decideMessage(request, caller, message)) ?? { message, body }
  }

  const decide = async (request: McpRequest): Promise<McpDecision> => {
    const admission = await guard.admit(request)
    if (admission.kind === 'answer') return admission
    const { caller, headers: answerHeaders } = admission
    const answer = (answer: Answer): McpDecision => ({
      kind: 'answer',
      answer: { ...answer, headers: { ...answer.headers, ...answerHeaders } },
    })
    if (pathOf(request.url) !== path) return answer(plain('not_found', 'The MCP endpoint has another path.'))
    const headers = headersOnward(request.headers)
    if (headers === undefined) return answer(plain('invalid_request', 'A header of MCP came twice.'))
    const session = headers['mcp-session-id']
    // MCP, session management no. 3; somebody else's is as unknown as one that never was (threat C49).
    if (session !== undefined && !sessions.isOf(session, caller)) return answer(unknownSession(guard, caller))
    const forward = { kind: 'forward', caller, headers, answerHeaders } as const
    const follow = followerOf({ guard, sessions, method: request.method, session })
    if (request.method === 'POST') {
      const decided = await decidePost(request, caller)
      return 'status' in decided
        ? answer(decided)
        : { ...forward, ...decided, ...follow(admission, decided.message) }
    }
    // The stream of a session and its end; any body that they carry is dropped, since nobody has looked into it.
    if (request.method === 'GET' || request.method === 'DELETE')
      return { ...forward, message: undefined, body: undefined, ...follow(admission, undefined) }
    return answer({ ...plain('method_not_allowed', 'Use POST, GET or DELETE.'), ...allow })
  }

  return { verifier: guard.verifier, decide }
}

/** The tool that is called, and its arguments as they are in the very bytes that go on; undefined for everything else. */
function callIn(message: McpMessage): { readonly tool: string; readonly given: JsonObject } | undefined {
  if (message.kind === 'response' || message.method !== 'tools/call') return undefined
  const { name, arguments: given = {} } = message.params ?? {}
  // `readMcpMessage` has let nothing else through.
  return typeof name === 'string' ? { tool: name, given: given as JsonObject } : undefined
}

interface Following {
  readonly guard: Guard
  readonly sessions: McpSessions
  readonly method: string
  readonly session: string | undefined
}

type Admitted = Extract<Awaited<ReturnType<Guard['admit']>>, { kind: 'admitted' }>
type Follow = Pick<Extract<McpDecision, { kind: 'forward' }>, 'answered' | 'onEnd'>

/** What there is to do about a request after it was let through. */
function followerOf({ guard, sessions, method, session }: Following) {
  return ({ caller, headers }: Admitted, message: McpMessage | undefined): Follow => ({
    answered: answer => sessions.learn(caller, session, method, answer),
    onEnd(callback) {
      const ended = (fault: Fault): void => {
        const refusal = guard.refuse(fault, { scheme: caller.key === null ? 'bearer' : 'dpop' })
        const said = message === undefined ? refusal : inJsonRpc(refusal, idOf(message))
        callback({ ...said, headers: { ...said.headers, ...headers } })
      }
      return guard.verifier.onEnd(caller, ended, message && callIn(message)?.tool)
    },
  })
}

function unknownSession(guard: Guard, { agent, instance }: Caller): Answer {
  const say = 'There is no such session; open another one.'
  return guard.refuse(new Fault('not_found', say, { kind: 'mcp_session', agent, instance }))
}

const allow = { headers: { 'content-type': 'application/json', allow: 'POST, GET, DELETE' } }

/** The same for handlers of Web requests. */
export function decideRequest(guard: McpGuard, request: Request): Promise<McpDecision> {
  const { method, url, headers, body } = request
  return guard.decide({ method, url, headers, body })
}

/** A compressed or differently encoded body would be another one behind us than the one decided on. */
function mediaProblem(headers: HeaderSource): string | undefined {
  const types = headerLines(headers, 'content-type')
  if (
    types.length !== 1 ||
    !/^application\/json\s*(?:;\s*charset=(?:utf-8|"utf-8")\s*)?$/i.test(types[0] ?? '')
  ) {
    return 'Send messages as application/json in UTF-8.'
  }
  const encodings = headerLines(headers, 'content-encoding')
  return encodings.every(encoding => encoding.trim().toLowerCase() === 'identity')
    ? undefined
    : 'Send messages unencoded.'
}

async function readUpTo(body: AsyncIterable<Uint8Array> | null, limit: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body ?? []) {
    size += chunk.length
    if (size > limit) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The headers for the server behind; undefined where one came twice, so that nobody chooses between two. */
function headersOnward(headers: HeaderSource): Record<string, string> | undefined {
  const onward: Record<string, string> = {}
  for (const name of namesOf(headers)) {
    if (!isForwarded(name)) continue
    const lines = headerLines(headers, name)
    if (lines.length > 1 && name !== 'accept') return undefined
    onward[name] = lines.join(', ')
  }
  return onward
}

const namesOf = (headers: HeaderSource): Set<string> =>
  Array.isArray(headers)
    ? new Set(headers.filter((_, at) => at % 2 === 0).map(name => name.toLowerCase()))
    : new Set((headers as Headers).keys())

function plain(code: Code, say: string): Answer {
  const body = JSON.stringify({ error: code, error_description: say })
  return {
    status: codes[code].status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body,
  }
}

type Id = string | number | null

const idOf = (message: McpMessage): Id => (message.kind === 'notification' ? null : message.id)

function problemAnswer({ code, say }: McpProblem, id: Id): Answer {
  const body = JSON.stringify({ jsonrpc: '2.0', id, error: { code, message: say } })
  return { status: 400, headers: { 'content-type': 'application/json' }, body }
}

/** The refusal as the answer to a message: same status and challenge, and a body that an MCP client reads. */
function inJsonRpc(answer: Answer, id: Id): Answer {
  const { error_description: message, ...data } = JSON.parse(answer.body) as Record<string, unknown>
  return {
    ...answer,
    body: JSON.stringify({ jsonrpc: '2.0', id, error: { code: refusedCode, message, data } }),
  }
}
