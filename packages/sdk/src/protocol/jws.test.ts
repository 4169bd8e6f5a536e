// Signatures: what is not exactly one strict compact JWS is refused, and the key alone decides what is accepted.
import assert from 'node:assert/strict'
import { createHmac, sign } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { decodeBase64url, encodeBase64url } from './base64url.ts'
import { generateKeyPair, type KeyPair, type VerifyKey } from './jwk.ts'
import {
  completeJws,
  type JwsProblem,
  parseJws,
  preparedHeader,
  readHeader,
  readJws,
  signingInput,
  signJws,
  verifyJws,
} from './jws.ts'
import { parseClaims } from './jwt.ts'

const pairs = {
  ES256: generateKeyPair('ES256'),
  Ed25519: generateKeyPair('Ed25519'),
  EdDSA: generateKeyPair('EdDSA'),
}
const each = Object.values(pairs)
const claims = { iss: 'https://as.example', n: 1 }

/** The whole of a verifier: parse, then the key. */
function accepts(token: string, key: VerifyKey): boolean {
  const jws = parseJws(token)
  return jws !== undefined && verifyJws(jws, key)
}

/** A token with any header at all, whose signature by the key is right. */
function forge(header: string | object, { sign: key }: KeyPair, payload: string | object = claims): string {
  const text = (part: string | object): string => (typeof part === 'string' ? part : JSON.stringify(part))
  const input = `${encodeBase64url(text(header))}.${encodeBase64url(text(payload))}`
  return completeJws(input, key.alg.sign(Buffer.from(input), key.key))
}

const problemOf = (token: string): JwsProblem | undefined => {
  const read = readJws(token)
  return typeof read === 'string' ? read : undefined
}

test('verifies what it signed, with a prepared header or a fresh one, and reads the claims back', () => {
  for (const { sign: key, verify } of each) {
    const prepared = preparedHeader({ typ: 'at+jwt', kid: key.jkt }, key.alg)
    const token = signJws(prepared, claims, key)
    assert.ok(accepts(token, verify))
    assert.ok(accepts(signJws({ typ: 'at+jwt' }, claims, key), verify))
    const jws = parseJws(token)
    assert.deepEqual(jws?.header, { alg: key.alg.name, typ: 'at+jwt', kid: key.jkt })
    assert.deepEqual(jws && parseClaims(jws), claims)
    const input = signingInput({ alg: key.alg.name, typ: 'at+jwt', kid: key.jkt }, claims)
    assert.ok(accepts(completeJws(input, key.alg.sign(Buffer.from(input), key.key)), verify))
  }
})

test('will not sign under a header that was prepared for another algorithm', () => {
  const prepared = preparedHeader({ typ: 'at+jwt' }, pairs.ES256.sign.alg)
  assert.throws(() => signJws(prepared, claims, pairs.Ed25519.sign), RangeError)
})

test('refuses none, MACs and every algorithm without a row, also with a signature that holds', () => {
  for (const pair of each) {
    for (const alg of [
      'none',
      'None',
      'NONE',
      'HS256',
      'HS512',
      'RS256',
      'PS384',
      'ML-DSA-65',
      'ES384',
      'ES512',
      'ES256K',
      'Ed448',
      'es256',
      ' ES256',
      '',
      1,
      null,
      ['ES256'],
      { name: 'ES256' },
      '__proto__',
      'constructor',
    ]) {
      assert.equal(problemOf(forge({ alg }, pair)), 'algorithm', String(alg))
    }
    assert.equal(problemOf(forge({ typ: 'at+jwt' }, pair)), 'algorithm')
  }
  const input = `${encodeBase64url('{"alg":"none"}')}.${encodeBase64url('{}')}`
  assert.equal(parseJws(`${input}.`), undefined)
})

test('refuses a MAC made with the public key as its secret', () => {
  const { verify } = pairs.ES256
  const secrets = [
    verify.key.export({ type: 'spki', format: 'pem' }),
    verify.key.export({ type: 'spki', format: 'der' }),
    JSON.stringify(verify.jwk),
  ]
  for (const secret of secrets) {
    for (const alg of ['HS256', 'ES256']) {
      const input = signingInput({ alg, typ: 'at+jwt' }, claims)
      assert.equal(
        accepts(completeJws(input, createHmac('sha256', secret).update(input).digest()), verify),
        false,
      )
    }
  }
})

test('accepts an algorithm only with a key of its row; EdDSA and Ed25519 are one', () => {
  for (const signer of each) {
    for (const { verify } of each) {
      for (const alg of ['ES256', 'Ed25519', 'EdDSA']) {
        const isOne = signer.verify === verify && verify.alg.accepts.includes(alg)
        assert.equal(accepts(forge({ alg, typ: 'at+jwt' }, signer), verify), isOne)
      }
    }
  }
  assert.deepEqual([...pairs.Ed25519.verify.alg.accepts], ['Ed25519', 'EdDSA'])
})

