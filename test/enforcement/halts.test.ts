// Halts: what is halted gets no token, what it had is dead, and whoever halted it can let go of it again.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enroll, enrolled, invite, newPair, partyOf, rekey } from '../attacks/instances.ts'
import { api, expect, grant, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { assertionType, type Party } from '../harness/party.ts'

const halt = (writ: Authority, kind: string, target: string) =>
  writ.operator.manage('POST', '/halts', { kind, target, reason: 'misused' })
const lift = (writ: Authority, id: string) =>
  writ.operator.manage('POST', `/halts/${id}/lift`, { reason: 'looked at' })

async function isLive(writ: Authority, token: string): Promise<boolean> {
  const answer = await writ.operator.post('/introspect', {
    token,
    client_assertion_type: assertionType,
    client_assertion: writ.operator.assertion(),
  })
  return expect(answer, 200).active
}

const instanceOf = async (writ: Authority, agent: Party): Promise<string> =>
  expect(await writ.operator.manage('GET', `/agents/${agent.clientId}/instances`), 200).items[0].id

test('each kind of halt ends the tokens of what it names, refuses new ones, and gives way when it is lifted', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ)
  const other = await newAgent(writ, { scopes: ['read'] })
  const granted = await grant(writ, agent.clientId, ['read'])
  const targets: readonly [string, string][] = [
    ['agent', agent.clientId],
    ['instance', await instanceOf(writ, agent)],
    ['key', agent.key.jkt],
    ['grant', granted],
    ['resource', api],
  ]
  for (const [kind, target] of targets) {
    const [token, otherToken] = [await agent.token(api, 'read'), await other.token(api, 'read')]
    const made = expect(await halt(writ, kind, target), 201)
    assert.deepEqual([made.kind, made.target, made.status], [kind, target, 'live'])
    assert.equal(await isLive(writ, token), false, `a token of the halted ${kind} is dead`)
    const refused = await agent.tokenRequest({ resource: api, scope: 'read' })
    assert.deepEqual([refused.status, refused.body.error], [400, 'invalid_grant'], kind)
    assert.doesNotMatch(JSON.stringify(refused.body), /halt|misused/, 'a caller hears nothing of why')
    assert.equal(await isLive(writ, otherToken), kind !== 'resource', 'nothing beside it ends')
    assert.equal((await halt(writ, kind, target)).status, 409, 'it is halted once')
    expect(await lift(writ, made.id), 200)
    assert.equal((await lift(writ, made.id)).status, 409, 'and lifted once')
    assert.equal(await isLive(writ, token), false, 'what was dead stays dead')
    assert.equal(await isLive(writ, await agent.token(api, 'read')), true)
  }
  const { items } = expect(await writ.operator.manage('GET', '/events?type=halt.created'), 200)
  assert.equal(
    items.filter(({ outcome }: { outcome: string }) => outcome === 'allowed').length,
    targets.length,
  )
  const refusals = expect(
    await writ.operator.manage('GET', `/events?agent=${agent.clientId}&type=token.issued`),
    200,
  )
  assert.ok(
    refusals.items.some(
      (entry: { outcome: string; decision: { rule: string } }) =>
        entry.outcome === 'refused' && entry.decision.rule === 'halted',
    ),
    'the log says why',
  )
})

test('a halt of the tenant stops everybody and leaves one way out: a token that lifts halts and does nothing else', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const token = await agent.token(api, 'read')
  const { id } = expect(await halt(writ, 'tenant', writ.issuer), 201)
  assert.equal((await agent.tokenRequest({ resource: api })).status, 400)
  const management = `${writ.issuer}/api/v1`
  for (const scope of ['writ:*', 'writ:agents:read', 'writ:halts writ:agents:read'])
    assert.equal((await writ.operator.tokenRequest({ resource: management, scope })).status, 400, scope)
  const out = await writ.operator.token(management, 'writ:halts')
  assert.equal((await writ.operator.call('GET', `${management}/agents`, { token: out })).status, 403)
  // Whether it has arrived everywhere can be seen.
  expect(await writ.operator.call('GET', `${management}/enforcement-points`, { token: out }), 200)
  const lifted = await writ.operator.call('POST', `${management}/halts/${id}/lift`, {
    token: out,
    body: { reason: 'over' },
  })
  expect(lifted, 200)
  assert.equal(await isLive(writ, token), false)
  await agent.token(api, 'read')
})

