// Keys: weak, private, contradictory and doubly spelt ones are refused; each sound one has one thumbprint.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { algorithmFor } from './algorithms.ts'
import { decodeBase64url, encodeBase64url } from './base64url.ts'
import { isSoundEd25519Point } from './edwards25519.ts'
import { isFault } from './fault.ts'
import {
  generateKeyPair,
  importForeign,
  importPrivate,
  importPublic,
  keyCache,
  type PrivateJwk,
  parsePublicJwk,
  thumbprint,
} from './jwk.ts'
import { Secret } from './secret.ts'

const p256 = {
  kty: 'EC',
  crv: 'P-256',
  x: 'l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs',
  y: '9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA',
}
// RFC 8037 appendix A.2.
const ed25519 = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }

function refusal(work: () => unknown): string | undefined {
  try {
    work()
  } catch (error) {
    assert.ok(isFault(error) && error.code === 'invalid_key', String(error))
    return error.why?.kind
  }
  return undefined
}

const refused = (value: unknown): string | undefined => refusal(() => parsePublicJwk(value))

test('gives the thumbprints of RFC 9449 §6.1 and RFC 8037 appendix A.3', () => {
  assert.equal(thumbprint(parsePublicJwk(p256)), '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I')
  assert.equal(thumbprint(parsePublicJwk(ed25519)), 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
})

test('refuses a key with any private or symmetric member, whatever its value', () => {
  for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']) {
    for (const value of ['AA', null, undefined, '']) {
      assert.equal(refused({ ...p256, [name]: value }), 'private_member')
      assert.equal(refused({ ...ed25519, [name]: value }), 'private_member')
    }
  }
  assert.equal(refused({ kty: 'oct', k: 'AAAA' }), 'private_member')
})

test('refuses other types, curves and algorithms', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' })
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' })
  const secp256k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' })
  const x25519 = generateKeyPairSync('x25519').publicKey.export({ format: 'jwk' })
  for (const key of [
    rsa,
    p384,
    secp256k1,
    x25519,
    { ...p256, kty: 'OKP' },
    { ...ed25519, kty: 'EC' },
    { ...p256, crv: 'p-256' },
    { kty: 'EC' },
    {},
  ]) {
    assert.equal(refused(key), 'unacceptable_type')
  }
  for (const alg of ['ES384', 'EdDSA', 'none', 'HS256', '', null, 1, ['ES256']]) {
    assert.equal(refused({ ...p256, alg }), 'alg_contradicts_type', String(alg))
  }
  assert.equal(refused({ ...ed25519, alg: 'ES256' }), 'alg_contradicts_type')
})

test('refuses anything that is not an object', () => {
  for (const value of [null, undefined, 'x', 1, [], [p256], true])
    assert.equal(refused(value), 'not_an_object')
})

test('refuses coordinates in another length or spelling, and points off the curve', () => {
  const short = encodeBase64url((decodeBase64url(p256.x) ?? Buffer.alloc(0)).subarray(1))
  const long = encodeBase64url(Buffer.concat([Buffer.alloc(1), decodeBase64url(p256.x) ?? Buffer.alloc(0)]))
  for (const x of [
    short,
    long,
    `${p256.x}=`,
    ` ${p256.x}`,
    p256.x.replace('-', '+'),
    `${p256.x.slice(0, -1)}t`,
    '',
    1,
    null,
    undefined,
    'A'.repeat(5_000),
  ]) {
    assert.equal(refused({ ...p256, x }), 'coordinate', String(x))
  }
  assert.equal(refused({ kty: 'EC', crv: 'P-256', x: p256.x }), 'coordinate')
  const zero = encodeBase64url(Buffer.alloc(32))
  const prime = 'ffffffff00000001000000000000000000000000ffffffffffffffffffffffff'
  for (const [x, y] of [
    [p256.x, p256.x],
    [zero, zero],
    [p256.y, p256.x],
    [encodeBase64url(Buffer.from(prime, 'hex')), p256.y],
  ]) {
    assert.equal(refused({ kty: 'EC', crv: 'P-256', x, y }), 'not_on_curve')
  }
})

