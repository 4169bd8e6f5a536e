// DPoP: the published proofs are good, and a proof that differs in any one respect is not (RFC 9449 §4.3, property 26).
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { encodeBase64url } from './base64url.ts'
import { accessTokenHash, checkProof, createProof, type ProofInput, proofHeader } from './dpop.ts'
import { isFault } from './fault.ts'
import { generateKeyPair, type KeyPair, keyCache } from './jwk.ts'
import { completeJws } from './jws.ts'

const pair = generateKeyPair('ES256')
const edwards = generateKeyPair('Ed25519')
const now = 1_700_000_000
const uri = 'https://as.example/token'

const site = (proof: string, other: Partial<ProofInput> = {}): ProofInput => ({
  proof,
  method: 'POST',
  uri,
  now,
  keys: keyCache(8),
  nonce: () => 'ok',
  ...other,
})

/** What a proof is refused for, as the log sees it; undefined when it is good. */
function refusal(input: ProofInput): string | undefined {
  try {
    checkProof(input)
  } catch (error) {
    assert.ok(isFault(error), String(error))
    assert.ok(error.code === 'invalid_dpop_proof' || error.code === 'use_dpop_nonce')
    return error.why?.kind
  }
  return undefined
}

const goodHeader = (by: KeyPair): Record<string, unknown> => {
  const { kty, crv, x, y } = by.verify.jwk
  return { alg: by.verify.alg.name, typ: 'dpop+jwt', jwk: { kty, crv, x, ...(y === undefined ? {} : { y }) } }
}
const goodClaims = { jti: 'jti-1', htm: 'POST', htu: uri, iat: now }

/** A proof with any header and claims at all, whose signature holds. */
function forge(header: object, claims: object, by: KeyPair = pair): string {
  const input = `${encodeBase64url(JSON.stringify(header))}.${encodeBase64url(JSON.stringify(claims))}`
  return completeJws(input, by.sign.alg.sign(Buffer.from(input), by.sign.key))
}

const withClaims = (change: object): string => forge(goodHeader(pair), { ...goodClaims, ...change })
const withHeader = (change: object): string => forge({ ...goodHeader(pair), ...change }, goodClaims)

const publishedKey =
  'eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19'
// RFC 9449 §4.1 and §7.1.
const publishedTokenProof = `${publishedKey}.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ.2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg`
const publishedResourceProof = `${publishedKey}.eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjYxOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd-jfxSYoMxhAJpLjA`
const publishedToken = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU'

test('accepts the proofs of RFC 9449, and finds their thumbprint and their hash of the token', () => {
  assert.equal(accessTokenHash(publishedToken), 'fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo')
  const first = checkProof(
    site(publishedTokenProof, { uri: 'https://server.example.com/token', now: 1_562_262_616 }),
  )
  assert.equal(first.jkt, '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I')
  assert.equal(first.jti, '-BwC3ESc6acc2lTc')
  const resource = {
    method: 'GET',
    uri: 'https://resource.example.org/protectedresource',
    now: 1_562_262_620,
  }
  const second = checkProof(site(publishedResourceProof, { ...resource, accessToken: publishedToken }))
  assert.equal(second.jkt, first.jkt)
  assert.equal(
    refusal(site(publishedResourceProof, { ...resource, accessToken: `${publishedToken}x` })),
    'ath',
  )
})

test('accepts the proofs it makes, for every algorithm and with everything in them', () => {
  for (const by of [pair, edwards, generateKeyPair('EdDSA')]) {
    const request = { key: by.sign, method: 'POST', uri: `${uri}?a=b#c`, nowSeconds: now }
    const header = proofHeader(by.sign)
    for (const proof of [
      createProof(request),
      createProof({ ...request, header, jti: 'x', nonce: 'n', accessToken: 't' }),
    ]) {
      const result = checkProof(
        site(proof, { nonce: nonce => (nonce === undefined || nonce === 'n' ? 'ok' : 'stale') }),
      )
      assert.equal(result.jkt, by.verify.jkt)
      assert.equal(result.key.jkt, by.verify.jkt)
      assert.equal(result.iat, now)
    }
  }
  assert.throws(
    () => createProof({ key: pair.sign, method: 'GET', uri: 'not a url', nowSeconds: now }),
    RangeError,
  )
})

