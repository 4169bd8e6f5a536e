// jose as a resource of others uses it: tokens verify against the published keys before, through and after a rotation.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { createLocalJWKSet, createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'
import { api, expect, headerOf, newAgent, registerApi } from '../harness/agent.ts'
import type { Authority } from '../harness/authority.ts'
import { site } from './site.ts'

type KeySet = ReturnType<typeof createRemoteJWKSet>

const keysOf = (writ: Authority): KeySet =>
  createRemoteJWKSet(new URL(`${writ.issuer}/jwks`), { cooldownDuration: 0 })

async function verified(writ: Authority, token: string, keys: KeySet): Promise<JWTPayload> {
  const { payload } = await jwtVerify(token, keys, {
    currentDate: new Date(writ.nowMs()),
    issuer: writ.issuer,
    audience: api,
    typ: 'at+jwt',
    algorithms: ['ES256'],
    requiredClaims: ['sub', 'client_id', 'jti', 'iat', 'exp'],
  })
  return payload
}

async function publishedKids(writ: Authority): Promise<readonly string[]> {
  const { keys } = (await (await fetch(`${writ.issuer}/jwks`)).json()) as { keys: { kid: string }[] }
  return keys.map(({ kid }) => kid)
}

test('every token verifies while the key of the issuer rotates, with keys fetched before and with keys fetched after', async t => {
  const writ = await site(t, { accessTokenSeconds: 900 })
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const early = keysOf(writ)
  const before = await agent.token(api)
  const old = headerOf(before)['kid']
  assert.equal((await verified(writ, before, early))['client_id'], agent.clientId)
  expect(await writ.operator.manage('POST', '/issuer/keys/rotate'), 200)
  assert.equal((await publishedKids(writ)).length, 2)
  // Past the time for which a key is published before it signs; a loop of the server then moves it on.
  writ.advance(150)
  let last = before
  for (const deadline = Date.now() + 20_000; headerOf(last)['kid'] === old; await pause(50)) {
    assert.ok(Date.now() < deadline, 'the old key went on signing')
    last = await agent.token(api)
    // Whichever key signed, whoever fetched the keys long ago looks again when it meets one it does not know.
    await verified(writ, last, early)
  }
  assert.equal((await verified(writ, before, keysOf(writ)))['client_id'], agent.clientId)
  assert.equal((await verified(writ, last, keysOf(writ)))['client_id'], agent.clientId)
})

test('the published keys say what they are for, and are nothing but public', async t => {
  const writ = await site(t)
  const answer = await fetch(`${writ.issuer}/jwks`)
  const set = (await answer.json()) as { keys: Record<string, unknown>[] }
  assert.ok(set.keys.length > 0)
  for (const key of set.keys) {
    assert.deepEqual([key['use'], key['alg'], typeof key['kid']], ['sig', 'ES256', 'string'])
    assert.equal('d' in key, false)
  }
  await registerApi(writ)
  const token = await (await newAgent(writ, { scopes: ['read'] })).token(api)
  assert.ok(await jwtVerify(token, createLocalJWKSet(set as Parameters<typeof createLocalJWKSet>[0])))
})
