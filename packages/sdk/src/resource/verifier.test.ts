// The verifier under attack: stolen, replayed, downgraded, confused, forged, smuggled. Every refusal by its true reason.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Code, isFault } from '../protocol/fault.ts'
import { generateKeyPair } from '../protocol/jwk.ts'
import { signJws } from '../protocol/jws.ts'
import type { Caller } from './caller.ts'
import type { Evidence, HeaderSource } from './evidence.ts'
import { sharedReplayStore } from './shared-replay.ts'
import { movableClock } from './testing/clock.ts'
import {
  createHolder,
  type Holder,
  type IssuerFixture,
  kidOf,
  type ProofOf,
  startIssuer,
  until,
} from './testing/issuer.ts'
import { createVerifier, type Verifier, type VerifierOptions } from './verifier.ts'

const resource = 'https://api.example'
const uri = `${resource}/invoices`
let issuer: IssuerFixture
let verifier: Verifier
const holder = createHolder()
const thief = createHolder('Ed25519')
const open = async (options: Partial<VerifierOptions> = {}): Promise<Verifier> => {
  const opened = createVerifier({ issuer: issuer.url, resource, ...options })
  await opened.ready()
  return opened
}
before(async () => {
  issuer = await startIssuer()
  verifier = await open()
})
after(() => {
  verifier.close()
  return issuer.close()
})

const bound = (claims: Record<string, unknown> = {}, by: Holder = holder): string =>
  issuer.issue({ cnf: { jkt: by.jkt }, ...claims })
const call = (headers: Record<string, string> | HeaderSource, over: Partial<Evidence> = {}): Evidence => ({
  method: 'GET',
  url: '/invoices?page=2',
  headers:
    Array.isArray(headers) || headers instanceof Headers
      ? headers
      : new Headers(headers as Record<string, string>),
  ...over,
})
const refused = (attempt: Promise<unknown>, code: Code, kind: string): Promise<void> =>
  assert.rejects(attempt, error => {
    assert.ok(isFault(error), String(error))
    assert.deepEqual([error.code, error.why?.kind], [code, kind])
    return true
  })
const proven = (token: string, proof: Partial<ProofOf> = {}, by = holder): Record<string, string> =>
  by.headers(token, { uri, ...proof })

test('says which agent calls, for whom, on which grants and with which rights', async () => {
  const token = bound({ sub: 'usr_7', scope: 'invoices:read invoices:write' })
  const caller = await verifier.verify(call(proven(token)))
  const { may, holds, tokenId, expiresAt, ...facts } = caller
  assert.deepEqual(facts, {
    agent: 'agt_1',
    ...{ instance: 'ins_1', epoch: 1, clientKey: 'client-key' },
    ...{ session: null, task: null, authorizationDetails: [] },
    subject: 'usr_7',
    person: 'usr_7',
    chain: ['agt_1'],
    grant: 'grt_1',
    grants: ['grt_1'],
    scopes: ['invoices:read', 'invoices:write'],
    key: holder.jkt,
  })
  assert.equal(may('invoices:write') && !may('invoices') && !may(''), true)
  assert.equal(holds(), true)
  assert.equal(typeof tokenId, 'string')
  assert.ok(expiresAt > Date.now() / 1000)
  const own = await verifier.verify(call(proven(bound())))
  assert.equal(own.person, null)
})

test('refuses a stolen token under the key of somebody else, and under the proof of its holder for another token', async () => {
  const token = bound()
  await refused(verifier.verify(call(proven(token, {}, thief))), 'invalid_token', 'wrong_key')
  await refused(verifier.verify(call({ authorization: `DPoP ${token}` })), 'invalid_dpop_proof', 'no_proof')
  const other = { authorization: `DPoP ${token}`, dpop: holder.prove({ uri, token: bound() }) }
  await refused(verifier.verify(call(other)), 'invalid_dpop_proof', 'ath')
  const none = { authorization: `DPoP ${token}`, dpop: holder.prove({ uri }) }
  await refused(verifier.verify(call(none)), 'invalid_dpop_proof', 'ath')
})

test('accepts a proof once, however many race with it', async () => {
  const headers = proven(bound())
  const attempts = await Promise.allSettled(Array.from({ length: 20 }, () => verifier.verify(call(headers))))
  assert.equal(attempts.filter(({ status }) => status === 'fulfilled').length, 1)
  await refused(verifier.verify(call(headers)), 'invalid_dpop_proof', 'proof_replayed')
})

