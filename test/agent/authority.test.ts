// The agent SDK against the authority itself and a resource behind the resource SDK: nothing in between is a fake.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { Agent, type LoadOptions } from '@writ/sdk/agent'
import { protect, require } from '@writ/sdk/resource/fetch'
import { api, expect, grant, payloadOf, registerApi } from '../harness/agent.ts'
import { type Authority, type AuthorityOptions, authority, issuer } from '../harness/authority.ts'
import { freshDirectory } from './agents.ts'
import { fault } from './refusals.ts'

const management = `${issuer}/api/v1`

interface World {
  readonly authority: Authority
  readonly agentId: string
  /** The operator, through the SDK like everybody. */
  readonly operator: Agent
  /** Reaches the authority, the API and nothing else. `isLost` says of which answers nothing arrives. */
  readonly fetch: typeof fetch
  readonly network: { isLost: (path: string) => boolean }
  enrollment(): Promise<string>
  load(options?: LoadOptions): Promise<Agent>
}

async function world(t: TestContext, options: AuthorityOptions = {}): Promise<World> {
  const writ = await authority(t, options)
  await registerApi(writ)
  const made = await writ.operator.manage('POST', '/agents', {
    name: 'reporter',
    owner: writ.operator.clientId,
    purpose: 'Weekly report',
  })
  const agentId: string = expect(made, 201).id
  const network = { isLost: (_path: string) => false }
  const reach: typeof fetch = async (input, init) => {
    const request = new Request(input, init)
    const { origin, pathname } = new URL(request.url)
    if (origin === api) return guarded(request)
    if (origin !== writ.issuer) throw new TypeError('unreachable')
    const answer = await writ.server.fetch(request)
    answer.headers.set('date', new Date(writ.nowMs()).toUTCString())
    if (network.isLost(pathname)) throw new TypeError('lost')
    return answer
  }
  const guard = protect({
    issuer: writ.issuer,
    resource: api,
    fetch: reach,
    nonce: 'required',
    clock: { wallMs: writ.nowMs, steadyMs: () => performance.now() },
  })
  t.after(() => guard.verifier.close())
  const guarded = guard((request, access) => {
    const { pathname } = new URL(request.url)
    const answer = () =>
      Response.json({ agent: access.caller.agent, instance: access.caller.instance, pathname })
    return pathname === '/write' ? require('write')(answer)(request, access) : answer()
  })
  await guard.verifier.ready()
  const enrollment = async (): Promise<string> => {
    const answer = await writ.operator.manage('POST', `/agents/${agentId}/enrollments`)
    const { enroll_uri, token } = expect(answer, 201)
    return `${enroll_uri}#${token}`
  }
  const load = async (more: LoadOptions = {}): Promise<Agent> => {
    const standard = { directory: freshDirectory(), fetch: reach, clock: writ.nowMs }
    const agent = await Agent.load({ ...standard, enrollment: await enrollment(), ...more })
    t.after(() => agent.close())
    return agent
  }
  const { clientId, key } = writ.operator
  const credentials = {
    issuer: writ.issuer,
    client_id: clientId,
    jwk: { ...key.key.export({ format: 'jwk' }) },
  }
  const operator = Agent.fromCredentials(credentials, { fetch: reach, clock: writ.nowMs })
  return { authority: writ, agentId, operator, fetch: reach, network, enrollment, load }
}

test('an enrolled agent can do nothing until it is granted, and then the same call works', async t => {
  const { authority, agentId, load } = await world(t)
  const agent = await load()
  assert.equal(agent.clientId, agentId)
  const refused = await agent.fetch(`${api}/write`)
  assert.equal(refused.status, 403)
  assert.match(refused.headers.get('www-authenticate') ?? '', /scope="write"/)
  await assert.rejects(agent.fetch(api, { scope: 'read' }), fault('invalid_scope', 'issuer_refused'))
  await grant(authority, agentId, ['read', 'write'])
  const answer = await agent.fetch(`${api}/write`)
  assert.equal(answer.status, 200)
  assert.deepEqual(await answer.json(), { agent: agentId, instance: agent.instance, pathname: '/write' })
})

test('each instance has a key and an identity of its own', async t => {
  const { authority, agentId, load } = await world(t)
  const agents = [await load(), await load()]
  const answers = await Promise.all(agents.map(async agent => (await agent.fetch(api)).json()))
  assert.equal(new Set(answers.map(({ instance }) => instance)).size, 2)
  const keys = expect(await authority.operator.manage('GET', `/agents/${agentId}/keys`), 200).items
  assert.deepEqual(
    keys.map(({ kid }: { kid: string }) => kid).toSorted(),
    agents.map(agent => agent.key().thumbprint).toSorted(),
  )
})

