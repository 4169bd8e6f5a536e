// RFC 9449 from outside: proofs at the token endpoint and at the management API, nonces, replay, binding.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createProof } from '@writ/sdk/protocol/dpop'
import { bareJwk, generateKeyPair, thumbprint } from '@writ/sdk/protocol/jwk'
import { signJws } from '@writ/sdk/protocol/jws'
import { api, newAgent, payloadOf, registerApi } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { answerOf, type Party } from '../harness/party.ts'
import { verifies } from './verifies.ts'

test('two proofs in one request are refused', async t => {
  verifies('RFC9449-4.3-1')
  const a = await authority(t)
  const nonce = await a.operator.nonce()
  const two = `${a.operator.proof('/token', { nonce })}, ${a.operator.proof('/token', { nonce })}`
  assert.equal((await a.operator.tokenRequest({}, { dpop: two })).body.error, 'invalid_dpop_proof')
})

/** A proof made by hand, so that anything in it can be wrong. */
async function crooked(
  party: Party,
  header: Record<string, unknown>,
  claims: Record<string, unknown>,
): Promise<string> {
  const standard = {
    jti: crypto.randomUUID(),
    htm: 'POST',
    htu: `${party.issuer}/token`,
    iat: party.now,
    nonce: await party.nonce(),
  }
  return signJws(
    { typ: 'dpop+jwt', jwk: bareJwk(party.key.jwk), ...header },
    { ...standard, ...claims },
    party.key,
  )
}

test('a proof for something else, or with anything wrong in it, is refused', async t => {
  verifies('RFC9449-4.3-2', 'RFC9449-4.3-4')
  const a = await authority(t)
  const { operator } = a
  const wrong: [Record<string, unknown>, Record<string, unknown>][] = [
    [{ typ: 'jwt' }, {}],
    [{ typ: 'at+jwt' }, {}],
    [{ jwk: undefined }, {}],
    [{ jwk: { kty: 'oct', k: 'AAAA' } }, {}],
    [{ crit: ['jwk'] }, {}],
    [{}, { htm: 'GET' }],
    [{}, { htm: 'post' }],
    [{}, { htu: `${a.issuer}/introspect` }],
    [{}, { htu: 'https://other.example/token' }],
    [{}, { htu: `${a.issuer}:8443/token` }],
    [{}, { htu: undefined }],
    [{}, { jti: undefined }],
    [{}, { jti: '' }],
    [{}, { iat: operator.now - 90 }],
    [{}, { iat: operator.now + 30 }],
    [{}, { iat: undefined }],
    [{}, { iat: `${operator.now}` }],
  ]
  for (const [header, claims] of wrong) {
    const answer = await operator.tokenRequest({}, { dpop: await crooked(operator, header, claims) })
    assert.equal(answer.status, 400, JSON.stringify([header, claims]))
    assert.equal(answer.body.error, 'invalid_dpop_proof', JSON.stringify([header, claims]))
  }
  assert.equal((await operator.tokenRequest({}, { dpop: await crooked(operator, {}, {}) })).status, 200)
})

test('a proof that shows its private key is refused', async t => {
  verifies('RFC9449-4.3-3')
  const a = await authority(t)
  const pair = generateKeyPair('ES256')
  const dpop = signJws(
    { typ: 'dpop+jwt', jwk: pair.secret.reveal() },
    { jti: 'x', htm: 'POST', htu: `${a.issuer}/token`, iat: a.operator.now, nonce: await a.operator.nonce() },
    pair.sign,
  )
  assert.equal((await a.operator.tokenRequest({}, { dpop })).body.error, 'invalid_dpop_proof')
})

test('without a nonce the token endpoint asks for one, and takes the repeated request', async t => {
  verifies('RFC9449-8-1', 'RFC9449-8.2-1')
  const a = await authority(t)
  const client_assertion = a.operator.assertion()
  const first = await a.operator.tokenRequest({ client_assertion }, { dpop: a.operator.proof('/token') })
  assert.equal(first.status, 400)
  assert.equal(first.body.error, 'use_dpop_nonce')
  const nonce = first.headers.get('dpop-nonce') ?? ''
  assert.notEqual(nonce, '')
  // The same assertion: the first answer was about the proof alone.
  const second = await a.operator.tokenRequest(
    { client_assertion },
    { dpop: a.operator.proof('/token', { nonce }) },
  )
  assert.equal(second.status, 200)
  assert.notEqual(second.headers.get('dpop-nonce'), null)
})

