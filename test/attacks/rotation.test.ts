// Rotation of an instance's key under attack: forks, keys of others, evidence that was made for something else (C12, C31, C69).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KeyPair } from '@writ/sdk/protocol/jwk'
import { api, expect, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'
import { type Answer, assertionType, type Party } from '../harness/party.ts'
import { enroll, enrolled, invite, keysOf, newPair, partyOf, rekey } from './instances.ts'

const said = ({ status, body }: Answer): string => `${status} ${body.code ?? body.error}`

const successionOf = async (writ: Authority, answer: Promise<Answer>) => {
  const body = expect(await answer, 200)
  assert.equal(body.issuer, writ.issuer)
  return body
}

const revoke = (writ: Authority, agent: string, jkt: string) =>
  writ.operator.manage('POST', `/agents/${agent}/keys/${jkt}/revoke`, { reason: 'test' })

test('of twenty successors that race one wins: an instance never forks', async t => {
  const writ = await authority(t)
  const { clientId } = await newAgent(writ)
  const { party: old, instance } = await enrolled(writ, clientId)
  const nexts = Array.from({ length: 20 }, newPair)
  const answers = await Promise.all(nexts.map(next => rekey(writ, { old, next })))
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  for (const answer of answers) if (answer.status !== 200) assert.equal(said(answer), '409 conflict')
  const keys = [...(await keysOf(writ, clientId)).values()].filter(key => key.instance === instance)
  assert.deepEqual(keys.map(key => key.state).sort(), ['active', 'retiring'])
})

test('a lost answer is repeated, with new evidence and to the same successor alone', async t => {
  const writ = await authority(t)
  const { clientId } = await newAgent(writ)
  const { party: old } = await enrolled(writ, clientId)
  const next = newPair()
  const first = await successionOf(writ, rekey(writ, { old, next }))
  const again = await successionOf(writ, rekey(writ, { old, next }))
  assert.deepEqual(again, first)
  assert.equal(said(await rekey(writ, { old, next: newPair() })), '409 conflict')
  // The successor of the successor is none of the first key's.
  const third = newPair()
  await successionOf(writ, rekey(writ, { old: partyOf(writ, clientId, next), next: third }))
  assert.equal(said(await rekey(writ, { old, next })), '409 conflict')
  assert.equal(said(await rekey(writ, { old, next: newPair() })), '409 conflict')
  assert.equal((await keysOf(writ, clientId)).size, 4)
})

test('a dead key has no successor: revoked, expired, drained, of an agent that was stopped', async t => {
  const writ = await authority(t, { agentKeySeconds: 600, drainSeconds: 1, accessTokenSeconds: 900 })
  const { clientId } = await newAgent(writ)
  const revoked = await enrolled(writ, clientId)
  await revoke(writ, clientId, revoked.pair.sign.jkt)
  assert.equal(said(await rekey(writ, { old: revoked.party, next: newPair() })), '401 invalid_client')
  const replaced = await enrolled(writ, clientId)
  const next = newPair()
  await successionOf(writ, rekey(writ, { old: replaced.party, next }))
  await revoke(writ, clientId, next.sign.jkt)
  assert.equal(said(await rekey(writ, { old: replaced.party, next })), '409 conflict')
  assert.equal(said(await rekey(writ, { old: replaced.party, next: newPair() })), '409 conflict')
  // Each attempt is a use of the key, so it drains only once it is left alone.
  await until(
    'the old key is retired',
    30,
    async () => (await keysOf(writ, clientId)).get(replaced.pair.sign.jkt).state === 'retired',
  )
  assert.equal(said(await rekey(writ, { old: replaced.party, next: newPair() })), '401 invalid_client')
  const { party: living } = await enrolled(writ, clientId)
  writ.advance(600)
  assert.equal(said(await rekey(writ, { old: living, next: newPair() })), '401 invalid_client')
  const { party } = await enrolled(writ, clientId)
  for (const verb of ['suspend', 'retire']) {
    expect(await writ.operator.manage('POST', `/agents/${clientId}/${verb}`, { reason: 'test' }), 200)
    assert.equal(said(await rekey(writ, { old: party, next: newPair() })), '401 invalid_client')
  }
})

test('no key that is known already becomes a successor: of others, dead, one’s own', async t => {
  const writ = await authority(t)
  const { clientId } = await newAgent(writ)
  const other = await newAgent(writ)
  const { party: old, pair } = await enrolled(writ, clientId)
  const sibling = await enrolled(writ, clientId)
  const foreign = await enrolled(writ, other.clientId)
  const dead = await enrolled(writ, other.clientId)
  await revoke(writ, other.clientId, dead.pair.sign.jkt)
  const ofClient = newPair()
  const client = { client_name: 'rs', jwks: { keys: [ofClient.verify.jwk] } }
  expect(await writ.operator.manage('POST', '/clients', client), 201)
  for (const next of [pair, sibling.pair, foreign.pair, dead.pair, ofClient]) {
    assert.equal(said(await rekey(writ, { old, next })), '409 conflict')
  }
  const named = newPair()
  for (const kid of [sibling.pair.sign.jkt, pair.sign.jkt]) {
    const jwk = { ...named.verify.jwk, kid }
    assert.equal(said(await rekey(writ, { old, next: named, jwk })), '409 conflict')
  }
  const keys = await keysOf(writ, clientId)
  assert.deepEqual([keys.size, keys.get(pair.sign.jkt).state], [3, 'active'])
  // A key that became somebody's successor enrols nobody.
  const next = newPair()
  await successionOf(writ, rekey(writ, { old, next }))
  assert.equal(
    said(await enroll(writ, { token: await invite(writ, other.clientId), pair: next })),
    '409 conflict',
  )
})

test('both keys have to prove themselves, each in its own way, for this endpoint', async t => {
  const writ = await authority(t)
  const agent = await newAgent(writ)
  const { party: old, pair } = await enrolled(writ, agent.clientId)
  const stranger = partyOf(writ, agent.clientId, newPair())
  const next = newPair()
  const { key } = { key: next.sign }
  const proofs = [
    null,
    old.proof('/rekey'),
    old.proof('/rekey', { key: newPair().sign }),
    old.proof('/enroll', { key }),
    old.proof('/token', { key }),
    old.proof('/rekey', { key, method: 'PUT' }),
    old.proof('/rekey', { key, iat: old.now - 600 }),
    `${old.proof('/rekey', { key })},${old.proof('/rekey', { key })}`,
  ]
  for (const proof of proofs) {
    assert.equal(said(await rekey(writ, { old, next, proof })), '401 invalid_dpop_proof', `${proof}`)
  }
  const assertions = [
    stranger.assertion(),
    stranger.assertion({}, { kid: pair.sign.jkt }),
    partyOf(writ, agent.clientId, next).assertion(),
    partyOf(writ, writ.operator.clientId, pair).assertion(),
    old.assertion({ sub: writ.operator.clientId }),
    old.assertion({ iss: writ.operator.clientId, sub: writ.operator.clientId }),
    old.assertion({ aud: `${writ.issuer}/rekey` }),
    old.assertion({ aud: [writ.issuer] }),
    old.assertion({ exp: old.now - 60 }),
    old.assertion({ exp: old.now + 86_400 }),
    old.assertion({ exp: undefined }),
    old.assertion({ jti: undefined }),
    old.assertion({}, { typ: 'dpop+jwt' }),
    old.assertion({}, { typ: 'at+jwt' }),
    'x',
  ]
  for (const assertion of assertions) {
    assert.equal(said(await rekey(writ, { old, next, assertion })), '401 invalid_client', assertion)
  }
  assert.equal((await keysOf(writ, agent.clientId)).size, 2)
  await successionOf(writ, rekey(writ, { old, next }))
})

test('an assertion that was made for something else hands the identity to nobody', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const { clientId } = await newAgent(writ, { scopes: ['read'] })
  const { party: old, pair } = await enrolled(writ, clientId)
  // It was seen, for example in a proxy, and has not been used yet: at the token endpoint it is worth one token of
  // minutes, here it would be worth the instance.
  const seen = old.assertion()
  const thief = newPair()
  assert.equal(said(await rekey(writ, { old, next: thief, assertion: seen })), '401 invalid_client')
  const forOther = old.assertion({ cnf: { jkt: newPair().sign.jkt } })
  assert.equal(said(await rekey(writ, { old, next: thief, assertion: forOther })), '401 invalid_client')
  for (const cnf of [null, {}, thief.sign.jkt, { jkt: null }, { jkt: [thief.sign.jkt] }]) {
    const assertion = old.assertion({ cnf })
    assert.equal(said(await rekey(writ, { old, next: thief, assertion })), '401 invalid_client')
  }
  const keys = await keysOf(writ, clientId)
  assert.equal(keys.get(pair.sign.jkt).state, 'active')
  assert.ok(!keys.has(thief.sign.jkt))
})

