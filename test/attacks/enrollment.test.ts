// Enrolment under attack: tokens that leak, keys that belong to others, and everything at once (C20, C31, C69).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expect, newAgent } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { enroll, enrolled, invite, keysOf, newPair } from './instances.ts'

const codeOf = async (answer: ReturnType<typeof enroll>) => {
  const { status, body } = await answer
  return `${status} ${body.code}`
}

const instances = async (writ: Authority, agent: string): Promise<number> =>
  (await writ.operator.manage('GET', `/agents/${agent}/instances`)).body.items.length

const move = async (writ: Authority, agent: string, verb: string) =>
  expect(await writ.operator.manage('POST', `/agents/${agent}/${verb}`, { reason: 'test' }), 200)

test('of twenty keys that race for one token one wins, and it alone can repeat the request', async t => {
  const writ = await authority(t)
  const { clientId } = await newAgent(writ)
  const token = await invite(writ, clientId)
  const pairs = Array.from({ length: 20 }, newPair)
  const answers = await Promise.all(pairs.map(pair => enroll(writ, { token, pair })))
  assert.equal(answers.filter(({ status }) => status === 201).length, 1)
  const again = await Promise.all(pairs.map(pair => enroll(writ, { token, pair })))
  for (const [at, { status, body }] of again.entries()) {
    if (answers[at]?.status === 201) assert.deepEqual(body, answers[at].body)
    else assert.equal(`${status} ${body.code}`, '400 invalid_enrollment')
  }
  assert.equal(await instances(writ, clientId), 2)
})

test('one key that races with twenty tokens becomes one instance, and spends one token', async t => {
  const writ = await authority(t)
  const { clientId } = await newAgent(writ)
  const tokens: string[] = []
  for (let at = 0; at < 20; at++) tokens.push(await invite(writ, clientId))
  const pair = newPair()
  const answers = await Promise.all(tokens.map(token => enroll(writ, { token, pair })))
  const won = answers.filter(({ status }) => status === 201)
  assert.equal(new Set(won.map(({ body }) => body.instance)).size, 1)
  for (const { status, body } of answers) if (status !== 201) assert.equal(body.code, 'conflict')
  const left = await Promise.all(tokens.map(token => enroll(writ, { token, pair: newPair() })))
  assert.equal(left.filter(({ status }) => status === 201).length, 20 - won.length)
})

test('no proof but one of the key itself, for this endpoint and now, enrols a key', async t => {
  const writ = await authority(t)
  const { clientId } = await newAgent(writ)
  const token = await invite(writ, clientId)
  const pair = newPair()
  const { operator } = writ
  const key = pair.sign
  const proofs: (string | null)[] = [
    null,
    '',
    'x.y.z',
    operator.proof('/enroll'),
    operator.proof('/enroll', { key: newPair().sign }),
    operator.proof('/rekey', { key }),
    operator.proof('/token', { key }),
    operator.proof('/Enroll', { key }),
    operator.proof('/enroll/', { key }),
    operator.proof('https://evil.example/enroll', { key }),
    operator.proof('/enroll', { key, method: 'GET' }),
    operator.proof('/enroll', { key, iat: operator.now - 3600 }),
    operator.proof('/enroll', { key, iat: operator.now + 3600 }),
    operator.proof('/enroll', { key, nonce: 'made-up' }),
    `${operator.proof('/enroll', { key })}, ${operator.proof('/enroll', { key })}`,
    operator.assertion({}, { typ: 'dpop+jwt' }),
  ]
  for (const proof of proofs) {
    const { status, body } = await enroll(writ, { token, pair, proof })
    assert.equal(status, 401, `${proof}`)
    assert.ok(['invalid_dpop_proof', 'use_dpop_nonce'].includes(body.code), body.code)
  }
  const used = operator.proof('/enroll', { key })
  assert.equal((await enroll(writ, { token: await invite(writ, clientId), pair, proof: used })).status, 201)
  assert.equal(await codeOf(enroll(writ, { token, pair: newPair(), proof: used })), '401 invalid_dpop_proof')
  assert.equal((await enroll(writ, { token, pair: newPair() })).status, 201)
})