test('refuses a coordinate that is not reduced, though it names a point of the curve', () => {
  // (0, √b) is on P-256; x = p spells the same point.
  const y = '66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4'
  const of = (x: string) => ({
    kty: 'EC',
    crv: 'P-256',
    x: encodeBase64url(Buffer.from(x, 'hex')),
    y: encodeBase64url(Buffer.from(y, 'hex')),
  })
  assert.equal(refused(of('00'.repeat(32))), undefined)
  assert.equal(
    refused(of('ffffffff00000001000000000000000000000000ffffffffffffffffffffffff')),
    'not_on_curve',
  )
})

const little = (y: bigint, sign = 0n): Uint8Array => {
  const hex = (y | (sign << 255n)).toString(16).padStart(64, '0')
  return Uint8Array.from(Buffer.from(hex, 'hex').reverse())
}
const p = 2n ** 255n - 19n

test('refuses the Ed25519 points of small order, every unreduced y, and what is no point', () => {
  const order8 = [
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  ].map(hex => Uint8Array.from(Buffer.from(hex, 'hex')))
  const signed = order8.map(point => point.with(31, (point[31] ?? 0) | 0x80))
  const small = [
    little(0n),
    little(0n, 1n),
    little(1n),
    little(1n, 1n),
    little(p - 1n),
    little(p - 1n, 1n),
    ...order8,
    ...signed,
  ]
  for (const point of small) {
    assert.equal(isSoundEd25519Point(point), false)
    assert.equal(refused({ ...ed25519, x: encodeBase64url(point) }), 'unsound_point')
  }
  for (let y = p; y < 2n ** 255n; y++) {
    assert.equal(isSoundEd25519Point(little(y)), false)
    assert.equal(isSoundEd25519Point(little(y, 1n)), false)
  }
  assert.equal(isSoundEd25519Point(little(2n)), false)
  const whole = decodeBase64url(ed25519.x) ?? Buffer.alloc(0)
  assert.equal(isSoundEd25519Point(whole), true)
  assert.equal(isSoundEd25519Point(Buffer.concat([whole, Buffer.alloc(1)])), false)
})

test('accepts each Ed25519 key that the platform makes, and about half of all other bytes', () => {
  for (let at = 0; at < 50; at++) {
    const { x } = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
    assert.equal(isSoundEd25519Point(decodeBase64url(x ?? '') ?? new Uint8Array()), true)
  }
  let points = 0
  for (let y = 2n; y < 402n; y++) if (isSoundEd25519Point(little(y))) points++
  assert.ok(points > 140 && points < 260, String(points))
})

test('honours use and key_ops, and bounds kid', () => {
  assert.equal(refused({ ...p256, use: 'enc' }), 'use')
  assert.equal(refused({ ...p256, use: null }), 'use')
  for (const ops of [
    ['encrypt'],
    ['sign'],
    [],
    ['verify', 'verify'],
    'verify',
    [1, 'verify'],
    { 0: 'verify' },
    null,
  ]) {
    assert.equal(refused({ ...p256, key_ops: ops }), 'key_ops')
  }
  const many = Array.from({ length: 17 }, (_, at) => (at === 0 ? 'verify' : `op-${at}`))
  assert.equal(refused({ ...p256, key_ops: many }), 'key_ops')
  for (const kid of ['', 'k'.repeat(257), 1, null, ['k']]) assert.equal(refused({ ...p256, kid }), 'kid')
  const full = { ...p256, use: 'sig', key_ops: ['verify'], alg: 'ES256', kid: 'k'.repeat(256) }
  assert.deepEqual(parsePublicJwk(full), full)
})

test('refuses certificates, which are not evaluated, and drops members that mean nothing here', () => {
  for (const name of ['x5u', 'x5c', 'x5t', 'x5t#S256'])
    assert.equal(refused({ ...p256, [name]: 'x' }), 'certificate_member')
  assert.deepEqual(parsePublicJwk({ ...p256, ext: true, admin: true, jku: 'https://evil.example' }), p256)
})

