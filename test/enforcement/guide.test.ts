// The programs in the guides to stopping and to sessions run as they stand, against a real authority on a socket.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { Agent } from '@writ/sdk/agent'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { require as demand, protect } from '@writ/sdk/resource/fetch'
import { createVerifier } from '@writ/sdk/resource/verifier'
import { freshDirectory } from '../agent/agents.ts'
import { listen } from '../agent/listening.ts'
import { type GuideAuthority, guideAuthority, programsOf, runProgram } from '../harness/guide.ts'

const api = 'https://api.example'
const started = new AsyncDisposableStack()
after(() => started.disposeAsync())

interface Scene extends Pick<GuideAuthority, 'issuer' | 'manage'> {
  /** An agent with this one right, and the file of who acts as it. */
  newcomer(resource: string, scope: string): Promise<{ readonly id: string; readonly file: string }>
}
let scene: Scene

before(async () => {
  const { issuer, data, operator, manage } = await guideAuthority(started)
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
  const [program, ...others] = programsOf(guide)
  assert.deepEqual(others, [], 'every program of the page is run')
  return runProgram(program ?? '', environment)
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
