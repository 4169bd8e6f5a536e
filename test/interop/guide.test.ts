// The guide to software of others: its commands and programs run as they stand, in a folder of a user, over TLS.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { Agent } from '@writ/sdk/agent'
import { require as demand, protect } from '@writ/sdk/resource/express'
import express from 'express'
import { listen } from '../agent/listening.ts'
import { freePort, newFolder, root, runProgram, serve, until, writ } from '../cli/process.ts'
import { companyCertificates, type Issued } from './certificates.ts'
import { guardedTools } from './tools.ts'

const page = readFileSync(join(root, 'docs/guide/interop.md'), 'utf8')
const blocks = (language: string): string[] =>
  [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(([, kind, code = '']) =>
    kind === language ? [code] : [],
  )
const [makeKey = '', openidClient = '', validator = '', mcpClient = ''] = blocks('ts')
const [register = ''] = blocks('sh')

const started = new AsyncDisposableStack()
after(() => started.disposeAsync())
let cwd: string
let env: Record<string, string>

const run = (code: string, more: Record<string, string> = {}): ChildProcess =>
  spawn(process.execPath, ['--conditions=writ-source', '--input-type=module-typescript', '-e', code], {
    cwd,
    env: { ...process.env, ...env, ...more },
    stdio: ['ignore', 'pipe', 'inherit'],
  })

async function outputOf(code: string): Promise<string> {
  const child = run(code)
  let output = ''
  child.stdout?.on('data', chunk => {
    output += chunk
  })
  const [status] = await once(child, 'close')
  assert.equal(status, 0)
  return output
}

/** An API of somebody's, over TLS, behind our middleware. */
async function startApi(issuer: string, { cert, key }: Issued): Promise<string> {
  const app = express()
  const server = createServer({ cert, key }, app).listen(0, '127.0.0.1')
  started.defer(() => void server.close().closeAllConnections())
  await once(server, 'listening')
  const resource = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const guard = protect({ issuer, resource })
  started.defer(() => guard.verifier.close())
  app.use(guard)
  app.get('/invoices', demand('invoices:read'), (_request, answer) => void answer.json(['an invoice']))
  await guard.verifier.ready()
  return resource
}

async function startTools(issuer: string): Promise<string> {
  const socket = started.use(await listen(request => tools.handle(request)))
  const resource = `${socket.origin}/mcp`
  const tools = guardedTools({ issuer, resource })
  started.defer(() => tools.verifier?.close())
  await tools.verifier?.ready()
  return resource
}

async function command(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await writ(args, { cwd, env })
  assert.equal(code, 0, stderr)
  return stdout
}

before(async () => {
  cwd = newFolder(work => started.defer(work))
  symlinkSync(join(root, 'node_modules'), join(cwd, 'node_modules'))
  const { root: authorityOfAll, server } = companyCertificates()
  const files = { 'root.pem': authorityOfAll, 'cert.pem': server.cert, 'key.pem': server.key }
  for (const [file, text] of Object.entries(files)) writeFileSync(join(cwd, file), text)
  setDefaultCACertificates([...getCACertificates('default'), authorityOfAll])
  const tls = ['--tls-cert', 'cert.pem', '--tls-key', 'key.pem']
  const { issuer, end } = await serve(['--port', '0', ...tls], { cwd })
  started.defer(async () => void (await end()))
  const [api, tools] = await Promise.all([startApi(issuer, server), startTools(issuer)])
  env = {
    NODE_EXTRA_CA_CERTS: join(cwd, 'root.pem'),
    WRIT_ISSUER: issuer,
    ISSUER: issuer,
    API: api,
    MCP: tools,
  }
  await outputOf(makeKey)
  const { code, stderr } = await runProgram('sh', ['-ec', register], { cwd, env })
  assert.equal(code, 0, stderr)
  const { items } = JSON.parse(await command('agent', 'list', '--name', 'reader', '--json'))
  env['CLIENT_ID'] = items[0].id
})

async function permit(resource: string, scope: string): Promise<void> {
  await command('resource', 'create', '--identifier', resource, '--name', 'R', '--scope', `${scope}=Does it`)
  await command(
    'grant',
    'create',
    '--agent',
    'reader',
    '--resource',
    resource,
    '--scope',
    scope,
    '--reason',
    'guide',
  )
}

test('the guide shows as many programs as are tested here', () => {
  assert.deepEqual([blocks('ts').length, blocks('sh').length], [4, 1])
})

test('openid-client obtains a token and calls the API with what the guide tells it', async () => {
  assert.equal(await outputOf(openidClient), "200 [ 'an invoice' ]\n")
})

test('a resource that verifies our tokens with somebody else’s library lets their holder in, and no thief', async t => {
  const port = await freePort()
  const resource = `http://127.0.0.1:${port}`
  await permit(resource, 'invoices:read')
  const child = run(validator, { RESOURCE: resource, PORT: String(port) })
  t.after(() => child.kill())
  await until(() =>
    fetch(resource).then(
      ({ status }) => status === 401,
      () => false,
    ),
  )
  const jwk = JSON.parse(readFileSync(join(cwd, 'agent.jwk'), 'utf8'))
  const { ISSUER: issuer = '', CLIENT_ID: client_id = '' } = env
  const agent = Agent.fromCredentials({ issuer, client_id, jwk })
  t.after(() => agent.close())
  const answer = await agent.fetch(`${resource}/invoices`, { resource })
  assert.deepEqual(await answer.json(), { for: client_id, may: 'invoices:read' })
  const { accessToken } = await agent.token({ resource })
  const stolen = await fetch(resource, { headers: { authorization: `Bearer ${accessToken.reveal()}` } })
  assert.equal(stolen.status, 401)
})

test('the official MCP client lists and calls tools with a provider of its own', async () => {
  await permit(env['MCP'] ?? '', 'read')
  assert.equal(await outputOf(mcpClient), "[ 'echo', 'shout' ]\n[ { type: 'text', text: 'hello' } ]\n")
})