test('refuses a proof of another type, algorithm or key than its header may have', () => {
  const { jwk } = goodHeader(pair) as { jwk: object }
  const secret = pair.secret.reveal()
  const headers: [change: object, kind: string][] = [
    [{ typ: undefined }, 'header_key'],
    [{ typ: 'jwt' }, 'header_key'],
    [{ typ: 'at+jwt' }, 'header_key'],
    [{ typ: 'at+jwt', jwk: undefined }, 'typ'],
    [{ alg: 'none' }, 'algorithm'],
    [{ alg: 'HS256' }, 'algorithm'],
    [{ alg: 'RS256' }, 'algorithm'],
    [{ alg: 'Ed25519' }, 'algorithm'],
    [{ crit: ['jwk'] }, 'header_critical'],
    [{ jwk: undefined }, 'key'],
    [{ jwk: null }, 'key'],
    [{ jwk: [jwk] }, 'key'],
    [{ jwk: { ...jwk, d: secret.d } }, 'key'],
    [{ jwk: { ...jwk, use: 'enc' } }, 'key'],
    [{ jwk: { ...jwk, alg: 'ES384' } }, 'key'],
    [{ jwk: { ...jwk, key_ops: ['sign'] } }, 'key'],
    [{ jwk: { kty: 'oct', k: 'AAAA' } }, 'key'],
    [{ jwk: goodHeader(edwards)['jwk'] }, 'algorithm'],
    [{ jwk: goodHeader(generateKeyPair('ES256'))['jwk'] }, 'signature'],
  ]
  for (const [change, kind] of headers)
    assert.equal(refusal(site(withHeader(change))), kind, JSON.stringify(change))
  assert.equal(
    refusal(site(withHeader({ typ: 'application/DPoP+jwt', kid: 'x', jku: 'https://evil.example' }))),
    undefined,
  )
})

test('refuses a MAC keyed with the public key of the header', () => {
  const input = `${encodeBase64url(JSON.stringify({ ...goodHeader(pair), alg: 'HS256' }))}.${encodeBase64url(JSON.stringify(goodClaims))}`
  const mac = createHmac('sha256', JSON.stringify(pair.verify.jwk)).update(input).digest()
  assert.equal(refusal(site(completeJws(input, mac))), 'algorithm')
})

test('refuses claims that are missing, mistyped, or of another request', () => {
  const changes: [change: object, kind: string][] = [
    [{ jti: undefined }, 'jti'],
    [{ jti: '' }, 'jti'],
    [{ jti: 1 }, 'jti'],
    [{ jti: 'j'.repeat(257) }, 'jti'],
    [{ htm: undefined }, 'htm'],
    [{ htm: 'GET' }, 'htm'],
    [{ htm: 'post' }, 'htm'],
    [{ htm: ['POST'] }, 'htm'],
    [{ htu: undefined }, 'htu'],
    [{ htu: 'https://as.example/token2' }, 'htu'],
    [{ htu: 'https://as.example/Token' }, 'htu'],
    [{ htu: 'https://as.example/token/' }, 'htu'],
    [{ htu: 'http://as.example/token' }, 'htu'],
    [{ htu: 'https://as.example:8443/token' }, 'htu'],
    [{ htu: 'https://evil.example/token' }, 'htu'],
    [{ htu: 'https://as.example@evil.example/token' }, 'htu'],
    [{ htu: 'https://as.example/token?a' }, 'htu'],
    [{ htu: 'https://as.example/token#a' }, 'htu'],
    [{ htu: '/token' }, 'htu'],
    [{ htu: [uri] }, 'htu'],
    [{ iat: undefined }, 'iat'],
    [{ iat: String(now) }, 'iat'],
    [{ iat: -1 }, 'iat'],
    [{ iat: null }, 'iat'],
    [{ nonce: 1 }, 'nonce'],
    [{ extra: { a: { b: { c: {} } } } }, 'payload'],
    [{ extra: 'x'.repeat(4_096) }, 'payload'],
  ]
  for (const [change, kind] of changes)
    assert.equal(refusal(site(withClaims(change))), kind, JSON.stringify(change))
  assert.equal(refusal(site(withClaims({ jti: 'j'.repeat(256), more: 1 }))), undefined)
})