test('refuses a proof for another method, address, time or key, whatever the request says of its host', async () => {
  const token = bound()
  const now = Math.floor(Date.now() / 1000)
  const wrong: [Partial<ProofOf>, string][] = [
    [{ method: 'POST' }, 'htm'],
    [{ uri: `${resource}/invoices/1` }, 'htu'],
    [{ uri: 'https://evil.example/invoices' }, 'htu'],
    [{ uri: 'http://api.example/invoices' }, 'htu'],
    [{ uri: 'https://api.example:8443/invoices' }, 'htu'],
    [{ nowSeconds: now - 120 }, 'too_old'],
    [{ nowSeconds: now + 60 }, 'in_future'],
  ]
  for (const [proof, kind] of wrong) {
    const headers = { ...proven(token, proof), host: 'evil.example', 'x-forwarded-host': 'evil.example' }
    await refused(verifier.verify(call(headers)), 'invalid_dpop_proof', kind)
  }
  const absolute = call(proven(token), { url: 'http://evil.example/invoices?x' })
  assert.equal((await verifier.verify(absolute)).agent, 'agt_1')
})

test('refuses a bound token as bearer, a bearer token as bound, and bearer where it is not allowed', async () => {
  const token = bound()
  await refused(verifier.verify(call({ authorization: `Bearer ${token}` })), 'invalid_token', 'downgrade')
  const both = { ...proven(token), authorization: `Bearer ${token}` }
  await refused(verifier.verify(call(both)), 'invalid_token', 'downgrade')
  await refused(verifier.verify(call(proven(issuer.issue()))), 'invalid_token', 'downgrade')
  await refused(
    verifier.verify(call({ authorization: `Bearer ${issuer.issue()}` })),
    'invalid_token',
    'bearer',
  )
  const allowing = await open({ bearer: true })
  assert.equal((await allowing.verify(call({ authorization: `Bearer ${issuer.issue()}` }))).key, null)
  await refused(allowing.verify(call({ authorization: `Bearer ${token}` })), 'invalid_token', 'downgrade')
  const unknown = issuer.issue({ cnf: { 'x5t#S256': 'abc' } })
  await refused(
    allowing.verify(call({ authorization: `Bearer ${unknown}` })),
    'invalid_token',
    'confirmation',
  )
  allowing.close()
})

test('refuses every other kind of JWT, also when our issuer has signed it', async () => {
  for (const typ of [
    'JWT',
    'dpop+jwt',
    'client-authentication+jwt',
    'logout+jwt',
    'secevent+jwt',
    'at+jwt2',
    '',
  ]) {
    const token = issuer.issue({ cnf: { jkt: holder.jkt } }, { typ })
    await refused(verifier.verify(call(proven(token))), 'invalid_token', 'typ')
  }
  const accepted = issuer.issue({ cnf: { jkt: holder.jkt } }, { typ: 'application/at+jwt' })
  assert.equal((await verifier.verify(call(proven(accepted)))).agent, 'agt_1')
})

test('refuses tokens of another issuer, for another resource, expired, early, too long-lived, or without their claims', async () => {
  const now = Math.floor(Date.now() / 1000)
  const wrong: [Record<string, unknown>, string][] = [
    [{ iss: `${issuer.url}/` }, 'issuer'],
    [{ iss: 'https://evil.example' }, 'issuer'],
    [{ aud: 'https://other.example' }, 'audience'],
    [{ aud: `${resource}/` }, 'audience'],
    [{ aud: [resource, 'https://other.example'] }, 'audience'],
    [{ exp: now - 60 }, 'expired'],
    [{ iat: now + 60 }, 'issued_in_future'],
    [{ exp: now + 7200 }, 'life_too_long'],
    [{ client_id: undefined }, 'claims'],
    [{ jti: undefined }, 'claims'],
    [{ writ: undefined }, 'roots'],
    [{ cnf: { jkt: holder.jkt, jwk: {} } }, 'confirmation'],
    [{ scope: 'a  b' }, 'scope'],
    [{ act: { sub: 'agt_2' } }, 'delegation'],
  ]
  for (const [claims, kind] of wrong) {
    await refused(verifier.verify(call(proven(bound(claims)))), 'invalid_token', kind)
  }
})