test('refuses critical extensions, unencoded and compressed payloads, and encryption headers', () => {
  for (const pair of each) {
    const alg = pair.sign.alg.name
    for (const crit of [['exp'], ['b64'], [], null, 'b64', {}])
      assert.equal(problemOf(forge({ alg, crit }, pair)), 'header_critical')
    assert.equal(problemOf(forge({ alg, crit: ['b64'], b64: false }, pair)), 'header_critical')
    for (const member of [{ b64: false }, { b64: true }, { zip: 'DEF' }, { enc: 'A256GCM' }]) {
      assert.equal(problemOf(forge({ alg, ...member }, pair)), 'header_encoding')
    }
  }
})

test('refuses a header with duplicate members, with members of a wrong type, or that is no object', () => {
  const pair = pairs.ES256
  for (const header of [
    '{"alg":"ES256","alg":"ES256"}',
    '{"alg":"ES256","\\u0061lg":"none"}',
    '{"alg":"ES256","x":{"a":1,"a":1}}',
    '[]',
    'null',
    '"ES256"',
    '',
    '{',
    '{"alg":"ES256"} x',
    '\ufeff{"alg":"ES256"}',
  ]) {
    assert.equal(problemOf(forge(header, pair)), header === '' ? 'segments' : 'header_json', header)
  }
  for (const member of [{ typ: 1 }, { typ: null }, { kid: 1 }, { kid: ['k'] }]) {
    assert.equal(problemOf(forge({ alg: 'ES256', ...member }, pair)), 'header_member')
  }
})

test('refuses a key in the header except in a proof of possession', () => {
  const { jwk } = pairs.ES256.verify
  for (const typ of [
    undefined,
    'at+jwt',
    'JWT',
    'client-authentication+jwt',
    'decision-report+jwt',
    'dpop',
    'dpop+jwt ',
    'x/dpop+jwt',
  ]) {
    assert.equal(problemOf(forge({ alg: 'ES256', typ, jwk }, pairs.ES256)), 'header_key', typ)
  }
  for (const typ of ['dpop+jwt', 'DPoP+JWT', 'application/dpop+jwt']) {
    assert.equal(problemOf(forge({ alg: 'ES256', typ, jwk }, pairs.ES256)), undefined, typ)
  }
})

test('never consults a key or an address of a key that the token brings along', () => {
  const attacker = generateKeyPair('ES256')
  const { jwk, jkt } = attacker.verify
  const baits = [
    { jwk },
    { jku: 'https://evil.example/jwks' },
    { x5u: 'https://evil.example/c' },
    { x5c: ['AAAA'] },
    { kid: jkt },
    { kid: '../../dev/null' },
    { kid: "' or 1=1 --" },
    { 'x5t#S256': jkt },
  ]
  for (const bait of baits) {
    for (const typ of ['at+jwt', 'dpop+jwt', 'jwt']) {
      const token = forge({ alg: 'ES256', typ, ...bait }, attacker)
      for (const { verify } of each) assert.equal(accepts(token, verify), false)
    }
  }
})

test('refuses other serialisations, other counts of segments and other spellings of them', () => {
  const token = signJws({ typ: 'at+jwt' }, claims, pairs.ES256.sign)
  const [header = '', payload = '', signature = ''] = token.split('.')
  const variants = [
    '',
    '.',
    '..',
    '...',
    header,
    `${header}.${payload}`,
    `${token}.`,
    `.${token}`,
    `${token}.${signature}`,
    `.${payload}.${signature}`,
    `${header}..${signature}`,
    `${header}.${payload}.`,
    `${token}=`,
    ` ${token}`,
    `${token}\n`,
    `${header}=.${payload}.${signature}`,
    `${header}.${payload}==.${signature}`,
    `${header}.${payload}.${signature.slice(0, -1)}`,
    `${header}. ${payload}.${signature}`,
    `Bearer ${token}`,
    `${token}, ${token}`,
    JSON.stringify({ protected: header, payload, signature }),
    JSON.stringify({ payload, signatures: [{ protected: header, signature }] }),
    encodeBase64url(token),
  ]
  for (const variant of variants) assert.equal(accepts(variant, pairs.ES256.verify), false, variant)
  // A letter whose low byte is that of a letter of the token: the same bytes, if text became bytes carelessly.
  for (const at of [5, header.length + 3, token.length - 5]) {
    const confused =
      token.slice(0, at) + String.fromCharCode(token.charCodeAt(at) + 0x100) + token.slice(at + 1)
    assert.equal(accepts(confused, pairs.ES256.verify), false)
  }
})

