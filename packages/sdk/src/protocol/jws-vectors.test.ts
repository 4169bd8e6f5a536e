// Signatures against the vectors of others: Wycheproof and the JOSE cookbook (RFC 7520). What is invalid is refused.
import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { encodeBase64url } from './base64url.ts'
import { isFault } from './fault.ts'
import { importForeign, type VerifyKey } from './jwk.ts'
import { completeJws, parseJws, signingInput, verifyJws } from './jws.ts'

const folder = process.env['WRIT_VECTORS']
const skip = folder !== undefined && existsSync(folder) ? false : 'WRIT_VECTORS names no folder of vectors'

interface Vector {
  readonly tcId: number
  readonly result: 'valid' | 'invalid' | 'acceptable'
  readonly comment: string
}

interface Vectors<T, G> {
  readonly numberOfTests: number
  readonly testGroups: readonly (G & { readonly tests: readonly (Vector & T)[] })[]
}

const load = (path: string): unknown => JSON.parse(readFileSync(join(folder ?? '', path), 'utf8'))

/** The key, or undefined where we take none of its kind or none that is made for something else. */
function importOr(jwk: unknown): VerifyKey | undefined {
  try {
    return importForeign(jwk)
  } catch (error) {
    if (isFault(error) && error.code === 'invalid_key') return undefined
    throw error
  }
}

function accepts(token: string, key: VerifyKey | undefined): boolean {
  const jws = parseJws(token)
  return key !== undefined && jws !== undefined && verifyJws(jws, key)
}

test('Wycheproof JWS: refuses what is invalid, accepts what is valid by an algorithm of ours', {
  skip,
}, t => {
  type Group = {
    readonly comment: string
    readonly public?: Readonly<Record<string, unknown>>
    readonly private: object
  }
  const { testGroups, numberOfTests } = load('wycheproof/json_web_signature_test.json') as Vectors<
    { jws: string },
    Group
  >
  const foreign = new Map<string, number[]>()
  const accepted: number[] = []
  let seen = 0
  for (const group of testGroups) {
    const jwk = group.public ?? group.private
    const key = importOr(jwk)
    for (const vector of group.tests) {
      seen++
      const isAccepted = accepts(vector.jws, key)
      if (isAccepted) accepted.push(vector.tcId)
      const { kty, crv, alg } = jwk as Record<string, unknown>
      const isOurs = kty === 'EC' && crv === 'P-256'
      if (vector.result === 'valid' && !isOurs) {
        const name = `${alg}`
        foreign.set(name, [...(foreign.get(name) ?? []), vector.tcId])
      }
      assert.equal(isAccepted, vector.result === 'valid' && isOurs, `${vector.tcId} ${vector.comment}`)
    }
  }
  assert.equal(seen, numberOfTests)
  assert.deepEqual(accepted, [18, 378])
  for (const [alg, ids] of foreign)
    t.diagnostic(`refused though valid, for ${alg} has no row here: ${ids.join(' ')}`)
  assert.deepEqual([...foreign.keys()].sort(), [
    'ES521',
    'HS256',
    'PS256',
    'PS384',
    'PS512',
    'RS256',
    'RS384',
    'RS512',
  ])
})

interface KeyOf {
  /** Left out for some keys, which then stand in DER only. */
  readonly publicKeyJwk?: object
  readonly publicKeyDer: string
}

function jwkOf(der: string): object {
  return createPublicKey({ key: Buffer.from(der, 'hex'), format: 'der', type: 'spki' }).export({
    format: 'jwk',
  })
}