test('refuses a token whose signature, algorithm or key is not the published one', async () => {
  const forger = generateKeyPair('ES256')
  const forged = issuer.issue({ cnf: { jkt: holder.jkt } }, { key: forger, kid: kidOf(issuer.signer) })
  await refused(verifier.verify(call(proven(forged))), 'invalid_token', 'signature')
  const stranger = issuer.issue({ cnf: { jkt: holder.jkt } }, { key: forger })
  await refused(verifier.verify(call(proven(stranger))), 'invalid_token', 'unknown_key')
  const [header = '', payload = '', signature = ''] = bound().split('.')
  const with_ = (members: Record<string, unknown>): string => {
    const given = JSON.parse(Buffer.from(header, 'base64url').toString())
    return Buffer.from(JSON.stringify({ ...given, ...members })).toString('base64url')
  }
  const tricks: [string, string][] = [
    [`${with_({ alg: 'none' })}.${payload}.`, 'algorithm'],
    [`${with_({ alg: 'none' })}.${payload}.${signature}`, 'algorithm'],
    [`${with_({ alg: 'HS256' })}.${payload}.${signature}`, 'algorithm'],
    [`${with_({ alg: 'Ed25519' })}.${payload}.${signature}`, 'signature'],
    [`${with_({ jwk: forger.verify.jwk })}.${payload}.${signature}`, 'header_key'],
    [`${with_({ crit: ['exp'] })}.${payload}.${signature}`, 'header_critical'],
    [`${with_({ kid: undefined })}.${payload}.${signature}`, 'no_kid'],
    [`${header}.${payload}.${signature.slice(0, -2)}`, 'signature'],
    [`${header}.${payload}.${signature}.x`, 'segments'],
    [`${header}.${payload}=.${signature}`, 'base64url'],
    ['x'.repeat(9000), 'too_large'],
  ]
  for (const [token, kind] of tricks)
    await refused(verifier.verify(call(proven(token))), 'invalid_token', kind)
})

test('reads credentials from exactly one Authorization header and nowhere else', async () => {
  const token = bound()
  const { authorization = '', dpop = '' } = proven(token)
  const lines = (...pairs: string[]): Evidence => call(pairs)
  await refused(verifier.verify(lines('Host', 'x')), 'invalid_token', 'no_credentials')
  await refused(verifier.verify(lines('Authorization', 'Basic eDp5')), 'invalid_token', 'no_credentials')
  await refused(
    verifier.verify(lines('Authorization', authorization, 'DPoP', dpop, 'authorization', authorization)),
    'invalid_request',
    'two_authorizations',
  )
  const joined = new Headers([
    ['authorization', authorization],
    ['authorization', authorization],
    ['dpop', dpop],
  ])
  await refused(verifier.verify(call(joined)), 'invalid_request', 'authorization')
  for (const value of ['DPoP', 'DPoP ', `DPoP ${token} ${token}`, `DPoP ${token},${token}`]) {
    await refused(
      verifier.verify(lines('Authorization', value, 'DPoP', dpop)),
      'invalid_request',
      'authorization',
    )
  }
  await refused(
    verifier.verify(call([], { url: `/invoices?access_token=${token}` })),
    'invalid_token',
    'no_credentials',
  )
  const twice = call({ authorization, dpop }, { url: `/invoices?x=1&access_token=${token}` })
  await refused(verifier.verify(twice), 'invalid_request', 'token_in_query')
  await refused(
    verifier.verify(lines('Authorization', authorization, 'DPoP', dpop, 'dpop', dpop)),
    'invalid_dpop_proof',
    'two_proofs',
  )
  const two = new Headers([
    ['authorization', authorization],
    ['dpop', dpop],
    ['dpop', dpop],
  ])
  await refused(verifier.verify(call(two)), 'invalid_dpop_proof', 'segments')
  assert.equal((await verifier.verify(lines('AUTHORIZATION', `dpop  ${token}`, 'dPoP', dpop))).agent, 'agt_1')
})

test('opens nothing beside the path of the resource, however the path is spelt', async () => {
  const below = await open({ resource: `${resource}/v1` })
  const token = bound({ aud: `${resource}/v1` })
  const at = (url: string, proofUri: string): Promise<Caller> =>
    below.verify(call(proven(token, { uri: proofUri }), { url }))
  assert.equal((await at('/v1', `${resource}/v1`)).agent, 'agt_1')
  assert.equal((await at('/v1/a%7Eb?x=/../y', `${resource}/v1/a~b`)).agent, 'agt_1')
  assert.equal((await at('/v1/a%2fb', `${resource}/v1/a%2Fb`)).agent, 'agt_1')
  for (const url of ['/', '/v10', '/V1/x', '/admin', '//v1/x']) {
    await refused(at(url, `${resource}${url}`), 'not_found', 'outside')
  }
  for (const url of [
    '/v1/../admin',
    '/v1/%2e%2E/admin',
    '/v1/..',
    '/v1/.?x',
    '/v1\\..\\admin',
    '/v1/..%2fadmin',
    '/v1/%zz',
    '*',
    '/v1/ä',
  ]) {
    await refused(at(url, `${resource}/admin`), 'invalid_request', 'target')
  }
  below.close()
})

test('knows its public address from configuration where a proxy cuts the path', async () => {
  const behind = await open({ publicUrl: `${resource}/base/` })
  const token = bound()
  const caller = await behind.verify(call(proven(token, { uri: `${resource}/base/invoices` })))
  assert.equal(caller.agent, 'agt_1')
  await refused(behind.verify(call(proven(token))), 'invalid_dpop_proof', 'htu')
  behind.close()
  assert.throws(
    () => createVerifier({ issuer: issuer.url, resource, publicUrl: 'https://other.example' }),
    RangeError,
  )
})

