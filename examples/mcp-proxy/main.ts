// A reverse proxy in front of an MCP server that knows nothing of tokens: it decides on each message, on its parsed body.
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
  request as send,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Answer } from '@writ/sdk/resource/challenge'
import { type McpDecision, mcpGuard } from '@writ/sdk/resource/mcp'

/** The scope that a call of each tool needs. A tool that is not here cannot be called, whatever the server offers. */
const tools = {
  echo: 'echo:call',
  'get-sum': 'sum:call',
}

type Forward = Extract<McpDecision, { kind: 'forward' }>

const issuer = required('WRIT_ISSUER')
const upstream = required('MCP_UPSTREAM')

const server = createServer()
server.listen(Number(process.env['PORT'] ?? 0), '127.0.0.1')
await new Promise(resolve => server.once('listening', resolve))
const { port } = server.address() as AddressInfo
const resource = process.env['RESOURCE'] ?? `http://127.0.0.1:${port}/mcp`

const guard = mcpGuard({ issuer, resource, tools, name: 'Everything, behind Writ' })
server.on('request', (req, res) => {
  serve(req, res).catch(error => {
    console.error(error)
    if (res.headersSent) res.destroy()
    else res.writeHead(500).end()
  })
})
await guard.verifier.ready()
console.log(`mcp-proxy: ready ${resource}`)

async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { method = 'GET', url = '/', rawHeaders: headers } = req
  const decision = await guard.decide({ method, url, headers, body: req })
  if (decision.kind === 'answer') say(decision.answer, res)
  else forward(decision, method, res)
}

function say({ status, headers, body }: Answer, res: ServerResponse): void {
  res.writeHead(status, headers).end(body)
}

/** `headers` and `body` are what was decided on; nothing else of the request, no token above all, goes on. */
function forward(decision: Forward, method: string, res: ServerResponse): void {
  const { headers, body, answerHeaders, answered, onEnd } = decision
  const length = body === undefined ? {} : { 'content-length': body.length }
  const onward = send(upstream, { method, headers: { ...headers, ...length } })
  onward.on('response', answer => {
    if (res.headersSent) return
    const { statusCode: status = 502 } = answer
    // The guard learns whose session it is before its client does.
    answered({ status, headers: answer.rawHeaders })
    res.writeHead(status, { ...answerHeadersOf(answer.headers), ...answerHeaders })
    // An event stream may stay silent for long: its client must know at once that it stands.
    res.flushHeaders()
    answer.on('error', () => res.destroy())
    answer.pipe(res)
  })
  onward.on('error', () => {
    if (res.headersSent) res.destroy()
    else res.writeHead(502).end()
  })
  // A stream that was opened with a token ends with that token, also in the middle; who has no answer yet is told why.
  const forget = onEnd(refusal => {
    if (res.headersSent) res.destroy()
    else say(refusal, res)
  })
  res.on('close', () => {
    forget()
    onward.destroy()
  })
  onward.end(body)
}

function answerHeadersOf(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const mine = Object.entries(headers).filter(
    ([name]) => name.startsWith('mcp-') || name === 'content-type' || name === 'cache-control',
  )
  return Object.fromEntries(mine)
}

function required(name: string): string {
  const value = process.env[name]
  if (value) return value
  console.error(`mcp-proxy: set ${name}`)
  process.exit(2)
}