test('lost answers to enrolment and rotation make no second instance and no second key', async t => {
  const { authority, agentId, network, load } = await world(t)
  const losing = new Map([
    ['/enroll', 2],
    ['/rekey', 2],
  ])
  network.isLost = path => {
    const left = losing.get(path) ?? 0
    losing.set(path, left - 1)
    return left > 0
  }
  const agent = await load()
  await agent.rotateKey()
  const keys = expect(await authority.operator.manage('GET', `/agents/${agentId}/keys`), 200).items
  assert.deepEqual(keys.map(({ state }: { state: string }) => state).toSorted(), ['active', 'retiring'])
  const instances = expect(await authority.operator.manage('GET', `/agents/${agentId}/instances`), 200).items
  assert.equal(instances.length, 1)
})

test('an instance that was cut off in the middle of a rotation finds its key, however late it comes back', async t => {
  for (const awaySeconds of [10, 1_000]) {
    const { authority, fetch: reach, network, load } = await world(t, { agentKeySeconds: 86_400 })
    const directory = freshDirectory()
    const first = await load({ directory })
    network.isLost = path => path === '/rekey'
    await assert.rejects(first.rotateKey(), fault('temporarily_unavailable'))
    first.close()
    network.isLost = () => false
    authority.advance(awaySeconds)
    const second = await Agent.load({ directory, fetch: reach, clock: authority.nowMs })
    t.after(() => second.close())
    assert.equal((await second.fetch(api)).status, 200)
    await second.rotateKey()
    assert.equal((await second.fetch(api)).status, 200)
  }
})

test('not one call fails while the key rotates under traffic, and the old key ends once it is unused', async t => {
  const { authority, agentId, operator, load } = await world(t, {
    accessTokenSeconds: 8,
    drainSeconds: 1,
  })
  await grant(authority, agentId, ['read'])
  const agent = await load()
  const first = agent.key().thumbprint
  const statuses: number[] = []
  let isDone = false
  const worker = async (): Promise<void> => {
    while (!isDone) {
      statuses.push((await agent.fetch(api, { scope: 'read' })).status)
      await delay(10)
    }
  }
  const workers = Array.from({ length: 50 }, worker)
  for (let rotation = 0; rotation < 4; rotation += 1) {
    await delay(100)
    await agent.rotateKey()
    authority.advance(2)
  }
  isDone = true
  await Promise.all(workers)
  assert.deepEqual([...new Set(statuses)], [200])
  assert.ok(statuses.length > 100, `${statuses.length} calls`)
  for (const deadline = Date.now() + 60_000; ; await delay(200)) {
    const answer = await operator.fetch(`${management}/agents/${agentId}/keys`, { resource: management })
    const { items: keys } = (await answer.json()) as { items: { kid: string; state: string }[] }
    if (keys.find(({ kid }) => kid === first)?.state === 'retired') break
    assert.ok(Date.now() < deadline, 'the first key did not end')
  }
  assert.equal((await agent.fetch(api, { scope: 'read' })).status, 200)
})

test('an agent that is stopped is refused everywhere, and works again when it is let go', async t => {
  const { authority, agentId, load } = await world(t)
  const agent = await load()
  assert.equal((await agent.fetch(api)).status, 200)
  expect(await authority.operator.manage('POST', `/agents/${agentId}/suspend`, { reason: 'test' }), 200)
  for (
    const deadline = Date.now() + 5_000;
    (await agent.fetch(api).catch(() => undefined))?.status === 200;
  ) {
    assert.ok(Date.now() < deadline, 'the resource did not hear of it')
    await delay(10)
  }
  await assert.rejects(agent.token({ resource: api }), fault('invalid_client', 'issuer_refused'))
  await assert.rejects(agent.rotateKey(), fault('invalid_client', 'issuer_refused'))
  expect(await authority.operator.manage('POST', `/agents/${agentId}/resume`, { reason: 'test' }), 200)
  assert.equal((await agent.fetch(api)).status, 200)
})

test('a used enrolment is refused to another key', async t => {
  const { enrollment, load } = await world(t)
  const once = await enrollment()
  await load({ enrollment: once })
  await assert.rejects(load({ enrollment: once }), fault('invalid_enrollment', 'issuer_refused'))
})

test('the token alone is enough where the issuer is named', async t => {
  const { authority, enrollment, load } = await world(t)
  const [, token = ''] = (await enrollment()).split('#')
  const agent = await load({ issuer: authority.issuer, enrollment: token })
  assert.equal(agent.issuer, authority.issuer)
})

test('the credentials of the operator call the management API', async t => {
  const { operator } = await world(t)
  const answer = await operator.fetch(`${management}/agents?limit=1`, {
    resource: management,
    scope: 'writ:agents:read',
  })
  assert.equal(answer.status, 200)
  const token = await operator.token({ resource: management, scope: 'writ:*' })
  const payload = payloadOf(token.accessToken.reveal())
  assert.equal(payload['aud'], management)
  assert.deepEqual(payload['cnf'], { jkt: operator.key().thumbprint })
})