test('demands its own nonce where it is told to, and only from a proof that is good in all else', async () => {
  const strict = await open({ nonce: 'required' })
  const token = bound()
  await refused(strict.verify(call(proven(token))), 'use_dpop_nonce', 'nonce_missing')
  await refused(strict.verify(call(proven(token, { nonce: 'made-up' }))), 'use_dpop_nonce', 'nonce_stale')
  await refused(strict.verify(call(proven(token, { method: 'PUT' }))), 'invalid_dpop_proof', 'htm')
  const nonce = strict.nonce() ?? ''
  assert.equal((await strict.verify(call(proven(token, { nonce })))).agent, 'agt_1')
  assert.equal(verifier.nonce(), undefined)
  strict.close()
})

test('refuses a token in its cache from the moment it expires', async () => {
  const clock = movableClock()
  const timed = await open({ clock })
  const token = bound()
  const now = (): number => Math.floor(clock.wallMs() / 1000)
  const caller = await timed.verify(call(proven(token)))
  clock.pass(290)
  await until(() =>
    timed.verify(call(proven(token, { nowSeconds: now() }))).then(
      () => true,
      () => false,
    ),
  )
  clock.pass(20)
  assert.equal(caller.holds(), false)
  await until(() => timed.ready().then(() => true))
  await refused(timed.verify(call(proven(token, { nowSeconds: now() }))), 'invalid_token', 'ended')
  timed.close()
})

test('verifies no token twice, imports no key twice, and reads the key set of the issuer once', async () => {
  const fresh = await open()
  const reads = issuer.asked.get('/jwks')
  const token = bound()
  const callers = new Set<Caller>()
  for (let at = 0; at < 20; at += 1) callers.add(await fresh.verify(call(proven(token))))
  assert.equal(callers.size, 1, 'one verified token, one caller')
  assert.equal(issuer.asked.get('/jwks'), reads)
  fresh.close()
})

test('refuses a proof that another verifier of the same resource has seen, where they share a store', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'writ-verifier-'))
  const replay = sharedReplayStore(join(folder, 'marks.db'))
  const other = sharedReplayStore(join(folder, 'marks.db'))
  const [first, second] = [await open({ replay }), await open({ replay: other })]
  const headers = proven(bound())
  assert.equal((await first.verify(call(headers))).agent, 'agt_1')
  await refused(second.verify(call(headers)), 'invalid_dpop_proof', 'proof_replayed')
  assert.match(first.guarantees().replay, /all processes of this host/)
  assert.match(verifier.guarantees().replay, /once by this process/)
  other.close()
  await refused(second.verify(call(proven(bound()))), 'temporarily_unavailable', 'replay_store_failed')
  first.close()
  second.close()
  replay.close()
  rmSync(folder, { recursive: true })
})

test('refuses to start on options that cannot be made safe', () => {
  const wrong: Partial<VerifierOptions>[] = [
    { issuer: 'http://issuer.example' },
    { issuer: 'not a url' },
    { resource: 'api.example' },
    { resource: 'urn:example:api' },
    { resource: `${resource}?x=1` },
    { resource: `${resource}#x` },
    { resource: 'http://api.example', bearer: true },
  ]
  for (const options of wrong) {
    assert.throws(
      () => createVerifier({ issuer: issuer.url, resource, ...options }),
      RangeError,
      JSON.stringify(options),
    )
  }
})

test('any single changed bit of a token or a proof is a refusal', async () => {
  const { authorization = '', dpop = '' } = proven(bound())
  const flip = (text: string, at: number): string =>
    text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1)
  const places = Array.from({ length: Math.floor((authorization.length - 5) / 7) }, (_, at) => 5 + 7 * at)
  // All at once: a flip in the key's id makes its request wait for the issuer's keys.
  const attempt = (at: number): Promise<unknown> =>
    verifier.verify(call({ authorization: flip(authorization, at), dpop }))
  await Promise.all(places.map(at => assert.rejects(attempt(at), isFault)))
  for (let at = 0; at < dpop.length; at += 7) {
    await assert.rejects(verifier.verify(call({ authorization, dpop: flip(dpop, at) })), isFault)
  }
  assert.equal((await verifier.verify(call({ authorization, dpop }))).agent, 'agt_1')
})

test('is told apart from the issuer when the issuer speaks its own proofs: a DPoP proof is no token', async () => {
  const proof = signJws({ typ: 'dpop+jwt', jwk: holder.key.verify.jwk }, { jti: 'x' }, holder.key.sign)
  await refused(verifier.verify(call(proven(proof))), 'invalid_token', 'typ')
})