test('refuses more bytes than allowed before reading any of them', () => {
  const token = signJws({ typ: 'at+jwt' }, { pad: 'x'.repeat(13_000) }, pairs.ES256.sign)
  assert.equal(problemOf(token), 'too_large')
  assert.notEqual(parseJws(token, token.length), undefined)
  assert.equal(parseJws(token, token.length - 1), undefined)
  assert.equal(
    readHeader(encodeBase64url(JSON.stringify({ alg: 'ES256', pad: 'x'.repeat(5_000) }))),
    'header_json',
  )
})

test('refuses signatures in DER, of another length, and zero', () => {
  const { sign: key, verify } = pairs.ES256
  const input = signingInput({ alg: 'ES256', typ: 'at+jwt' }, claims)
  const good = key.alg.sign(Buffer.from(input), key.key)
  const der = sign('sha256', Buffer.from(input), key.key)
  for (const bad of [
    der,
    good.subarray(1),
    Buffer.concat([good, Buffer.alloc(1)]),
    Buffer.alloc(64),
    Buffer.alloc(0),
    Buffer.concat([good, good]),
  ]) {
    assert.equal(accepts(completeJws(input, bad), verify), false)
  }
  assert.ok(accepts(completeJws(input, good), verify))
})

test('refuses a claims set that is no object or has duplicates, though its signature holds', () => {
  for (const payload of [
    '[]',
    '"x"',
    'null',
    '{"sub":"a","sub":"b"}',
    '{"sub":"a","s\\u0075b":"b"}',
    '{"n":9007199254740993}',
    '',
    'x',
    '{"a":{"__proto__":1}}',
  ]) {
    const jws = parseJws(forge({ alg: 'ES256' }, pairs.ES256, payload))
    assert.equal(jws && parseClaims(jws), undefined, payload)
  }
})

test('refuses a signed token after any change of a single bit', () => {
  const tokens = each.map(pair => ({
    key: pair.verify,
    token: signJws({ typ: 'at+jwt', kid: pair.sign.jkt }, claims, pair.sign),
  }))
  fc.assert(
    fc.property(fc.constantFrom(...tokens), fc.nat(), fc.nat(15), ({ key, token }, place, bit) => {
      const at = place % token.length
      const changed =
        token.slice(0, at) + String.fromCharCode(token.charCodeAt(at) ^ (1 << bit)) + token.slice(at + 1)
      assert.equal(accepts(changed, key), false)
    }),
    { numRuns: 3_000 },
  )
})

test('refuses after any change of a single bit of the bytes that were signed, or of the signature', () => {
  fc.assert(
    fc.property(fc.constantFrom(...each), fc.nat(2), fc.nat(), (pair, part, place) => {
      const segments = signJws({ typ: 'at+jwt' }, claims, pair.sign).split('.')
      const bytes = decodeBase64url(segments[part] ?? '') ?? Buffer.alloc(0)
      const bit = place % (bytes.length * 8)
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      segments[part] = encodeBase64url(bytes)
      assert.equal(accepts(segments.join('.'), pair.verify), false)
    }),
    { numRuns: 1_000 },
  )
})

test('no header turns a refusal into an acceptance', () => {
  const attacker = { ES256: generateKeyPair('ES256'), Ed25519: generateKeyPair('Ed25519') }
  const header = fc.record(
    {
      alg: fc.constantFrom('ES256', 'Ed25519', 'EdDSA', 'none', 'HS256', 'RS256'),
      typ: fc.constantFrom('at+jwt', 'dpop+jwt', 'JWT', 'application/at+jwt'),
      kid: fc.constantFrom(...each.map(pair => pair.verify.jkt), 'x'),
      jwk: fc.constantFrom(
        ...each.map(pair => pair.verify.jwk),
        attacker.ES256.verify.jwk,
        attacker.Ed25519.verify.jwk,
      ),
      jku: fc.webUrl(),
      x5c: fc.constant(['AAAA']),
    },
    { requiredKeys: ['alg'] },
  )
  fc.assert(
    fc.property(
      header,
      fc.constantFrom(...Object.values(attacker)),
      fc.constantFrom(...each),
      (given, by, { verify }) => {
        assert.equal(accepts(forge(given, by), verify), false)
      },
    ),
    { numRuns: 2_000 },
  )
})

test('ends for arbitrary texts', () => {
  const soup = fc.string({
    unit: fc.constantFrom('.', 'e', 'y', 'J', '0', '-', '_', '=', 'é'),
    maxLength: 60,
  })
  const segment = fc.oneof(
    fc.jsonValue().map(value => encodeBase64url(JSON.stringify(value))),
    fc.base64String(),
    fc.string(),
  )
  const joined = fc.array(segment, { maxLength: 4 }).map(parts => parts.join('.'))
  fc.assert(
    fc.property(fc.oneof(fc.string({ unit: 'binary' }), soup, joined), text => {
      for (const { verify } of each) assert.equal(accepts(text, verify), false)
    }),
    { numRuns: 5_000 },
  )
})
