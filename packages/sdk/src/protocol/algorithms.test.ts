// The table of algorithms: each row signs and verifies in its one length, and each kind of key is for whom it says.
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { type Algorithm, type AlgorithmName, algorithms, algorithmsOf, isUsable } from './algorithms.ts'
import { encodeBase64url } from './base64url.ts'
import { isFault } from './fault.ts'
import { generateKeyPair, importForeign, importPrivate, type KeyPair, parsePublicJwk } from './jwk.ts'
import { parseJws, signJws, verifyJws } from './jws.ts'
import { Secret } from './secret.ts'

const names = Object.keys(algorithms) as AlgorithmName[]
const pairs = new Map<AlgorithmName, KeyPair>(names.map(name => [name, generateKeyPair(name)]))
const pairOf = (name: AlgorithmName): KeyPair => pairs.get(name) as KeyPair
const rsa = pairOf('PS256').verify.jwk
const akp = pairOf('ML-DSA-44').verify.jwk

function refusal(work: () => unknown): string | undefined {
  try {
    work()
  } catch (error) {
    assert.ok(isFault(error) && error.code === 'invalid_key', String(error))
    return error.why?.kind
  }
  return undefined
}

const refused = (value: unknown): string | undefined => refusal(() => parsePublicJwk(value, 'issuer'))

test('agents sign with elliptic curves alone; an issuer also with RSA-PSS and ML-DSA', () => {
  assert.deepEqual(algorithmsOf('holder'), ['ES256', 'Ed25519', 'EdDSA'])
  assert.deepEqual(algorithmsOf('issuer'), ['ES256', 'Ed25519', 'PS256', 'ML-DSA-44'])
  for (const jwk of [rsa, akp]) {
    assert.equal(
      refusal(() => parsePublicJwk(jwk)),
      'unacceptable_type',
    )
    assert.equal(
      refusal(() => importForeign(jwk)),
      'unacceptable_type',
    )
  }
  for (const name of ['PS256', 'ML-DSA-44'] as const) {
    assert.equal(
      refusal(() => importPrivate(pairOf(name).secret)),
      'unacceptable_type',
    )
  }
  for (const name of names) assert.ok(isUsable(algorithms[name]))
})

for (const name of names) {
  const row: Algorithm = algorithms[name]

  test(`${name}: what a key signs holds, in one length, and under no other bit`, () => {
    const { sign, verify } = pairOf(name)
    const token = signJws({ typ: 'at+jwt', kid: sign.jkt }, { sub: 'agt_1' }, sign)
    const jws = parseJws(token)
    assert.ok(jws !== undefined && verifyJws(jws, verify))
    assert.equal(jws.signature.length, row.signatureBytes(sign.key))
    const [first = 0, ...rest] = jws.signature
    const wrong = [
      Uint8Array.from([first ^ 1, ...rest]),
      Uint8Array.from(rest),
      Uint8Array.from([0, first, ...rest]),
      new Uint8Array(jws.signature.length),
      new Uint8Array(0),
    ]
    for (const signature of wrong) assert.equal(verifyJws({ ...jws, signature }, verify), false)
  })

  test(`${name}: a header that names another algorithm is refused, whatever the key`, () => {
    const { sign } = pairOf(name)
    for (const other of names) {
      if (algorithms[other].fixed === row.fixed || row.accepts.includes(other)) continue
      const jws = parseJws(signJws({ typ: 'at+jwt' }, {}, sign))
      assert.ok(jws !== undefined)
      assert.equal(verifyJws(jws, pairOf(other).verify), false)
      assert.equal(verifyJws({ ...jws, header: { ...jws.header, alg: other } }, pairOf(name).verify), false)
    }
  })

  test(`${name}: a private key comes back whole, and not with the half of another`, () => {
    const { sign, secret } = pairOf(name)
    const again = importPrivate(secret, 'issuer')
    assert.equal(again.jkt, sign.jkt)
    assert.deepEqual(again.jwk, sign.jwk)
    const other = generateKeyPair(name).secret.reveal()
    const mixed = { ...other, ...sign.jwk }
    assert.notEqual(
      refusal(() => importPrivate(new Secret(mixed), 'issuer')),
      undefined,
    )
    const [hidden = ''] = Object.keys(row.secrets)
    const { [hidden as 'd']: _, ...without } = secret.reveal()
    assert.equal(
      refusal(() => importPrivate(new Secret(without), 'issuer')),
      'private_half',
    )
  })

  test(`${name}: the public key shows no private member, and is one text for one key`, () => {
    const { verify, secret } = pairOf(name)
    const parsed = parsePublicJwk(verify.jwk, 'issuer')
    assert.deepEqual(parsed, verify.jwk)
    assert.equal(importForeign(verify.jwk, 'issuer').jkt, verify.jkt)
    for (const hidden of Object.keys(row.secrets)) {
      assert.ok(!(hidden in parsed))
      const leaked = { ...parsed, [hidden]: secret.reveal()[hidden as 'd'] }
      assert.equal(refused(leaked), 'private_member')
    }
    for (const coordinate of Object.keys(row.coordinates)) {
      const text = parsed[coordinate as 'x'] ?? ''
      // A shorter modulus may be another key's, as far as anybody can see.
      const cut = row.fixed['kty'] === 'RSA' ? '' : text.slice(0, -4)
      for (const spelt of [`${text}=`, ` ${text}`, `${text}A`, cut, '', `${text}\n`, 7, null]) {
        assert.notEqual(refused({ ...parsed, [coordinate]: spelt }), undefined, `${coordinate} ${spelt}`)
      }
    }
  })
}

