// Two implementations of others agree with ours: jose on keys and signatures, oauth4webapi on DPoP proofs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import { checkProof, createProof } from './dpop.ts'
import { isFault } from './fault.ts'
import { generateKeyPair, importForeign, keyCache } from './jwk.ts'
import { parseJws, signJws, verifyJws } from './jws.ts'
import { parseClaims } from './jwt.ts'

const claims = { iss: 'https://as.example', sub: 'agt_1', aud: 'https://api.example' }
const now = Math.floor(Date.now() / 1000)

test('jose verifies what we sign, proofs included, and gives our keys the same thumbprint', async () => {
  for (const alg of ['ES256', 'Ed25519', 'EdDSA'] as const) {
    const { sign, verify } = generateKeyPair(alg)
    const jwk = { ...verify.jwk, key_ops: ['verify'] } as jose.JWK
    assert.equal(await jose.calculateJwkThumbprint(jwk), verify.jkt)
    const key = await jose.importJWK(jwk, alg)
    const { payload, protectedHeader } = await jose.jwtVerify(
      signJws({ typ: 'at+jwt', kid: sign.jkt }, claims, sign),
      key,
    )
    assert.deepEqual(payload, claims)
    assert.deepEqual(protectedHeader, { alg, typ: 'at+jwt', kid: sign.jkt })
    const proof = createProof({ key: sign, method: 'GET', uri: 'https://api.example/a', nowSeconds: now })
    await jose.jwtVerify(proof, jose.EmbeddedJWK, { typ: 'dpop+jwt', maxTokenAge: 60 })
  }
})

test('jose verifies what an issuer signs with its other algorithms, and gives the keys the same thumbprint', async () => {
  for (const alg of ['PS256', 'ML-DSA-44'] as const) {
    const { sign, verify } = generateKeyPair(alg)
    const jwk = verify.jwk as jose.JWK
    assert.equal(await jose.calculateJwkThumbprint(jwk), verify.jkt)
    const token = signJws({ typ: 'at+jwt', kid: sign.jkt }, claims, sign)
    const { payload, protectedHeader } = await jose.jwtVerify(token, await jose.importJWK(jwk, alg))
    assert.deepEqual(payload, claims)
    assert.equal(protectedHeader.alg, alg)
  }
})

test('we verify what jose signs for an issuer', async () => {
  for (const alg of ['PS256', 'ML-DSA-44']) {
    const { privateKey, publicKey } = await jose.generateKeyPair(alg, { extractable: true })
    const token = await new jose.SignJWT(claims).setProtectedHeader({ alg, typ: 'at+jwt' }).sign(privateKey)
    const jws = parseJws(token)
    const jwk = await jose.exportJWK(publicKey)
    assert.ok(jws !== undefined && verifyJws(jws, importForeign(jwk, 'issuer')))
    assert.throws(() => importForeign(jwk), isFault)
  }
})

test('we verify what jose signs', async () => {
  for (const alg of ['ES256', 'Ed25519', 'EdDSA']) {
    const { privateKey, publicKey } = await jose.generateKeyPair(alg, { extractable: true })
    const token = await new jose.SignJWT(claims).setProtectedHeader({ alg, typ: 'at+jwt' }).sign(privateKey)
    const jws = parseJws(token)
    assert.ok(jws !== undefined && verifyJws(jws, importForeign(await jose.exportJWK(publicKey))))
    assert.deepEqual(parseClaims(jws), claims)
  }
})

test('we refuse what jose signs with an algorithm that has no row here', async () => {
  for (const alg of ['RS256', 'PS384', 'ES384', 'ES512']) {
    const { privateKey } = await jose.generateKeyPair(alg)
    const token = await new jose.SignJWT(claims).setProtectedHeader({ alg, typ: 'at+jwt' }).sign(privateKey)
    assert.equal(parseJws(token), undefined)
  }
})

test('we accept the proofs of oauth4webapi, with nonce and with the hash of a token', async () => {
  for (const alg of ['ES256', 'Ed25519'] as const) {
    const keyPair = await oauth.generateKeyPair(alg, { extractable: true })
    const dpop = oauth.DPoP({}, keyPair)
    const jkt = await dpop.calculateThumbprint()
    const url = new URL('https://api.example/a/b[1]?filter[x]=y|z#here')
    let nonce: string | undefined
    const send: oauth.ProtectedResourceRequestOptions[typeof oauth.customFetch] = async (
      target,
      { method, headers },
    ) => {
      const proof = new Headers(headers).get('dpop') ?? ''
      const result = checkProof({
        proof,
        method,
        uri: new Request(target).url,
        now: Math.floor(Date.now() / 1000),
        accessToken: 'token',
        keys: keyCache(8),
        nonce: given => {
          nonce = given
          return 'ok'
        },
      })
      assert.equal(result.jkt, jkt)
      return new Response('{}', { headers: { 'dpop-nonce': 'n1' } })
    }
    for (const expected of [undefined, 'n1']) {
      await oauth.protectedResourceRequest('token', 'POST', url, undefined, null, {
        DPoP: dpop,
        [oauth.customFetch]: send,
      })
      assert.equal(nonce, expected)
    }
  }
})