test('compares URIs as RFC 3986 says they are equal', () => {
  for (const htu of [
    'HTTPS://AS.example/token',
    'https://as.example:443/token',
    'https://as.example/x/../token',
    'https://as.example/%74oken',
  ]) {
    assert.equal(refusal(site(withClaims({ htu }))), undefined, htu)
  }
  assert.equal(refusal(site(withClaims({}), { uri: `${uri}?x=[1]#y` })), undefined)
  assert.equal(refusal(site(withClaims({}), { uri: 'not a uri' })), 'request_uri')
})

test('takes a proof from 60 seconds back to 5 ahead, and remembers it for longer than that', () => {
  const cases: [iat: number, kind: string | undefined][] = [
    [now - 60, undefined],
    [now - 60.5, 'too_old'],
    [now - 61, 'too_old'],
    [now + 5, undefined],
    [now + 5.5, 'in_future'],
    [now + 6, 'in_future'],
  ]
  for (const [iat, kind] of cases) assert.equal(refusal(site(withClaims({ iat }))), kind, String(iat))
  assert.equal(checkProof(site(withClaims({ iat: now + 5 }))).replayUntil, now + 5 + 60 + 5)
  const short = { maxAgeSeconds: 10, aheadSeconds: 0 }
  assert.equal(refusal(site(withClaims({ iat: now - 11 }), short)), 'too_old')
  assert.equal(refusal(site(withClaims({ iat: now + 1 }), short)), 'in_future')
  assert.equal(refusal(site(withClaims({}), { now: Number.NaN })), 'too_old')
})

test('wants the hash of the token where there is a token', () => {
  const proof = withClaims({ ath: accessTokenHash('token') })
  assert.equal(refusal(site(proof, { accessToken: 'token' })), undefined)
  assert.equal(refusal(site(proof, { ath: accessTokenHash('token') })), undefined)
  assert.equal(refusal(site(proof, { accessToken: 'token2' })), 'ath')
  assert.equal(refusal(site(proof, { accessToken: '' })), 'ath')
  for (const ath of [
    undefined,
    null,
    '',
    'token',
    accessTokenHash('token').slice(0, -1),
    [accessTokenHash('token')],
  ]) {
    assert.equal(refusal(site(withClaims({ ath }), { accessToken: 'token' })), 'ath')
  }
})

test('asks for a nonce only when everything else is right', () => {
  const verdicts = {
    nonce: (nonce: string | undefined) =>
      nonce === undefined ? 'missing' : nonce === 'fresh' ? 'ok' : 'stale',
  } as const
  assert.equal(refusal(site(withClaims({}), verdicts)), 'nonce_missing')
  assert.equal(refusal(site(withClaims({ nonce: 'old' }), verdicts)), 'nonce_stale')
  assert.equal(refusal(site(withClaims({ nonce: 'fresh' }), verdicts)), undefined)
  assert.equal(refusal(site(withClaims({ nonce: 'old', htm: 'GET' }), verdicts)), 'htm')
  const other = withHeader({ jwk: goodHeader(generateKeyPair('ES256'))['jwk'] })
  assert.equal(refusal(site(other, verdicts)), 'signature')
})

test('says the same sentence whatever is wrong', () => {
  const said = new Set<string>()
  for (const proof of [
    '',
    'x',
    withClaims({ htm: 'GET' }),
    withHeader({ typ: 'jwt' }),
    withClaims({ iat: 1 }),
    withHeader({ jwk: 1 }),
  ]) {
    assert.throws(
      () => checkProof(site(proof)),
      error => isFault(error) && error.code === 'invalid_dpop_proof' && Boolean(said.add(error.message)),
    )
  }
  assert.equal(said.size, 1)
})

test('refuses two proofs in one header, and proofs beyond the bound', () => {
  const proof = withClaims({})
  for (const text of [
    `${proof}, ${proof}`,
    `${proof} ${proof}`,
    `${proof}.${proof}`,
    ` ${proof}`,
    `${proof}\n`,
  ]) {
    assert.notEqual(refusal(site(text)), undefined)
  }
  assert.equal(refusal(site(`${proof}${'A'.repeat(8_192)}`)), 'too_large')
})