test('an assertion is used up wherever it was used, and then says nothing about what was asked', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  let made = ''
  const evidence = () => ({ client_assertion_type: assertionType, client_assertion: made })
  const places: ((party: Party, next: KeyPair) => Promise<Answer>)[] = [
    party => party.tokenRequest({ ...evidence(), resource: api }),
    party => party.tokenRequest({ ...evidence(), resource: 'https://unknown.example' }),
    party => party.tokenRequest({ ...evidence(), resource: api, scope: 'erase' }),
    party => party.post('/introspect', { ...evidence(), token: 'x' }),
    party => party.post('/revoke', { ...evidence(), token: 'x' }),
    (old, next) => rekey(writ, { old, next, assertion: made }),
  ]
  for (const first of places) {
    const { clientId } = await newAgent(writ, { scopes: ['read'] })
    for (const second of places) {
      const { party } = await enrolled(writ, clientId)
      const next = newPair()
      made = party.assertion({ cnf: { jkt: next.sign.jkt } })
      await first(party, next)
      assert.equal(said(await second(party, next)), '401 invalid_client')
    }
  }
})

test('only an instance rotates itself: no other client, and not without end where its key had one', async t => {
  const writ = await authority(t)
  const pair = newPair()
  const client = { client_name: 'rs', jwks: { keys: [pair.verify.jwk] } }
  const { id } = expect(await writ.operator.manage('POST', '/clients', client), 201)
  const old = partyOf(writ, id, pair)
  assert.equal(said(await rekey(writ, { old, next: newPair() })), '403 access_denied')
  const { clientId } = await newAgent(writ)
  const { party } = await enrolled(writ, clientId)
  const next = newPair()
  const jwk = {
    ...next.verify.jwk,
    expires_at: null,
    owner: writ.operator.clientId,
    instance: 'ins_x',
    state: 'staged',
  }
  const body = await successionOf(writ, rekey(writ, { old: party, next, jwk }))
  assert.equal(body.client_id, clientId)
  assert.ok(Date.parse(body.key.expires_at) < Date.now() + 8 * 86_400_000)
})