test('what is not there cannot be halted, nor the switch itself, nor what stands above the one who halts', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const wrong: readonly [string, string][] = [
    ['agent', 'agt_00000000000000000000000001'],
    ['agent', api],
    ['instance', writ.operator.clientId],
    ['key', 'nobody'],
    ['resource', 'https://elsewhere.example'],
    ['tool', `${api}`],
    ['tool', `${api}#`],
    ['tenant', 'https://other.example'],
    ['everything', '*'],
  ]
  for (const [kind, target] of wrong)
    assert.equal((await halt(writ, kind, target)).status, 422, `${kind} ${target}`)
  assert.equal((await halt(writ, 'agent', writ.operator.clientId)).status, 409)
  assert.equal((await halt(writ, 'key', writ.operator.key.jkt)).status, 409)
  assert.equal((await halt(writ, 'resource', `${writ.issuer}/api/v1`)).status, 409)
  const guard = await newAgent(writ)
  const management = `${writ.issuer}/api/v1`
  expect(
    await writ.operator.manage('POST', '/grants', {
      agent: guard.clientId,
      resource: management,
      scopes: ['writ:halts'],
      reason: 'night watch',
    }),
    201,
  )
  const token = await guard.token(management, 'writ:halts')
  const attack = await guard.call('POST', `${management}/halts`, {
    token,
    body: { kind: 'agent', target: writ.operator.clientId, reason: 'coup' },
  })
  assert.equal(attack.status, 403, 'the operator stands above a guard')
  const tool = await guard.call('POST', `${management}/halts`, {
    token,
    body: { kind: 'tool', target: 'https://API.example:443/#burn', reason: 'burns' },
  })
  assert.equal(expect(tool, 201).target, `${api}#burn`, 'one spelling of a resource')
})

test('what is halted does not rotate its key to one that is not', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const { clientId } = await newAgent(writ, { scopes: ['read'] })
  const { pair, party, instance } = await enrolled(writ, clientId)
  const next = newPair()
  const targets: readonly [string, string][] = [
    ['key', pair.sign.jkt],
    ['instance', instance],
    ['agent', clientId],
  ]
  for (const [kind, target] of targets) {
    const { id } = expect(await halt(writ, kind, target), 201)
    const refused = await rekey(writ, { old: party, next })
    assert.deepEqual([refused.status, refused.body.code], [403, 'access_denied'], kind)
    assert.doesNotMatch(JSON.stringify(refused.body), /halt|misused/, 'a caller hears nothing of why')
    assert.equal((await partyOf(writ, clientId, next).tokenRequest({ resource: api })).status, 401)
    expect(await lift(writ, id), 200)
  }
  const path = `/events?agent=${clientId}&type=key.rotated`
  const { items } = expect(await writ.operator.manage('GET', path), 200)
  assert.deepEqual(
    items.map((entry: { decision: { rule: string } }) => entry.decision.rule),
    ['halted', 'halted', 'halted'],
  )
  expect(await rekey(writ, { old: party, next }), 200)
  expect(await partyOf(writ, clientId, next).tokenRequest({ resource: api }), 200)
})

test('nobody enrols with what is halted, and the token is as good as before once it is lifted', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const { clientId } = await newAgent(writ, { scopes: ['read'] })
  const [token, pair] = [await invite(writ, clientId), newPair()]
  const { id } = expect(await halt(writ, 'agent', clientId), 201)
  assert.equal((await enroll(writ, { token, pair })).body.code, 'invalid_enrollment')
  expect(await lift(writ, id), 200)
  expect(await enroll(writ, { token, pair }), 201)
})

test('a halted grant is passed over while another gives the same right', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ)
  // The halted one is the better of the two: it never ends.
  const halted = await grant(writ, agent.clientId, ['read', 'write'])
  const expires_at = new Date(writ.nowMs() + 3_600_000).toISOString()
  await grant(writ, agent.clientId, ['read'], { expires_at })
  const { id } = expect(await halt(writ, 'grant', halted), 201)
  assert.equal(await isLive(writ, await agent.token(api, 'read')), true)
  const refused = await agent.tokenRequest({ resource: api, scope: 'read write' })
  assert.deepEqual([refused.status, refused.body.error], [400, 'invalid_grant'])
  expect(await lift(writ, id), 200)
  expect(await agent.tokenRequest({ resource: api, scope: 'read write' }), 200)
})

test('a halt of what is gone meanwhile holds for its namesake, and can be lifted', async t => {
  const writ = await authority(t)
  const resource = await registerApi(writ)
  const { id: person } = expect(await writ.operator.manage('POST', '/people', { login: 'ada' }), 201)
  const made: string[] = []
  for (const [kind, target] of [
    ['tool', `${api}#burn`],
    ['resource', api],
    ['person', person],
  ] as const)
    made.push(expect(await halt(writ, kind, target), 201).id)
  expect(await writ.operator.manage('DELETE', `/resources/${resource}`), 204)
  expect(await writ.operator.manage('DELETE', `/people/${person}`), 204)
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  assert.equal((await agent.tokenRequest({ resource: api })).status, 400)
  const { items } = expect(await writ.operator.manage('GET', '/resources'), 200)
  const again = items.find(({ identifier }: { identifier: string }) => identifier === api).id
  expect(await writ.operator.manage('DELETE', `/resources/${again}`), 204)
  for (const id of made) assert.equal(expect(await lift(writ, id), 200).status, 'lifted')
})

test('a dozen switches thrown at once all take effect, and let go at once all give way', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agents = await Promise.all(Array.from({ length: 12 }, () => newAgent(writ, { scopes: ['read'] })))
  const made = await Promise.all(agents.map(({ clientId }) => halt(writ, 'agent', clientId)))
  assert.deepEqual(new Set(made.map(({ status }) => status)), new Set([201]))
  for (const agent of agents) assert.equal((await agent.tokenRequest({ resource: api })).status, 400)
  const lifted = await Promise.all(made.map(({ body }) => lift(writ, body.id)))
  assert.deepEqual(new Set(lifted.map(({ status }) => status)), new Set([200]))
})
