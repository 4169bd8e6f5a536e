// RFC 7523 §3 from outside, with the audience rule of its revision: which JWT authenticates a client, and how often.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { newAgent } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import type { Party } from '../harness/party.ts'
import { verifies } from './verifies.ts'

/** The operator's request with this assertion: 200 or the error code. */
async function outcome(
  a: Authority,
  client_assertion: string,
  form: Record<string, string> = {},
  by: Party = a.operator,
): Promise<string> {
  const answer = await by.tokenRequest({ client_assertion, ...form })
  return answer.status === 200 ? 'issued' : answer.body.error
}

test('issuer and subject must both be the client', async t => {
  verifies('RFC7523-3-1')
  const a = await authority(t)
  const { operator } = a
  assert.equal(await outcome(a, operator.assertion({ iss: 'agt_x' })), 'invalid_client')
  assert.equal(await outcome(a, operator.assertion({ sub: 'agt_x' })), 'invalid_client')
  assert.equal(await outcome(a, operator.assertion({ iss: undefined })), 'invalid_client')
  assert.equal(await outcome(a, operator.assertion({ sub: undefined })), 'invalid_client')
})

test('the audience is the issuer alone, as one string', async t => {
  verifies('RFC7523-3-2')
  const a = await authority(t)
  const wrong = [
    undefined,
    '',
    `${a.issuer}/`,
    `${a.issuer}/token`,
    a.issuer.toUpperCase(),
    [a.issuer],
    [a.issuer, 'https://other.example'],
    { a: a.issuer },
  ]
  for (const aud of wrong)
    assert.equal(await outcome(a, a.operator.assertion({ aud })), 'invalid_client', JSON.stringify(aud))
  assert.equal(await outcome(a, a.operator.assertion()), 'issued')
})

test('an assertion is good for a short time only', async t => {
  verifies('RFC7523-3-3')
  const a = await authority(t)
  const { operator } = a
  const { now } = operator
  const wrong: Record<string, unknown>[] = [
    { exp: undefined },
    { exp: now - 30 },
    { exp: now + 3600 },
    { exp: 1e308 },
    { exp: `${now + 60}` },
    { exp: null },
    { iat: now + 60 },
    { nbf: now + 60 },
    { iat: 'yesterday' },
  ]
  for (const claims of wrong)
    assert.equal(await outcome(a, operator.assertion(claims)), 'invalid_client', JSON.stringify(claims))
  assert.equal(await outcome(a, operator.assertion({ iat: undefined })), 'issued')
  // Clocks of others may be a few seconds off.
  assert.equal(await outcome(a, operator.assertion({ iat: now + 3 })), 'issued')
})

test('an assertion without an identifier of its own is refused', async t => {
  verifies('RFC7523-3-4')
  const a = await authority(t)
  for (const jti of [undefined, '', 7, 'x'.repeat(257)]) {
    assert.equal(await outcome(a, a.operator.assertion({ jti })), 'invalid_client')
  }
})

test('an assertion is taken once, also by twenty racing callers', async t => {
  verifies('RFC7523-3-4')
  const a = await authority(t)
  await a.operator.nonce()
  const assertion = a.operator.assertion()
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => outcome(a, assertion)))
  assert.equal(outcomes.filter(one => one === 'issued').length, 1)
  assert.equal(outcomes.filter(one => one === 'invalid_client').length, 19)
})

test('a used assertion stays used when its signature is spelt or its expiry judged anew', async t => {
  verifies('RFC7523-3-4')
  const a = await authority(t)
  const assertion = a.operator.assertion()
  assert.equal(await outcome(a, assertion), 'issued')
  for (const second of [1, 30, 59]) {
    a.advance(second)
    assert.equal(await outcome(a, assertion), 'invalid_client', `${second}`)
  }
})