test('a request that was seen on its way gives whoever repeats it nothing', async t => {
  const writ = await authority(t)
  const { clientId } = await newAgent(writ)
  const token = await invite(writ, clientId)
  const pair = newPair()
  const proof = writ.operator.proof('/enroll', { key: pair.sign })
  const first = expect(await enroll(writ, { token, pair, proof }), 201)
  const again = await Promise.all(Array.from({ length: 10 }, () => enroll(writ, { token, pair, proof })))
  for (const { status, body } of again) if (status === 201) assert.deepEqual(body, first)
  assert.equal(await instances(writ, clientId), 2)
})

test('a key that somebody holds or held enrols nobody, and the token is good for another', async t => {
  const writ = await authority(t)
  const victim = await newAgent(writ)
  const other = await newAgent(writ)
  const gone = await enrolled(writ, victim.clientId)
  await writ.operator.manage('POST', `/agents/${victim.clientId}/keys/${gone.pair.sign.jkt}/revoke`, {
    reason: 'test',
  })
  const ofClient = newPair()
  const client = { client_name: 'rs', jwks: { keys: [ofClient.verify.jwk] } }
  const { id } = expect(await writ.operator.manage('POST', '/clients', client), 201)
  const token = await invite(writ, other.clientId)
  const live = await enrolled(writ, victim.clientId)
  for (const pair of [gone.pair, live.pair, ofClient]) {
    assert.equal(await codeOf(enroll(writ, { token, pair })), '409 conflict')
    assert.equal(
      await codeOf(enroll(writ, { token, pair, jwk: { ...pair.verify.jwk, kid: 'new name' } })),
      '409 conflict',
    )
  }
  await writ.operator.manage('DELETE', `/clients/${id}`)
  assert.equal(await codeOf(enroll(writ, { token, pair: ofClient })), '409 conflict')
  assert.equal((await enroll(writ, { token, pair: newPair() })).status, 201)
  assert.equal(await instances(writ, other.clientId), 2)
})

test('private, weak, symmetric and strange keys enrol nobody, and no member slips in beside them', async t => {
  const writ = await authority(t)
  const { clientId } = await newAgent(writ)
  const token = await invite(writ, clientId)
  const pair = newPair()
  const good = pair.verify.jwk
  const keys: unknown[] = [
    pair.secret.reveal(),
    { ...good, d: null },
    { ...good, x5c: [] },
    { ...good, k: 'AAAA' },
    { ...good, use: 'enc' },
    { ...good, key_ops: ['sign'] },
    { ...good, key_ops: ['verify', 'x'.repeat(1000)] },
    { ...good, alg: 'none' },
    { ...good, alg: 'ES384' },
    { ...good, crv: 'P-384' },
    { ...good, crv: 'secp256k1' },
    { ...good, kty: 'oct' },
    { ...good, x: good.y },
    { ...good, x: `${good.x}A` },
    { ...good, kid: { jkt: 'x' } },
    { ...good, kid: 'x'.repeat(257) },
    { ...good, kid: '' },
    [good],
    { keys: [good] },
    'x',
    null,
  ]
  for (const jwk of keys) {
    const { status } = await enroll(writ, { token, pair, jwk: jwk ?? { no: 'key' } })
    assert.ok(status === 422 || status === 401, `${JSON.stringify(jwk)} ${status}`)
  }
  // What only an administrator says about a key is not said by who brings it.
  const jwk = { ...good, state: 'active', expires_at: '2999-01-01T00:00:00Z', owner: writ.operator.clientId }
  const body = expect(await enroll(writ, { token, pair, jwk }), 201)
  assert.equal(body.client_id, clientId)
  assert.ok(Date.parse(body.key.expires_at) < Date.now() + 8 * 86_400_000)
})

test('only the token itself is one: not its hash, not its neighbours, not an identifier', async t => {
  const writ = await authority(t)
  const { clientId } = await newAgent(writ)
  const token = await invite(writ, clientId)
  const pair = newPair()
  const { items } = (await writ.operator.manage('GET', '/events?type=enrollment.created')).body
  const wrong: unknown[] = [
    items[0].decision.enrollment,
    `writ_enr_${items[0].decision.enrollment}`,
    ` ${token}`,
    `${token} `,
    `${token}\n`,
    `${token}=`,
    `${token}\u0000`,
    token.toUpperCase(),
    token.slice(0, -1),
    token.slice('writ_enr_'.length),
    `${token},${token}`,
    clientId,
    writ.operator.clientId,
    'x'.repeat(256),
  ]
  for (const value of wrong) {
    assert.equal(await codeOf(enroll(writ, { token: value, pair })), '400 invalid_enrollment', `${value}`)
  }
  for (const value of ['', 'x'.repeat(257), null, 0, true, [token], { token }]) {
    assert.equal(await codeOf(enroll(writ, { token: value, pair })), '400 invalid_request', `${value}`)
  }
  assert.equal((await enroll(writ, { token, pair })).status, 201)
})

