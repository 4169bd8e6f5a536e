// The programs in the guide to authorization details run as they stand, against a real authority on a socket.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { Agent } from '@writ/sdk/agent'
import { createServer } from '@writ/server'
import { freshDirectory } from './agents.ts'
import { listen } from './listening.ts'

const root = join(import.meta.dirname, '../..')
const guide = readFileSync(join(root, 'docs/guide/authorization-details.md'), 'utf8')
const programs = [...guide.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, program = '']) => program)
const [granted = ''] = [...guide.matchAll(/--authorization-details '(\[.*?\])'/g)].map(
  ([, json = '']) => json,
)
const [map = ''] = [...guide.matchAll(/```json\n([\s\S]*?)```/g)].map(([, json = '']) => json)
const shop = 'https://shop.example'
let environment: Record<string, string>
const started = new AsyncDisposableStack()
after(() => started.disposeAsync())

before(async () => {
  const data = mkdtempSync(join(tmpdir(), 'writ-guide-'))
  started.defer(() => rmSync(data, { recursive: true }))
  let answer: (request: Request) => Promise<Response>
  const { origin } = started.use(await listen(request => answer(request)))
  const server = await createServer({ data, issuer: origin, rateLimits: 'off' })
  started.defer(() => server.close())
  answer = server.fetch
  const operator = Agent.fromCredentials(JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8')))
  const management = `${operator.issuer}/api/v1`
  const asOperator = operator.fetchFor({ resource: management, scope: 'writ:*' })
  const post = async (path: string, members: object): Promise<Record<string, string>> => {
    const [headers, body] = [{ 'content-type': 'application/json' }, JSON.stringify(members)]
    const made = await asOperator(management + path, { method: 'POST', headers, body })
    assert.equal(made.status, 201, path)
    return (await made.json()) as Record<string, string>
  }
  const scopes = [{ name: 'orders', description: 'Work with orders' }]
  await post('/resources', { identifier: shop, name: 'Shop', scopes, ...JSON.parse(map) })
  const { id = '' } = await post('/agents', { name: 'buyer', owner: operator.clientId, purpose: 'Buys' })
  const details = { authorization_details: JSON.parse(granted) }
  await post('/grants', { agent: id, resource: shop, scopes: ['orders'], reason: 'guide', ...details })
  const { enroll_uri, token } = await post(`/agents/${id}/enrollments`, {})
  environment = {
    ISSUER: operator.issuer,
    WRIT_ENROLLMENT: `${enroll_uri}#${token}`,
    WRIT_AGENT_DIRECTORY: freshDirectory(),
  }
})

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

test('the guide shows as many programs as are tested here', () => assert.equal(programs.length, 2))

test('an agent gets a token for less than it was granted, and hears what it got', async () => {
  const [detail] = JSON.parse(await run(programs[0] ?? ''))
  assert.deepEqual(detail.arguments, { amount: { range: { max: 20 } }, category: { exact: 'ink' } })
})

test('a resource publishes its types and its map of actions', async () => {
  const metadata = JSON.parse(await run(programs[1] ?? ''))
  assert.deepEqual(metadata.authorization_details_types_supported, ['mcp_tool'])
  assert.deepEqual(metadata.writ_scope_actions, { version: 1, ...JSON.parse(map) })
})