test('imports a key only after a signature by it has held, and then accepts no other one by its header', () => {
  const keys = keyCache(8)
  const good = withClaims({})
  const [header = '', payload = '', signature = ''] = good.split('.')
  const forged = `${header}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
  assert.equal(refusal(site(forged, { keys })), 'signature')
  assert.equal(keys.proof(header), undefined)
  assert.equal(refusal(site(good, { keys })), undefined)
  assert.equal(keys.proof(header)?.jkt, pair.verify.jkt)
  assert.equal(refusal(site(good, { keys })), undefined)
  assert.equal(refusal(site(forged, { keys })), 'signature')
  const byOther = forge(goodHeader(pair), goodClaims, generateKeyPair('ES256'))
  assert.equal(refusal(site(byOther, { keys })), 'signature')
  assert.equal(refusal(site(withClaims({ htm: 'GET' }), { keys })), 'htm')
})

test('names the use by key, URI and jti, so that none of them can stand for another', () => {
  const key = (claims: object, by = pair, at = uri): string =>
    checkProof(site(forge(goodHeader(by), { ...goodClaims, ...claims }, by), { uri: at })).replayKey
  assert.equal(key({}), key({ iat: now - 1, nonce: 'n' }))
  assert.equal(key({}), key({ htu: 'HTTPS://as.example:443/token' }))
  const distinct = [
    key({}),
    key({ jti: 'jti-2' }),
    key({ jti: '4:jti-' }),
    key({}, edwards),
    key({ htu: `${uri}2` }, pair, `${uri}2`),
    key({ htu: `${uri}2`, jti: 'ti-1' }, pair, `${uri}2`),
  ]
  assert.equal(new Set(distinct).size, distinct.length)
  for (const mark of distinct) assert.match(mark, /^[A-Za-z0-9_-]{43}$/)
})

test('refuses a proof after any change of a single bit, with its key imported before or not', () => {
  const proofs = [pair, edwards].map(by =>
    createProof({ key: by.sign, method: 'POST', uri, nowSeconds: now, accessToken: 't' }),
  )
  const keys = keyCache(8)
  for (const proof of proofs) checkProof(site(proof, { keys }))
  fc.assert(
    fc.property(
      fc.constantFrom(...proofs),
      fc.nat(),
      fc.nat(15),
      fc.boolean(),
      (proof, place, bit, isKnown) => {
        const at = place % proof.length
        const changed =
          proof.slice(0, at) + String.fromCharCode(proof.charCodeAt(at) ^ (1 << bit)) + proof.slice(at + 1)
        assert.notEqual(refusal(site(changed, { accessToken: 't', ...(isKnown ? { keys } : {}) })), undefined)
      },
    ),
    { numRuns: 2_000 },
  )
})

test('accepts only what matches in method, URI, time, token and nonce together', () => {
  const methods = fc.constantFrom('GET', 'POST')
  const uris = fc.constantFrom(uri, 'https://as.example/rekey')
  const tokens = fc.constantFrom(undefined, 'a', 'b')
  const request = fc.record({
    method: methods,
    uri: uris,
    token: tokens,
    nonce: fc.constantFrom(undefined, 'n', 'm'),
  })
  const keys = keyCache(8)
  fc.assert(
    fc.property(request, request, fc.integer({ min: -70, max: 15 }), (made, met, age) => {
      const optional = {
        ...(made.token === undefined ? {} : { accessToken: made.token }),
        ...(made.nonce === undefined ? {} : { nonce: made.nonce }),
      }
      const proof = createProof({
        key: pair.sign,
        method: made.method,
        uri: made.uri,
        nowSeconds: now + age,
        ...optional,
      })
      const input = {
        method: met.method,
        uri: met.uri,
        keys,
        nonce: (nonce: string | undefined) => (nonce === met.nonce ? 'ok' : 'stale'),
      } as const
      const isGood =
        made.method === met.method &&
        made.uri === met.uri &&
        (met.token === undefined || made.token === met.token) &&
        made.nonce === met.nonce &&
        age >= -60 &&
        age <= 5
      const given = met.token === undefined ? input : { ...input, accessToken: met.token }
      assert.equal(refusal(site(proof, given)) === undefined, isGood)
    }),
    { numRuns: 1_500 },
  )
})

test('ends for arbitrary texts with a refusal', () => {
  const segment = fc.oneof(
    fc.jsonValue().map(value => encodeBase64url(JSON.stringify(value))),
    fc.constant(publishedKey),
    fc.string(),
  )
  const joined = fc.array(segment, { maxLength: 4 }).map(parts => parts.join('.'))
  fc.assert(
    fc.property(fc.oneof(joined, fc.string({ unit: 'binary' })), text => {
      assert.notEqual(refusal(site(text)), undefined)
    }),
    { numRuns: 3_000 },
  )
})
