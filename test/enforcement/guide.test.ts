// The programs in the guides to stopping and to sessions run as they stand, against a real authority on a socket.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import { Agent } from '@writ/sdk/agent'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { require as demand, protect } from '@writ/sdk/resource/fetch'
import { createVerifier } from '@writ/sdk/resource/verifier'
import { createServer } from '@writ/server'
import { freshDirectory } from '../agent/agents.ts'
import { listen } from '../agent/listening.ts'

const root = join(import.meta.dirname, '../..')
const api = 'https://api.example'
const started = new AsyncDisposableStack()
after(() => started.disposeAsync())

interface Scene {
  readonly issuer: string
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked at member by member in assertions
  manage(method: 'GET' | 'POST', path: string, body?: object): Promise<any>
  /** An agent with this one right, and the file of who acts as it. */
  newcomer(resource: string, scope: string): Promise<{ readonly id: string; readonly file: string }>
}
let scene: Scene

before(async () => {
  const data = mkdtempSync(join(tmpdir(), 'writ-guide-'))
  started.defer(() => rmSync(data, { recursive: true }))
  let answer: (request: Request) => Promise<Response>
  const { origin: issuer } = started.use(await listen(request => answer(request)))
  const server = await createServer({ data, issuer, rateLimits: 'off' })
  started.defer(() => server.close())
  answer = server.fetch
  const operator = Agent.fromCredentials(JSON.parse(readFileSync(join(data, 'operator.json'), 'utf8')))
  const management = `${issuer}/api/v1`
  const asOperator = operator.fetchFor({ resource: management, scope: 'writ:*' })
  const manage: Scene['manage'] = async (method, path, body) => {
    const headers = { 'content-type': 'application/json' }
    const made = await asOperator(management + path, {
      method,
      ...(body && { headers, body: JSON.stringify(body) }),
    })
    assert.ok(made.ok, `${path} ${made.status}`)
    return made.json()
  }
  const newcomer: Scene['newcomer'] = async (resource, scope) => {
    const { secret, verify } = generateKeyPair('ES256')
    const { id } = await manage('POST', '/agents', {
      name: 'newcomer',
      owner: operator.clientId,
      purpose: 'Guide',
      jwks: { keys: [verify.jwk] },
    })
    await manage('POST', '/grants', { agent: id, resource, scopes: [scope], reason: 'guide' })
    const file = join(data, `${id}.json`)
    writeFileSync(file, JSON.stringify({ issuer, client_id: id, jwk: secret.reveal() }))
    return { id, file }
  }
  const scopes = [{ name: 'invoices:read', description: 'Read invoices' }]
  await manage('POST', '/resources', { identifier: api, name: 'Invoices', scopes })
  scene = { issuer, manage, newcomer }
})

async function run(guide: string, environment: Record<string, string>): Promise<string> {
  const [program, ...others] = [
    ...readFileSync(join(root, 'docs/guide', guide), 'utf8').matchAll(/```ts\n([\s\S]*?)```/g),
  ].map(([, code = '']) => code)
  assert.deepEqual(others, [], 'every program of the page is run')
  const flags = process.execArgv.filter(flag => flag.startsWith('--conditions'))
  const child = spawn(process.execPath, [...flags, '--input-type=module-typescript', '-e', program ?? ''], {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  assert.equal(stderr, '')
  return stdout.trim()
}

test('a program with the right to halt and no other stops an agent, and hears who enforces it', async () => {
  const verifier = createVerifier({ issuer: scene.issuer, resource: api })
  started.defer(() => verifier.close())
  await verifier.ready()
  const watch = await scene.newcomer(`${scene.issuer}/api/v1`, 'writ:halts')
  const { id, file } = await scene.newcomer(api, 'invoices:read')
  const ask = () => Agent.fromCredentials(JSON.parse(readFileSync(file, 'utf8'))).token({ resource: api })
  await ask()
  const [halt] = (await run('stopping.md', { WATCH: watch.file, AGENT: id })).split(' ')
  const { by, target, status } = await scene.manage('GET', `/halts/${halt}`)
  assert.deepEqual([by, target, status], [watch.id, id, 'live'])
  await assert.rejects(
    Agent.fromCredentials(JSON.parse(readFileSync(file, 'utf8'))).token({ resource: api }),
    {
      code: 'invalid_grant',
    },
  )
})

/** An API that takes tokens of this authority, by its identifier. */
async function invoices(): Promise<string> {
  let answer: (request: Request) => Promise<Response>
  const { origin } = started.use(await listen(request => answer(request)))
  const guard = protect({ issuer: scene.issuer, resource: origin })
  started.defer(() => guard.verifier.close())
  answer = guard(demand('invoices:read')(() => Response.json(['an invoice'])))
  const scopes = [{ name: 'invoices:read', description: 'Read invoices' }]
  await scene.manage('POST', '/resources', { identifier: origin, name: 'Own invoices', scopes })
  await guard.verifier.ready()
  return origin
}

test('a program begins a session, calls in it, and ends it', async () => {
  const own = await invoices()
  const { id } = await scene.newcomer(own, 'invoices:read')
  const { enroll_uri, token } = await scene.manage('POST', `/agents/${id}/enrollments`)
  const instance = { WRIT_ENROLLMENT: `${enroll_uri}#${token}`, WRIT_AGENT_DIRECTORY: freshDirectory() }
  const [session, status] = (await run('sessions-and-risk.md', { API: own, ...instance })).split(' ')
  assert.equal(status, '200')
  const seen = await scene.manage('GET', `/sessions/${session}`)
  assert.deepEqual([seen.agent, seen.task, seen.status], [id, 'sort the post', 'ended'])
  const { items } = await scene.manage('GET', `/events?agent=${id}&type=token.issued`)
  assert.equal(items.at(-1).decision.session, session)
})
