// A resource that has each operation decided, end to end: what refuses, what may be answered from memory, what is told of it.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { api, expect, grant, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'
import { assertionType } from '../harness/party.ts'
import { enforce } from './policies.ts'
import {
  type Call,
  type Caller,
  gate,
  type Member,
  member,
  type Site,
  settled,
  site,
} from './protected-site.ts'

interface Scene {
  readonly writ: Authority
  readonly by: Member
  readonly agent: Member
}

async function scene(t: TestContext): Promise<Scene> {
  const writ = await authority(t)
  await registerApi(writ)
  return { writ, by: await gate(writ), agent: await member(writ, 'reporter') }
}

const holding = async ({ party }: Member, scope: string): Promise<Caller> => ({
  party,
  token: await party.token(api, scope),
})

const office = (peers: string): string =>
  `@id("office") forbid (principal is Writ::Agent, action == Writ::Action::"read", resource)
   unless { context has peer && context.peer.isInRange(ip("${peers}")) };`

const said = async (here: Site, by: Caller, call: Call): Promise<string> => {
  const { status, error } = await here.call(by, call)
  return error === undefined ? `${status}` : `${status} ${error}`
}
const no = '403 access_denied'

test('the same token is let in and kept out by what stands at the instant of each call', async t => {
  const { writ, by, agent } = await scene(t)
  await grant(writ, agent.id, ['read'])
  const here = await site(t, writ, by)
  const clerk = await holding(agent, 'read')
  const read: Call = { action: 'read', peer: '10.1.2.3' }
  const manage = (path: string, body: unknown, status = 201) =>
    writ.operator.manage('POST', path, body).then(answer => expect(answer, status))
  assert.equal(await said(here, clerk, read), '200')
  assert.equal(await said(here, clerk, { action: 'write' }), no, 'beyond the token')

  await enforce(writ, office('192.0.2.0/24'))
  await settled(writ, 1)
  assert.equal(await said(here, clerk, read), no, 'by a policy')
  assert.equal(await said(here, clerk, { ...read, peer: '192.0.2.7' }), '200')
  assert.equal(await said(here, clerk, { action: 'read' }), no, 'without an address')
  await enforce(writ, office('10.0.0.0/8'))
  await settled(writ, 1)
  assert.equal(await said(here, clerk, read), '200', 'by another policy')
  assert.equal(await said(here, clerk, { ...read, peer: '192.0.2.7' }), no, 'from where it passed before')

  const tool = { action: 'read', peer: '10.1.2.3', object: { type: 'tool', id: 'burn' } } as const
  assert.equal(await said(here, clerk, tool), '200')
  const { id } = await manage('/halts', { kind: 'tool', target: `${api}#burn`, reason: 'test' })
  await settled(writ, 1)
  assert.equal(await said(here, clerk, tool), no, 'by a halt')
  assert.equal(await said(here, clerk, read), '200', 'of something else')
  await manage(`/halts/${id}/lift`, { reason: 'test' }, 200)
  assert.equal(await said(here, clerk, tool), '200')

  await enforce(
    writ,
    '@id("calm") forbid (principal is Writ::Agent, action, resource) when { context.risk > 50 };',
  )
  await settled(writ, 1)
  assert.equal(await said(here, clerk, read), '200')
  await manage('/risks', { subject: agent.id, score: 80, reason: 'odd hours' }, 200)
  await settled(writ, 1)
  assert.equal(await said(here, clerk, read), no, 'by its risk')
  await manage('/risks', { subject: agent.id, score: 10, reason: 'explained' }, 200)
  assert.equal(await said(here, clerk, read), '200')
})