/** Signatures over messages that are no JWS: by the row of the key, behind the same check of the length. */
function runRaw(path: string, t: { diagnostic(message: string): void }): void {
  const { testGroups, numberOfTests } = load(path) as Vectors<{ msg: string; sig: string }, KeyOf>
  let seen = 0
  let refusedKeys = 0
  for (const { publicKeyJwk, publicKeyDer, tests } of testGroups) {
    const key = importOr(publicKeyJwk ?? jwkOf(publicKeyDer))
    if (key === undefined) refusedKeys++
    for (const { tcId, comment, result, msg, sig } of tests) {
      seen++
      const signature = Buffer.from(sig, 'hex')
      const isAccepted =
        key !== undefined &&
        signature.length === key.alg.signatureBytes(key.key) &&
        key.alg.verify(Buffer.from(msg, 'hex'), key.key, signature)
      assert.equal(isAccepted, result === 'valid', `${tcId} ${comment}`)
    }
  }
  assert.equal(seen, numberOfTests)
  t.diagnostic(`${seen} signatures, ${refusedKeys} keys refused`)
}

test('Wycheproof Ed25519: accepts exactly the valid signatures', { skip }, t => {
  runRaw('wycheproof/ed25519_test.json', t)
})

test('Wycheproof ECDSA P-256 in P1363 form: accepts exactly the valid signatures', { skip }, t => {
  runRaw('wycheproof/ecdsa_secp256r1_sha256_p1363_test.json', t)
})

test('Wycheproof signatures, put under a JWS of another message, are refused', { skip }, () => {
  const { testGroups } = load('wycheproof/ed25519_test.json') as Vectors<
    { sig: string },
    { publicKeyJwk: object }
  >
  for (const { publicKeyJwk, tests } of testGroups) {
    const input = signingInput({ alg: 'Ed25519', typ: 'at+jwt' }, {})
    for (const { sig } of tests)
      assert.equal(accepts(completeJws(input, Buffer.from(sig, 'hex')), importOr(publicKeyJwk)), false)
  }
})

test('JOSE cookbook: refuses every example, since each needs an algorithm or a form that we do not take', {
  skip,
}, t => {
  type Example = {
    readonly input: { readonly key?: object | readonly object[]; readonly alg?: unknown }
    readonly output: { readonly compact?: string; readonly json?: unknown; readonly json_flat?: unknown }
  }
  const names = readdirSync(join(folder ?? '', 'jose-cookbook/jws')).sort()
  assert.equal(names.length, 8)
  for (const name of names) {
    const { input, output } = load(`jose-cookbook/jws/${name}`) as Example
    t.diagnostic(`${name} needs ${JSON.stringify(input.alg)}`)
    for (const jwk of [input.key].flat()) assert.equal(importOr(jwk), undefined)
    for (const form of [output.json, output.json_flat])
      assert.equal(parseJws(JSON.stringify(form) ?? ''), undefined)
    if (output.compact !== undefined) assert.equal(parseJws(output.compact), undefined)
  }
})

test('JOSE cookbook: refuses every key, for its curve, its type or its private half', { skip }, () => {
  const names = readdirSync(join(folder ?? '', 'jose-cookbook/jwk'))
  assert.equal(names.length, 6)
  for (const name of names) assert.equal(importOr(load(`jose-cookbook/jwk/${name}`)), undefined, name)
})

test('refuses the unencoded payloads of RFC 7797', { skip }, () => {
  for (const name of readdirSync(join(folder ?? '', 'jose-cookbook/rfc7797'))) {
    const { output } = load(`jose-cookbook/rfc7797/${name}`) as {
      readonly output?: { readonly compact?: string }
    }
    if (output?.compact !== undefined) assert.equal(parseJws(output.compact), undefined)
  }
  assert.equal(parseJws(`${encodeBase64url('{"alg":"ES256","b64":false,"crit":["b64"]}')}..AAAA`), undefined)
})

test('RFC 7515 appendix A.3: accepts the ES256 example, and not with one letter changed', () => {
  const key = importForeign({
    kty: 'EC',
    crv: 'P-256',
    x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
    y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
  })
  const token =
    'eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q'
  assert.equal(accepts(token, key), true)
  assert.equal(accepts(token.replace('DtEh', 'DtEi'), key), false)
})

test('RFC 8037 appendix A.4: accepts the EdDSA example', () => {
  const key = importForeign({ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' })
  const token =
    'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'
  assert.equal(accepts(token, key), true)
})
