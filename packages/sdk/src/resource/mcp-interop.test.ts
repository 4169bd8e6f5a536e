// The MCP guard in a reverse proxy of a few lines, between official clients and an unchanged server of somebody else.
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type McpGuard, mcpGuard } from './mcp.ts'
import { createHolder, type IssuerFixture, startIssuer, until } from './testing/issuer.ts'

const tools = { echo: 'echo:call', 'get-sum': 'math:call' }
const holder = createHolder()
/** Header lines that reached the server behind, by request. */
const behind: string[][] = []
let issuer: IssuerFixture
let upstream: ChildProcess
let upstreamPort: number
let proxy: Server
let guard: McpGuard
let resource: string

async function pass(from: IncomingMessage, to: ServerResponse): Promise<void> {
  const { method = '', url = '', rawHeaders: headers } = from
  const decision = await guard.decide({ method, url, headers, body: from })
  if (decision.kind === 'answer') {
    const { status, headers, body } = decision.answer
    to.writeHead(status, headers).end(body)
    return
  }
  const onward = request({
    host: '127.0.0.1',
    port: upstreamPort,
    path: '/mcp',
    method,
    headers: decision.headers,
  })
  const stop = decision.onEnd(() => onward.destroy())
  to.on('close', () => {
    stop()
    onward.destroy()
  })
  onward.on('error', () => to.destroy())
  onward.on('response', answer => {
    const { statusCode: status = 502, rawHeaders: headers } = answer
    decision.answered({ status, headers })
    answer.pipe(to.writeHead(status, headers))
  })
  onward.end(decision.body)
  behind.push(Object.keys(decision.headers))
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

// The server listens everywhere by itself; a test listens on loopback only.
const loopback = `import net from 'node:net'
  const { listen } = net.Server.prototype
  net.Server.prototype.listen = function (port, ...rest) { return listen.call(this, Number(port), '127.0.0.1', ...rest) }`

before(async () => {
  issuer = await startIssuer()
  const free = createServer()
  upstreamPort = await listen(free)
  free.close()
  const main = createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/package.json')
  const args = ['--import', `data:text/javascript,${encodeURIComponent(loopback)}`]
  upstream = spawn(process.execPath, [...args, join(dirname(main), 'dist/index.js'), 'streamableHttp'], {
    env: { ...process.env, PORT: String(upstreamPort) },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  upstream.stderr?.on('data', chunk => {
    said += chunk
  })
  proxy = createServer((from, to) => void pass(from, to).catch(() => to.destroy()))
  resource = `http://127.0.0.1:${await listen(proxy)}/mcp`
  guard = mcpGuard({ issuer: issuer.url, resource, tools })
  await guard.verifier.ready()
  await until(() => said.includes('listening'), 30_000)
})
after(async () => {
  guard.verifier.close()
  proxy.close()
  proxy.closeAllConnections()
  upstream.kill()
  await issuer.close()
})

const clients = [
  { library: '@modelcontextprotocol/client', mode: 'auto' },
  { library: '@modelcontextprotocol/client', mode: 'legacy' },
  { library: '@modelcontextprotocol/sdk', mode: 'legacy' },
]

for (const { library, mode } of clients) {
  test(`${library} (${mode}) works through the guard as far as its scopes reach, and no further`, async () => {
    const calls = [
      { name: 'echo', arguments: { message: 'hello' } },
      { name: 'get-sum', arguments: { a: 1, b: 2 } },
      { name: 'get-env', arguments: {} },
    ]
    const token = issuer.issue({ aud: resource, scope: 'echo:call', cnf: { jkt: holder.jkt } })
    const task = { library, mode, url: resource, token, jwk: holder.key.secret.reveal(), calls }
    const script = fileURLToPath(new URL('./testing/mcp-client.ts', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [script, JSON.stringify(task)], {
      timeout: 60_000,
    })
    const [listed, echo, sum, env] = JSON.parse(stdout)
    assert.equal(listed, true)
    assert.deepEqual(echo, [{ type: 'text', text: 'Echo: hello' }])
    assert.match(sum, /math:call|lacks a scope/)
    assert.match(env, /not open to callers/)
    assert.ok(behind.length > 3)
    assert.equal(
      behind.flat().some(name => name === 'authorization' || name === 'dpop'),
      false,
    )
  })
}