test('a condition of the grant holds at each call, and a budget is spent to the last and no further', async t => {
  const { writ, by, agent } = await scene(t)
  await grant(writ, agent.id, ['read'], { condition: 'context has peer && context.peer.isLoopback()' })
  await grant(writ, agent.id, ['write'], { budgets: [{ unit: 'calls', limit: 3, window_seconds: 3600 }] })
  const here = await site(t, writ, by)
  const reader = await holding(agent, 'read')
  assert.equal(await said(here, reader, { action: 'read', peer: '127.0.0.1' }), '200')
  assert.equal(await said(here, reader, { action: 'read', peer: '192.0.2.1' }), no)
  const writer = await holding(agent, 'write')
  const answers = await Promise.all(Array.from({ length: 6 }, () => here.call(writer, { action: 'write' })))
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 403, 403, 403])
  assert.ok(answers.every(({ fromMemory }) => !fromMemory))
  assert.equal(await said(here, writer, { action: 'write' }), no)
})

test('a token that needs a decision opens nothing where nobody decides', async t => {
  const { writ, by, agent } = await scene(t)
  await grant(writ, agent.id, ['read'])
  await grant(writ, agent.id, ['write'], { budgets: [{ unit: 'calls', limit: 3, window_seconds: 3600 }] })
  const [deciding, plain] = [await site(t, writ, by), await site(t, writ, null)]
  const [reader, writer] = [await holding(agent, 'read'), await holding(agent, 'write')]
  assert.equal(await said(plain, reader, { action: 'read' }), '200')
  assert.equal(await said(plain, writer, { action: 'write' }), '401 invalid_token')
  assert.equal(await said(deciding, writer, { action: 'write' }), '200')
})

test('without a decision there is a refusal: away, late, broken, or no answer at all', async t => {
  const { writ, by, agent } = await scene(t)
  await grant(writ, agent.id, ['read'])
  const here = await site(t, writ, by, { withinSeconds: 0.5 })
  const clerk = await holding(agent, 'read')
  const known: Call = { action: 'read', peer: '10.0.0.1' }
  assert.equal(await said(here, clerk, known), '200')
  const broken: Readonly<Record<string, () => Response | Promise<Response>>> = {
    away: () => Promise.reject(new TypeError('fetch failed')),
    late: () => new Promise(() => undefined),
    failing: () => Response.json({ decision: true }, { status: 500 }),
    redirecting: () => new Response(null, { status: 302, headers: { location: 'https://evil.example' } }),
    garbled: () => new Response('{"decision": true', { headers: { 'content-type': 'application/json' } }),
    truthy: () => Response.json({ decision: 'true' }),
    silent: () => Response.json({}),
    endless: () => Response.json({ decision: true, context: { x: 'x'.repeat(100_000) } }),
  }
  let peer = 1
  for (const [name, answer] of Object.entries(broken)) {
    here.breaking = async (url, send) => (url.includes('/access/v1/evaluation') ? answer() : send())
    peer += 1
    const call = { action: 'read', peer: `10.0.0.${peer}` }
    assert.equal(await said(here, clerk, call), '503 temporarily_unavailable', name)
    const again = await here.call(clerk, known)
    assert.deepEqual([again.status, again.fromMemory], [200, true], 'what is known stands meanwhile')
  }
  here.breaking = undefined
  assert.equal(await said(here, clerk, { action: 'read', peer: '10.0.0.2' }), '200')
})

test('cut off from the authority, not even memory answers after the bound', async t => {
  const { writ, by, agent } = await scene(t)
  await grant(writ, agent.id, ['read'])
  const here = await site(t, writ, by, { contact: 2 })
  const clerk = await holding(agent, 'read')
  assert.equal(await said(here, clerk, { action: 'read' }), '200')
  here.cut()
  assert.equal((await here.call(clerk, { action: 'read' })).fromMemory, true)
  await until('it denies what it knew', 15, async () => {
    const answer = await said(here, clerk, { action: 'read' })
    if (answer !== '200') assert.equal(answer, '503 temporarily_unavailable')
    return answer !== '200'
  })
})

