// Issuer keys through the one API of rotations: to every algorithm under traffic, cancelled, forced, cut after a theft.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { createVerifier, type Verifier } from '@writ/sdk/resource/verifier'
import * as jose from 'jose'
import { type Serving, serve } from '../attacks/serve.ts'
import { api, expect, headerOf, newAgent, registerApi } from '../harness/agent.ts'
import type { Authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'
import type { Party } from '../harness/party.ts'

const quick = {
  WRIT_ACCESS_TOKEN_SECONDS: '4',
  WRIT_ISSUER_KEY_PUBLISH_SECONDS: '1',
  WRIT_JWKS_CACHE_SECONDS: '1',
  WRIT_CLOCK_SKEW_SECONDS: '0',
  WRIT_RATE_LIMITS: 'off',
}

interface Place {
  readonly writ: Serving
  readonly party: Party
  readonly verifier: Verifier
}

async function place(t: TestContext, settings: Readonly<Record<string, string>> = quick): Promise<Place> {
  const writ = await serve(t, settings)
  const authority = writ as unknown as Authority
  await registerApi(authority)
  const party = await newAgent(authority, { scopes: ['read'] })
  const verifier = createVerifier({ issuer: writ.issuer, resource: api })
  t.after(() => verifier.close())
  await verifier.ready()
  return { writ, party, verifier }
}

/** What the verifier says to a call with the token. */
async function judged({ party, verifier }: Place, token: string): Promise<'ok' | string> {
  const dpop = party.proof(`${api}/things`, { method: 'GET', accessToken: token })
  const headers = new Headers({ authorization: `DPoP ${token}`, dpop })
  try {
    await verifier.verify({ method: 'GET', url: '/things', headers })
    return 'ok'
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error)
  }
}

// Tokens are short here, those of the operator too.
async function managed({ writ }: Place, method: string, path: string, body?: Record<string, unknown>) {
  const answer = await writ.operator.manage(method, path, body)
  return answer.status === 401 ? writ.operator.manage(method, path, body) : answer
}

const begin = (at: Place, more: Record<string, unknown> = {}) =>
  managed(at, 'POST', '/rotations', { kind: 'issuer_key', reason: 'test', ...more })

const see = async (at: Place, id: string) => expect(await managed(at, 'GET', `/rotations/${id}`), 200)

const reaches = (at: Place, id: string, state: string) =>
  until(`the rotation is ${state}`, 40, async () => (await see(at, id)).state === state)

const publishedAt = async ({ writ }: Place): Promise<readonly jose.JWK[]> =>
  ((await (await writ.fetch('/jwks')).json()) as { keys: jose.JWK[] }).keys