test('a token ends with its minutes, and with the agent it was made for', async t => {
  const writ = await authority(t, { enrollmentSeconds: 60 })
  const { clientId } = await newAgent(writ)
  const late = await invite(writ, clientId)
  writ.advance(60)
  assert.equal(await codeOf(enroll(writ, { token: late, pair: newPair() })), '400 invalid_enrollment')
  const token = await invite(writ, clientId)
  await move(writ, clientId, 'suspend')
  assert.equal(await codeOf(enroll(writ, { token, pair: newPair() })), '400 invalid_enrollment')
  await move(writ, clientId, 'retire')
  assert.equal(await codeOf(enroll(writ, { token, pair: newPair() })), '400 invalid_enrollment')
})

test('who stops an agent ends its invitations too: one that had leaked does not come back with the agent', async t => {
  const writ = await authority(t)
  const { clientId } = await newAgent(writ)
  const leaked = await invite(writ, clientId)
  writ.advance(2)
  await move(writ, clientId, 'suspend')
  writ.advance(2)
  await move(writ, clientId, 'resume')
  assert.equal(await codeOf(enroll(writ, { token: leaked, pair: newPair() })), '400 invalid_enrollment')
  const kept = await invite(writ, clientId)
  const change = { name: 'renamed', purpose: 'another' }
  expect(await writ.operator.manage('PATCH', `/agents/${clientId}`, change), 200)
  assert.equal((await enroll(writ, { token: kept, pair: newPair() })).status, 201)
})

test('whoever races the end of an agent has an instance from before it, or none', async t => {
  const writ = await authority(t)
  for (let round = 0; round < 10; round++) {
    const { clientId } = await newAgent(writ)
    const tokens = [await invite(writ, clientId), await invite(writ, clientId), await invite(writ, clientId)]
    const [stopped, ...answers] = await Promise.all([
      writ.operator.manage('POST', `/agents/${clientId}/suspend`, { reason: 'race' }),
      ...tokens.map(token => enroll(writ, { token, pair: newPair() })),
    ])
    assert.equal(stopped?.status, 200)
    const { items } = (await writ.operator.manage('GET', `/events?agent=${clientId}`)).body
    const end = items.find((entry: { type: string }) => entry.type === 'agent.suspended').index
    const made = items.filter(
      (entry: { type: string; outcome: string }) =>
        entry.type === 'instance.enrolled' && entry.outcome === 'allowed',
    )
    assert.equal(made.length, answers.filter(({ status }) => status === 201).length)
    for (const entry of made) assert.ok(entry.index < end)
  }
})

test('an instance cannot take the name of the key of another, nor be revoked in its place', async t => {
  const writ = await authority(t)
  const { clientId } = await newAgent(writ)
  const named = await enrolled(writ, clientId, pair => ({ ...pair.verify.jwk, kid: 'first' }))
  const token = await invite(writ, clientId)
  for (const kid of ['first', named.pair.sign.jkt]) {
    const pair = newPair()
    assert.equal(
      await codeOf(enroll(writ, { token, pair, jwk: { ...pair.verify.jwk, kid } })),
      '409 conflict',
    )
  }
  // A name can be given before the key that has it by right is known: then the thumbprint goes before the name.
  const later = newPair()
  const squatter = await enrolled(writ, clientId, pair => ({ ...pair.verify.jwk, kid: later.sign.jkt }))
  const jwk = { ...later.verify.jwk, kid: 'later' }
  assert.equal(await codeOf(enroll(writ, { token, pair: later, jwk })), '409 conflict')
  const path = `/agents/${clientId}/keys/${squatter.pair.sign.jkt}/revoke`
  expect(await writ.operator.manage('POST', path, { reason: 'test' }), 200)
  const keys = await keysOf(writ, clientId)
  assert.equal(keys.get(squatter.pair.sign.jkt).state, 'revoked')
  assert.equal(keys.get(named.pair.sign.jkt).state, 'active')
})