test('what was answered from memory is in the log within ten seconds, once each, though it is sent twice', async t => {
  const { writ, by, agent } = await scene(t)
  await grant(writ, agent.id, ['read'])
  const here = await site(t, writ, by)
  const clerk = await holding(agent, 'read')
  const first = await here.call(clerk, { action: 'read', peer: '10.0.0.1' })
  let lost = 0
  here.breaking = async (url, send) => {
    const answer = await send()
    if (!url.endsWith('/reports') || lost > 0) return answer
    // It has arrived, and nobody hears of it: it will be sent again.
    lost += 1
    throw new TypeError('fetch failed')
  }
  const remembered = await Promise.all(
    Array.from({ length: 7 }, () => here.call(clerk, { action: 'read', peer: '10.0.0.1' })),
  )
  assert.ok(remembered.every(({ fromMemory, decision }) => fromMemory && decision === first.decision))
  const path = `/events?agent=${agent.id}&type=decision.repeated`
  const entries = async () => expect(await writ.operator.manage('GET', path), 200).items
  await until('it is in the log', 10, async () => (await entries()).length > 0)
  await until('it was sent twice', 10, async () => {
    const { items } = expect(await writ.operator.manage('GET', '/events?type=decision.reported'), 200)
    return lost === 1 && items.length > 0
  })
  const [entry, ...others] = await entries()
  assert.deepEqual(others, [])
  const { count, decided_by, from, peer } = entry.decision
  assert.deepEqual([count, decided_by], [7, first.decision])
  assert.equal(from ?? peer, '10.0.0.1')
  const evaluated = `/events?agent=${agent.id}&type=decision.evaluated`
  assert.equal(expect(await writ.operator.manage('GET', evaluated), 200).items.length, 1)
})

test('what was done to an object of a long name keeps nothing else of what was answered from memory from the log', async t => {
  const { writ, by, agent } = await scene(t)
  await grant(writ, agent.id, ['read'])
  const here = await site(t, writ, by)
  const clerk = await holding(agent, 'read')
  const long: Call = { action: 'read', object: { type: 'http', id: '/x'.repeat(950) } }
  const short: Call = { action: 'read', object: { type: 'http', id: '/x' } }
  for (const call of [long, short]) {
    assert.equal((await here.call(clerk, call)).fromMemory, false)
    assert.equal((await here.call(clerk, call)).fromMemory, true)
  }
  const path = `/events?agent=${agent.id}&type=decision.repeated`
  await until('both are in the log', 10, async () => {
    const { items } = expect(await writ.operator.manage('GET', path), 200)
    return [long, short].every(({ object }) =>
      items.some(({ resource }: { resource: string }) =>
        object?.id === '/x' ? resource === `${api}#/x` : resource.startsWith(`${api}#/x/x`),
      ),
    )
  })
})

test('a session that has ended ends what is remembered of it, and nothing that is remembered beside it', async t => {
  const { writ, by, agent } = await scene(t)
  await grant(writ, agent.id, ['read'])
  const here = await site(t, writ, by)
  const { party } = agent
  const evidence = { client_assertion_type: assertionType, client_assertion: party.assertion() }
  const dpop = party.proof('/sessions', { nonce: await party.nonce() })
  const { session } = expect(await party.post('/sessions', { ...evidence, task: 'sorts' }, { dpop }), 201)
  const { access_token } = expect(await party.tokenRequest({ resource: api, session }), 200)
  const [within, beside] = [{ party, token: access_token }, await holding(agent, 'read')]
  for (const clerk of [within, beside])
    for (const fromMemory of [false, true])
      assert.equal((await here.call(clerk, { action: 'read' })).fromMemory, fromMemory)
  expect(await writ.operator.manage('POST', `/sessions/${session}/end`, { reason: 'odd' }), 200)
  await settled(writ, 1)
  assert.equal(await said(here, within, { action: 'read' }), '401 invalid_token')
  const other = await here.call(beside, { action: 'read' })
  assert.deepEqual([other.status, other.fromMemory], [200, true])
})
