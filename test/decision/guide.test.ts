// The guide to protecting a resource, where it has operations decided: each program runs as it stands, against a real authority.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createUpstream } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Agent } from '@writ/sdk/agent'
import { freePort } from '../cli/process.ts'
import { until } from '../harness/deadline.ts'
import { guideAuthority } from '../harness/guide.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/guide/protecting-a-resource.md'), 'utf8')
const programOf = (heading: string): string =>
  page.split(`\n${heading}\n`)[1]?.match(/```ts\n([\s\S]*?)```/)?.[1] ?? ''
const api = 'https://api.example'
const tools = `${api}/mcp`
const started = new AsyncDisposableStack()
after(() => started.disposeAsync())

interface Scene {
  readonly issuer: string
  readonly environment: Record<string, string>
  manage(path: string, body: object): Promise<Record<string, string>>
  /** Its calls of the API reach this port. */
  newcomer(grant: object, port: number): Promise<Agent>
}
let scene: Scene

before(async () => {
  const { issuer, data, operator, manage: call } = await guideAuthority(started)
  const management = `${issuer}/api/v1`
  const manage: Scene['manage'] = (path, body) => call('POST', path, body)
  const scope = (name: string) => ({ name, description: name })
  await manage('/resources', { identifier: api, name: 'Invoices', scopes: [scope('invoices:read')] })
  const actions = { call: { any_of: ['echo:call'] } }
  await manage('/resources', { identifier: tools, name: 'Tools', scopes: [scope('echo:call')], actions })
  const invite = async (name: string, grants: readonly object[]): Promise<string> => {
    const { id = '' } = await manage('/agents', { name, owner: operator.clientId, purpose: 'Guide' })
    for (const grant of grants) await manage('/grants', { agent: id, reason: 'guide', ...grant })
    const { enroll_uri, token } = await manage(`/agents/${id}/enrollments`, {})
    return `${enroll_uri}#${token}`
  }
  const gate = { resource: management, scopes: ['writ:decisions:evaluate'] }
  const environment = {
    WRIT_ENROLLMENT: await invite('gate', [gate]),
    WRIT_AGENT_DIRECTORY: join(data, 'gate'),
  }
  let names = 0
  const newcomer: Scene['newcomer'] = async (grant, port) => {
    names += 1
    const enrollment = await invite(`caller-${names}`, [grant])
    const local = `http://127.0.0.1:${port}`
    const agent = await Agent.load({
      enrollment,
      directory: join(data, `caller-${names}`),
      fetch: (url, init) => fetch(String(url).replace(api, local), init),
    })
    started.defer(() => agent.close())
    return agent
  }
  scene = { issuer, environment, manage, newcomer }
})

/** Runs a program of the page until it answers; it ends with the work. */
async function running(
  program: string,
  upstream: string,
  work: (port: number) => Promise<void>,
): Promise<void> {
  const port = await freePort()
  const flags = process.execArgv.filter(flag => flag.startsWith('--conditions'))
  const env = { ...process.env, ...scene.environment, PORT: String(port), UPSTREAM: upstream }
  const child: ChildProcess = spawn(
    process.execPath,
    [...flags, '--input-type=module-typescript', '-e', program],
    {
      cwd: root,
      env,
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  )
  try {
    await until('the program refuses strangers', 60, async () => {
      assert.equal(child.exitCode, null, 'the program ended')
      const stranger = await fetch(`http://127.0.0.1:${port}/invoices`).catch(() => undefined)
      return stranger?.status === 401 || stranger?.status === 404
    })
    await work(port)
  } finally {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
}

/** The answers to so many calls, once the program knows the authority. */
async function statuses(agent: Agent, times: number): Promise<readonly number[]> {
  const call = (): Promise<Response> =>
    agent.fetch(`${api}/invoices`, { resource: api, scope: 'invoices:read' })
  const first = await until('the first contact', 20, async () => {
    const answer = await call()
    return answer.status !== 503 && answer
  })
  const all = [first.status]
  for (let time = 1; time < times; time += 1) all.push((await call()).status)
  return all
}

test('every program of the section is run here', () => {
  const section = page.split('\n## Decisions\n')[1]?.split('\n## ')[0] ?? ''
  assert.equal(section.match(/^```ts$/gm)?.length, 6)
})

const calls = { unit: 'calls', limit: 2, window_seconds: 3600 }
const here = 'context has peer && context.peer.isLoopback()'
for (const [heading, limits] of [
  ['### In Hono', { condition: here }],
  ['### In Express', { condition: here }],
  ['### In Fastify', { condition: here }],
  ['### In anything that speaks fetch', {}],
] as const) {
  test(`${heading.slice(4)} a call is decided by its address and what is left of a budget`, () =>
    running(programOf(heading), '', async port => {
      const grant = { resource: api, scopes: ['invoices:read'], budgets: [calls], ...limits }
      assert.deepEqual(await statuses(await scene.newcomer(grant, port), 3), [200, 200, 403])
    }))
}

test('what was reserved and not used is there again', () =>
  running(programOf('### What it really cost'), '', async port => {
    const budgets = [{ unit: 'rows', limit: 100, window_seconds: 3600 }]
    const caller = await scene.newcomer({ resource: api, scopes: ['invoices:read'], budgets }, port)
    assert.deepEqual(await statuses(caller, 5), [200, 200, 200, 200, 403])
  }))

test('in front of an MCP server the arguments of a tool are decided on', async () => {
  const heard: string[] = []
  const upstream = createUpstream(async (request, answer) => {
    for await (const chunk of request) heard.push(String(chunk))
    answer.setHeader('content-type', 'application/json').end('{"jsonrpc":"2.0","id":1,"result":{}}')
  }).listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  const [decisions, proxy] = [programOf('### In front of an MCP server'), programOf('## MCP servers')]
  // As the page says: of the proxy only the guard is another.
  const guarding = /^const guard = mcpGuard\(\{$[\s\S]*?^\}\)$/m
  const program = `${decisions.replace(guarding, '').replace(/^import .*mcpGuard.*$/m, '')}\n${proxy.replace(
    guarding,
    guarding.exec(decisions)?.[0] ?? '',
  )}`
  const url = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}/mcp`
  const say = (message: string) =>
    JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'echo', arguments: { message } },
    })
  try {
    await running(program, url, async port => {
      const limited = {
        type: 'mcp_tool',
        server: tools,
        tool: 'echo',
        arguments: { message: { one_of: ['hello'] } },
      }
      const reach = { resource: tools, scopes: ['echo:call'], authorization_details: [limited] }
      const grant = { ...reach, condition: here }
      const caller = await scene.newcomer(grant, port)
      const call = (message: string) =>
        caller.fetch(tools, {
          resource: tools,
          scope: 'echo:call',
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: say(message),
        })
      await until('the first contact', 20, async () => (await call('hello')).status === 200)
      const refused = await call('goodbye')
      assert.equal(refused.status, 403)
      assert.match(await refused.text(), /"error":\{"code":-32010/)
      assert.deepEqual(new Set(heard), new Set([say('hello')]))
    })
  } finally {
    upstream.close()
  }
})