test('the issuer rotates to every algorithm and back under traffic: each token verifies, by us and by jose', async t => {
  const at = await place(t)
  const { party } = at
  const signers = new Map<string, string>()
  let calls = 0
  let isOver = false
  const traffic = (async () => {
    while (!isOver) {
      const token = await party.token(api)
      const { kid, alg } = headerOf(token) as { kid: string; alg: string }
      signers.set(kid, alg)
      assert.equal(await judged(at, token), 'ok', `a token of ${alg}`)
      const jwk = (await publishedAt(at)).find(key => key.kid === kid)
      assert.ok(jwk, `the key of ${alg} is published`)
      await jose.jwtVerify(token, await jose.importJWK(jwk, alg), { issuer: at.writ.issuer, audience: api })
      calls += 1
      await pause(20)
    }
  })()
  traffic.catch(() => undefined)
  const ended: string[] = []
  let from: string | null = null
  for (const alg of ['PS256', 'ML-DSA-44', 'Ed25519', 'ES256']) {
    const rotation = expect(await begin(at, { alg }), 201)
    assert.deepEqual([rotation.kind, rotation.target, rotation.proof], ['issuer_key', 'token', 'last_token'])
    if (from !== null) assert.equal(rotation.from, from)
    assert.equal((await begin(at)).status, 409, 'one successor at a time')
    await until(`a token of ${alg}`, 20, async () => signers.has(rotation.to))
    assert.equal(signers.get(rotation.to), alg)
    ended.push(rotation.id)
    from = rotation.to
  }
  for (const id of ended) await reaches(at, id, 'retired')
  isOver = true
  await traffic
  assert.ok(calls > 20, `${calls}`)
  await until('the former keys have left', 20, async () => (await publishedAt(at)).length === 1)
  const members = Object.keys((await publishedAt(at))[0] ?? {}).sort()
  assert.deepEqual(members, ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
})

test('the older way to rotate takes an algorithm too, has its record, and meets the same rules', async t => {
  const at = await place(t, { ...quick, WRIT_ISSUER_KEY_PUBLISH_SECONDS: '30' })
  const rotate = (body?: Record<string, unknown>) => managed(at, 'POST', '/issuer/keys/rotate', body)
  for (const alg of ['RS256', 'EdDSA', 'none', '', 7]) assert.equal((await rotate({ alg })).status, 422)
  const staged = expect(await rotate({ alg: 'Ed25519' }), 200)
  assert.equal(staged.alg, 'Ed25519')
  const { items } = expect(await managed(at, 'GET', '/rotations?kind=issuer_key'), 200)
  assert.deepEqual(
    items.map((one: Record<string, unknown>) => [one['to'], one['state']]),
    [[staged.kid, 'staged']],
  )
  assert.equal(expect(await rotate(), 200).kid, staged.kid)
  assert.equal(expect(await rotate({ alg: 'Ed25519' }), 200).kid, staged.kid)
  assert.equal((await rotate({ alg: 'PS256' })).status, 409)
  // Given up before it signed, it leaves the JWKS and makes way for another.
  expect(await managed(at, 'POST', `/rotations/${items[0].id}/cancel`, { reason: 'another one' }), 200)
  await reaches(at, items[0].id, 'failed')
  assert.ok((await publishedAt(at)).every(({ kid }) => kid !== staged.kid))
  assert.equal(expect(await rotate({ alg: 'PS256' }), 200).alg, 'PS256')
})

test('a stolen key is cut: everything that it signed is dead everywhere within two seconds', async t => {
  const at = await place(t, { WRIT_RATE_LIMITS: 'off' })
  const { writ, party } = at
  const token = await party.token(api)
  const { kid } = headerOf(token) as { kid: string }
  assert.equal(await judged(at, token), 'ok')
  const cutAt = performance.now()
  const rotation = expect(await begin(at, { emergency: true }), 201)
  assert.deepEqual(
    [rotation.state, rotation.from, rotation.proof, rotation.emergency],
    ['retired', kid, 'none', true],
  )
  await until('the token is dead', 2, async () => (await judged(at, token)) !== 'ok')
  assert.ok(performance.now() - cutAt < 2000)
  assert.deepEqual(
    (await publishedAt(at)).map(key => key.kid),
    [rotation.to],
  )
  // Its own endpoints take it no longer either; the operator signs in again.
  const stale = await fetch(`${writ.issuer}/api/v1/agents`, {
    headers: {
      authorization: `DPoP ${token}`,
      dpop: party.proof(`${writ.issuer}/api/v1/agents`, { method: 'GET', accessToken: token }),
    },
  })
  assert.equal(stale.status, 401)
  await until('tokens of the successor are taken', 10, async () => {
    const next = await party.token(api)
    assert.equal(headerOf(next)['kid'], rotation.to)
    return (await judged(at, next)) === 'ok'
  })
  const radius = expect(await managed(at, 'GET', `/rotations/${rotation.id}/blast-radius`), 200)
  assert.ok(radius.reach.some((one: { name: string }) => one.name === api))
  assert.ok(radius.holders.includes(party.clientId))
})

test('an emergency overtakes the rotation under way, and of two at once one wins', async t => {
  const at = await place(t, { WRIT_RATE_LIMITS: 'off' })
  const waiting = expect(await begin(at), 201)
  const both = await Promise.all([begin(at, { emergency: true }), begin(at, { emergency: true })])
  const won = both.filter(({ status }) => status === 201).map(({ body }) => body)
  assert.ok(won.length >= 1)
  // The successor that waited signs now; nobody had to read a third key.
  assert.equal(won[0].to, waiting.to)
  const overtaken = await see(at, waiting.id)
  assert.equal(overtaken.state, 'failed')
  const { items } = expect(await managed(at, 'GET', '/issuer/keys'), 200)
  assert.equal(items.filter((one: { state: string }) => one.state === 'active').length, 1)
})

test('an old key whose tokens nobody needs is ended by force', async t => {
  const at = await place(t, { ...quick, WRIT_ACCESS_TOKEN_SECONDS: '600' })
  const token = await at.party.token(api)
  const { id, from } = expect(await begin(at), 201)
  await reaches(at, id, 'active')
  assert.equal(await judged(at, token), 'ok')
  const shown = await see(at, id)
  assert.ok(shown.drain.remaining > 500, JSON.stringify(shown.drain))
  expect(await managed(at, 'POST', `/rotations/${id}/force`, { reason: 'nobody needs it' }), 200)
  await reaches(at, id, 'retired')
  await until('the token is dead', 2, async () => (await judged(at, token)) !== 'ok')
  assert.ok((await publishedAt(at)).every(({ kid }) => kid !== from))
})

test('what is no issuer key, or no algorithm of one, is refused', async t => {
  const at = await place(t, { WRIT_RATE_LIMITS: 'off' })
  assert.equal((await begin(at, { target: 'checkpoint' })).status, 404)
  for (const alg of ['RS256', 'HS256', 'none', 'EdDSA', 'ML-DSA-65']) {
    assert.equal((await begin(at, { alg })).status, 422, alg)
    assert.equal((await begin(at, { alg, emergency: true })).status, 422, alg)
  }
})
