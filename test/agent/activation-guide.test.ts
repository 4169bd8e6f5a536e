// The program in the guide to rights just in time runs as it stands, against a real authority and a real API on sockets.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { Agent } from '@writ/sdk/agent'
import { require as demand, protect } from '@writ/sdk/resource/fetch'
import { createServer } from '@writ/server'
import { freshDirectory } from './agents.ts'
import { listen } from './listening.ts'

const root = join(import.meta.dirname, '../..')
const guide = readFileSync(join(root, 'docs/guide/just-in-time.md'), 'utf8')
const programs = [...guide.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, program = '']) => program)
let environment: Record<string, string>
let post: (path: string, members: object) => Promise<Record<string, string>>
let agent: string
const started = new AsyncDisposableStack()
after(() => started.disposeAsync())

before(async () => {
  const data = mkdtempSync(join(tmpdir(), 'writ-guide-'))
  started.defer(() => rmSync(data, { recursive: true }))
  let answer: (request: Request) => Promise<Response>
  const { origin: issuer } = started.use(await listen(request => answer(request)))
  const server = await createServer({ data, issuer, rateLimits: 'off' })
  started.defer(() => server.close())
  answer = server.fetch
  let deploy: (request: Request) => Promise<Response>
  const { origin: api } = started.use(await listen(request => deploy(request)))
  const guard = protect({ issuer, resource: api })
  started.defer(() => guard.verifier.close())
  deploy = guard(demand('deploy')(() => new Response(null, { status: 202 })))
  await guard.verifier.ready()
  const operator = Agent.fromCredentials(JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8')))
  const asOperator = operator.fetchFor({ resource: `${issuer}/api/v1`, scope: 'writ:*' })
  post = async (path, members) => {
    const [headers, body] = [{ 'content-type': 'application/json' }, JSON.stringify(members)]
    const made = await asOperator(`${issuer}/api/v1${path}`, { method: 'POST', headers, body })
    assert.ok(made.ok, `${path} ${made.status}`)
    return (await made.json()) as Record<string, string>
  }
  const scopes = [{ name: 'deploy', description: 'Ships a release' }]
  await post('/resources', { identifier: api, name: 'API', scopes })
  const named = { name: 'deployer', owner: operator.clientId, purpose: 'Ships' }
  agent = (await post('/agents', named))['id'] ?? ''
  const eligible = { agent, resource: api, scopes: ['deploy'], max_seconds: 1800, reason: 'on call' }
  const { id = '' } = await post('/eligibilities', { ...eligible, approval: 'none' })
  const { enroll_uri, token } = await post(`/agents/${agent}/enrollments`, {})
  environment = {
    API: api,
    ELIGIBILITY: id,
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

test('the guide shows as many programs as are tested here', () => assert.equal(programs.length, 1))

test('an agent opens what it needs, calls with it, and gives it back', async () => {
  assert.equal(await run(programs[0] ?? ''), '202')
})