test('ends for every JSON value with a key or invalid_key', () => {
  const member = fc.oneof(
    fc.jsonValue({ maxDepth: 1 }),
    fc.constantFrom(...Object.values(p256), ...Object.values(ed25519), 'sig', 'ES256'),
  )
  const key = fc.dictionary(
    fc.constantFrom('kty', 'crv', 'x', 'y', 'kid', 'use', 'alg', 'key_ops', 'z'),
    member,
  )
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), key), value => {
      const kind = refused(value)
      if (kind === undefined) assert.deepEqual(parsePublicJwk(parsePublicJwk(value)), parsePublicJwk(value))
    }),
    { numRuns: 3_000 },
  )
})

test('gives the key row by type and alg, and Ed25519 where nothing names the older EdDSA', () => {
  assert.equal(algorithmFor(p256)?.name, 'ES256')
  assert.equal(algorithmFor(ed25519)?.name, 'Ed25519')
  assert.equal(algorithmFor({ ...ed25519, alg: 'EdDSA' })?.name, 'EdDSA')
  assert.equal(algorithmFor({ ...p256, alg: 'Ed25519' }), undefined)
  for (const name of ['none', 'HS256', 'RS256', 'ES384', 'es256', 'toString', ''])
    assert.equal(algorithmFor(name), undefined)
})

test('restores a generated key pair from its secret half, whatever the JWK says it is for', () => {
  for (const alg of ['ES256', 'Ed25519', 'EdDSA'] as const) {
    const { sign, verify, secret } = generateKeyPair(alg)
    const restored = importPrivate(
      new Secret<PrivateJwk>({ ...secret.reveal(), use: 'sig', key_ops: ['sign'] }),
    )
    assert.equal(restored.jkt, sign.jkt)
    assert.equal(restored.alg.name, alg)
    assert.equal(Object.hasOwn(restored.jwk, 'd'), false)
    assert.deepEqual(parsePublicJwk(sign.jwk), verify.jwk)
    assert.equal(String(secret), '[secret]')
  }
})

test('refuses a private key whose halves do not belong together, or whose private half is malformed', () => {
  for (const alg of ['ES256', 'Ed25519'] as const) {
    const ours = generateKeyPair(alg).secret.reveal()
    const other = generateKeyPair(alg).secret.reveal()
    assert.notEqual(
      refusal(() => importPrivate(new Secret({ ...ours, d: other.d ?? '' }))),
      undefined,
    )
    for (const d of ['', 'AAAA', `${ours.d}=`, `A${ours.d}`]) {
      assert.equal(
        refusal(() => importPrivate(new Secret({ ...ours, d }))),
        'private_half',
      )
    }
  }
  const { d: _d, ...rest } = generateKeyPair('ES256').secret.reveal()
  assert.equal(
    refusal(() => importPrivate(new Secret(rest as PrivateJwk))),
    'private_half',
  )
  const zero = encodeBase64url(Buffer.alloc(32))
  assert.notEqual(
    refusal(() => importPrivate(new Secret({ ...p256, d: zero }))),
    undefined,
  )
})

test('imports a registered key once, and refuses one under the thumbprint of another', () => {
  const keys = keyCache(4)
  const first = keys.public(p256, '0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I')
  assert.equal(keys.public({ ...p256 }, first.jkt), first)
  const other = generateKeyPair('ES256').sign
  assert.equal(
    refusal(() => keys.public(p256, other.jkt)),
    'thumbprint',
  )
  assert.equal(importForeign(p256).jkt, importPublic(p256).jkt)
})

test('keeps the keys of proofs apart from registered ones, and never an endless header', () => {
  const keys = keyCache(4)
  const key = importPublic(p256)
  keys.keepProof(key.jkt, importPublic(ed25519))
  assert.equal(keys.public(p256, key.jkt).alg.name, 'ES256')
  assert.equal(keys.proof(key.jkt)?.alg.name, 'Ed25519')
  keys.keepProof('h'.repeat(1_025), key)
  assert.equal(keys.proof('h'.repeat(1_025)), undefined)
})