test('a nonce of somebody else, or an old one, is refused with a new one', async t => {
  verifies('RFC9449-8-2')
  const a = await authority(t)
  const nonce = await a.operator.nonce()
  for (const bad of ['', 'x', `${nonce}x`, nonce.toUpperCase(), nonce.slice(0, -1)]) {
    const answer = await a.operator.tokenRequest({}, { dpop: a.operator.proof('/token', { nonce: bad }) })
    assert.equal(answer.status, 400, bad)
    assert.ok(['use_dpop_nonce', 'invalid_dpop_proof'].includes(answer.body.error), answer.body.error)
  }
  a.advance(180)
  const old = await a.operator.tokenRequest({}, { dpop: a.operator.proof('/token', { nonce }) })
  assert.equal(old.body.error, 'use_dpop_nonce')
  assert.notEqual(old.headers.get('dpop-nonce'), nonce)
})

test("a token is bound to the key of the proof, which may be another than the client's", async t => {
  verifies('RFC9449-5-1')
  const a = await authority(t)
  const pair = generateKeyPair('Ed25519')
  const dpop = createProof({
    key: pair.sign,
    method: 'POST',
    uri: `${a.issuer}/token`,
    nonce: await a.operator.nonce(),
    nowSeconds: a.operator.now,
  })
  const answer = await a.operator.tokenRequest({ scope: 'writ:*' }, { dpop })
  assert.equal(answer.body.token_type, 'DPoP')
  assert.deepEqual(payloadOf(answer.body.access_token)['cnf'], { jkt: thumbprint(pair.verify.jwk) })
})

test('a proof is taken once, also by twenty racing callers', async t => {
  verifies('RFC9449-11.1-1')
  const a = await authority(t)
  const dpop = a.operator.proof('/token', { nonce: await a.operator.nonce() })
  const answers = await Promise.all(Array.from({ length: 20 }, () => a.operator.tokenRequest({}, { dpop })))
  assert.equal(answers.filter(({ status }) => status === 200).length, 1)
  assert.equal(answers.filter(({ body }) => body.error === 'invalid_dpop_proof').length, 19)
})

test('a stolen token is useless: without a proof, with another key, as a bearer token, with a used proof', async t => {
  verifies('RFC9449-7.1-1', 'RFC9449-4.3-5')
  const a = await authority(t)
  const token = await a.operator.token(`${a.issuer}/api/v1`, 'writ:agents:read')
  const url = `${a.issuer}/api/v1/agents`
  const thief = generateKeyPair('ES256')
  const show = async (headers: Record<string, string>) => answerOf(await a.fetch(url, { headers }))
  const own = { method: 'GET', accessToken: token }
  const spent = a.operator.proof(url, own)
  assert.equal((await show({ authorization: `DPoP ${token}`, dpop: spent })).status, 200)
  const attempts: Record<string, string>[] = [
    { authorization: `DPoP ${token}` },
    { authorization: `Bearer ${token}` },
    { authorization: `Bearer ${token}`, dpop: a.operator.proof(url, own) },
    { authorization: `DPoP ${token}`, dpop: a.operator.proof(url, { ...own, key: thief.sign }) },
    { authorization: `DPoP ${token}`, dpop: spent },
    { authorization: `DPoP ${token}`, dpop: a.operator.proof(url, { method: 'GET' }) },
    { authorization: `DPoP ${token}`, dpop: a.operator.proof(url, { ...own, accessToken: `${token}x` }) },
    { authorization: `DPoP ${token}`, dpop: a.operator.proof(url, { ...own, method: 'POST' }) },
    { authorization: `DPoP ${token}`, dpop: a.operator.proof(`${url}/x`, own) },
    { authorization: `DPoP ${token}, DPoP ${token}`, dpop: a.operator.proof(url, own) },
  ]
  for (const [index, headers] of attempts.entries()) {
    const answer = await show(headers)
    assert.ok(answer.status === 401 || answer.status === 400, `${index}: ${answer.status}`)
    if (answer.status === 401) assert.match(answer.headers.get('www-authenticate') ?? '', /^DPoP /)
  }
})

test('a resource that does not allow bearer tokens gets none, one that does gets them on request', async t => {
  verifies('RFC9449-7.1-1')
  const a = await authority(t)
  const id = await registerApi(a)
  const agent = await newAgent(a, { scopes: ['read'] })
  const bearer = () =>
    agent.post('/token', {
      grant_type: 'client_credentials',
      resource: api,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: agent.assertion(),
    })
  const refused = await bearer()
  assert.equal(refused.status, 400)
  assert.equal(refused.body.error, 'invalid_dpop_proof')
  assert.equal((await a.operator.manage('PATCH', `/resources/${id}`, { bearer_allowed: true })).status, 200)
  const allowed = await bearer()
  assert.equal(allowed.status, 200)
  assert.equal(allowed.body.token_type, 'Bearer')
  assert.equal('cnf' in payloadOf(allowed.body.access_token), false)
})