test('only a live key of this client signs for it', async t => {
  verifies('RFC7523-3-5')
  const a = await authority(t)
  const agent = await newAgent(a)
  const stranger = a.party(
    agent.clientId,
    generateKeyPair('ES256').secret.reveal() as unknown as Record<string, unknown>,
  )
  assert.equal(await outcome(a, stranger.assertion(), {}, stranger), 'invalid_client')
  // The right kid with another key's signature.
  assert.equal(
    await outcome(a, stranger.assertion({}, { kid: agent.key.jwk.kid ?? agent.key.jkt }), {}, stranger),
    'invalid_client',
  )
  const keys = await a.operator.manage('GET', `/agents/${agent.clientId}/keys`)
  const kid = keys.body.items[0].kid
  await a.operator.manage('POST', `/agents/${agent.clientId}/keys/${encodeURIComponent(kid)}/revoke`, {
    reason: 'lost',
  })
  assert.equal(await outcome(a, agent.assertion(), {}, agent), 'invalid_client')
})

test('any change to the assertion is refused', async t => {
  verifies('RFC7523-3-5')
  const a = await authority(t)
  const assertion = a.operator.assertion()
  const [header, payload, signature] = assertion.split('.') as [string, string, string]
  const recode = (part: string, change: (value: Record<string, unknown>) => void): string => {
    const value = JSON.parse(Buffer.from(part, 'base64url').toString())
    change(value)
    return Buffer.from(JSON.stringify(value)).toString('base64url')
  }
  const changed = [
    `${recode(header, value => {
      value['alg'] = 'none'
    })}.${payload}.`,
    `${recode(header, value => {
      value['alg'] = 'none'
    })}.${payload}.${signature}`,
    `${recode(header, value => {
      value['alg'] = 'HS256'
    })}.${payload}.${signature}`,
    `${recode(header, value => {
      value['alg'] = 'Ed25519'
    })}.${payload}.${signature}`,
    `${recode(header, value => {
      value['crit'] = ['exp']
    })}.${payload}.${signature}`,
    `${header}.${recode(payload, value => {
      value['jti'] = 'another'
    })}.${signature}`,
    `${header}.${payload}.${Buffer.alloc(64).toString('base64url')}`,
    `${header}.${payload}.${signature}=`,
    `${header}.${payload}.${signature}.${signature}`,
    `${header}.${payload}`,
    ` ${assertion}`,
  ]
  for (const one of changed) assert.equal(await outcome(a, one), 'invalid_client', one.slice(0, 40))
  // None of these attempts has used the assertion up.
  assert.equal(await outcome(a, assertion), 'issued')
})

test('a proof, a token or a JWT of any other type is no client assertion', async t => {
  verifies('RFC7523-3-6')
  const a = await authority(t)
  for (const typ of ['dpop+jwt', 'at+jwt', 'logout+jwt', 'oauth-authz-req+jwt', 'unheard+jwt', 7]) {
    assert.equal(await outcome(a, a.operator.assertion({}, { typ })), 'invalid_client', String(typ))
  }
  for (const typ of [undefined, 'JWT', 'application/client-authentication+jwt']) {
    assert.equal(await outcome(a, a.operator.assertion({}, { typ })), 'issued', String(typ))
  }
})

test('a client_id beside the assertion must be that of the assertion', async t => {
  verifies('RFC7523-3-7')
  const a = await authority(t)
  const other = await newAgent(a)
  assert.equal(await outcome(a, a.operator.assertion(), { client_id: other.clientId }), 'invalid_client')
  assert.equal(await outcome(a, a.operator.assertion(), { client_id: a.operator.clientId }), 'issued')
})

test('Ed25519 keys authenticate like ES256 keys', async t => {
  verifies('RFC7523-3-5')
  const a = await authority(t)
  const agent = await newAgent(a, { alg: 'Ed25519' })
  const answer = await agent.tokenRequest({ resource: `${a.issuer}/api/v1` })
  assert.equal(answer.status, 200)
})