test('an RSA key is refused when it is weak, overlong, spelt twice, or of another exponent', () => {
  const made = (modulusLength: number, publicExponent = 65537) =>
    generateKeyPairSync('rsa', { modulusLength, publicExponent }).publicKey.export({ format: 'jwk' })
  assert.equal(refused(made(1024)), 'coordinate')
  assert.equal(refused(made(2040)), 'coordinate')
  assert.equal(refused(made(2048, 3)), 'unsound_point')
  assert.equal(refused(made(2048)), undefined)
  const n = Buffer.from(rsa.n ?? '', 'base64url')
  const spelt = (bytes: Uint8Array) => refused({ ...rsa, n: encodeBase64url(bytes) })
  assert.equal(spelt(Buffer.concat([Buffer.alloc(1), n])), 'unsound_point')
  assert.equal(spelt(Buffer.concat([n, n])), 'coordinate')
  // 2047 bits in 256 bytes, and an even modulus.
  assert.equal(spelt(Buffer.concat([Buffer.of(0x7f), n.subarray(-255)])), 'unsound_point')
  assert.equal(spelt(Buffer.concat([n.subarray(0, -1), Buffer.of(0xfe)])), 'unsound_point')
  for (const e of ['AQAC', 'AAEAAQ', 'AQ', 'Aw', 'AA', 'AQABAAAA'])
    assert.notEqual(refused({ ...rsa, e }), undefined, e)
})

test('the alg of a key is honoured: no RSA key signs in another way, and an AKP key must say its own', () => {
  assert.equal(refused({ ...rsa, alg: 'RS256' }), 'alg_contradicts_type')
  assert.equal(refused({ ...rsa, alg: 'PS512' }), 'alg_contradicts_type')
  assert.equal(refused({ ...akp, alg: 'ML-DSA-65' }), 'unacceptable_type')
  const { alg: _, ...silent } = akp
  assert.equal(refused(silent), 'unacceptable_type')
})

test('generates what it would accept: 3072 bits, the exponent 65537', () => {
  assert.equal(Buffer.from(rsa.n ?? '', 'base64url').length, 384)
  assert.equal(rsa.e, 'AQAB')
  assert.deepEqual(Object.keys(akp).sort(), ['alg', 'kty', 'pub'])
})
