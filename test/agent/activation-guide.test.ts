// The program in the guide to rights just in time runs as it stands, against a real authority and a real API on sockets.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { require as demand, protect } from '@writ/sdk/resource/fetch'
import { guideAuthority, programsOf, runProgram } from '../harness/guide.ts'
import { freshDirectory } from './agents.ts'
import { listen } from './listening.ts'

const programs = programsOf('just-in-time.md')
let environment: Record<string, string>
const started = new AsyncDisposableStack()
after(() => started.disposeAsync())

before(async () => {
  const { issuer, operator, manage } = await guideAuthority(started)
  const post = (path: string, members: object) => manage('POST', path, members)
  let deploy: (request: Request) => Promise<Response>
  const { origin: api } = started.use(await listen(request => deploy(request)))
  const guard = protect({ issuer, resource: api })
  started.defer(() => guard.verifier.close())
  deploy = guard(demand('deploy')(() => new Response(null, { status: 202 })))
  await guard.verifier.ready()
  const scopes = [{ name: 'deploy', description: 'Ships a release' }]
  await post('/resources', { identifier: api, name: 'API', scopes })
  const named = { name: 'deployer', owner: operator.clientId, purpose: 'Ships' }
  const { id: agent } = await post('/agents', named)
  const eligible = { agent, resource: api, scopes: ['deploy'], max_seconds: 1800, reason: 'on call' }
  const { id } = await post('/eligibilities', { ...eligible, approval: 'none' })
  const { enroll_uri, token } = await post(`/agents/${agent}/enrollments`, {})
  environment = {
    API: api,
    ELIGIBILITY: id,
    WRIT_ENROLLMENT: `${enroll_uri}#${token}`,
    WRIT_AGENT_DIRECTORY: freshDirectory(),
  }
})

test('the guide shows as many programs as are tested here', () => assert.equal(programs.length, 1))

test('an agent opens what it needs, calls with it, and gives it back', async () => {
  assert.equal(await runProgram(programs[0] ?? '', environment), '202')
})
