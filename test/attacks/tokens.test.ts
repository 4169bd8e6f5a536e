// Tokens, proofs and assertions for each other, for another and under another name (threats C12, C16, C17, C18, C22, C23).
import assert from 'node:assert/strict'
import { createHmac, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { signJws } from '@writ/sdk/protocol/jws'
import { api, expect, grant, headerOf, newAgent, payloadOf, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { answerOf, assertionType, type Party } from '../harness/party.ts'
import { enroll, invite, newPair, partyOf, rekey } from './instances.ts'

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

interface Scene {
  readonly writ: Authority
  readonly agent: Party
  /** For the management API, to see agents. */
  readonly token: string
}

async function scene(t: Parameters<typeof authority>[0]): Promise<Scene> {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const management = `${writ.issuer}/api/v1`
  await grant(writ, agent.clientId, ['writ:agents:read'], { resource: management })
  return { writ, agent, token: await agent.token(management) }
}

/** A call of the management API by the agent; the token and the proof may be anything. */
async function call(
  { writ, agent }: Scene,
  authorization: string,
  dpop: string | undefined,
): Promise<number> {
  const url = `${writ.issuer}/api/v1/agents/${agent.clientId}`
  const headers = { authorization, ...(dpop === undefined ? {} : { dpop }) }
  return (await answerOf(await writ.fetch(url, { headers }))).status
}

const proofFor = ({ writ, agent }: Scene, accessToken: string): string =>
  agent.proof(`${writ.issuer}/api/v1/agents/${agent.clientId}`, { method: 'GET', accessToken })

test('no parameter says who asks, for how long, or bound to what', async t => {
  const { writ, agent } = await scene(t)
  const usual = payloadOf(await agent.token(api))
  const strange = {
    sub: writ.operator.clientId,
    subject: writ.operator.clientId,
    act: '{"sub":"x"}',
    aud: 'https://other.example',
    audience: 'https://other.example',
    iss: 'https://other.example',
    exp: '9999999999',
    expires_in: '999999',
    lifetime: '999999',
    cnf: '{"jkt":"x"}',
    dpop_jkt: 'x',
    token_type: 'Bearer',
    agent_instance_id: 'ins_x',
    writ: '{"epoch":9999}',
    username: 'admin',
    password: 'admin',
    subject_token: 'x',
    actor_token: 'x',
    refresh_token: 'x',
    code: 'x',
    assertion: 'x',
    request: 'x',
    request_uri: 'https://evil.example',
    state: 'x',
    __proto__x: 'x',
    constructor: 'x',
    toString: 'x',
  }
  const answer = await agent.tokenRequest({ resource: api, ...strange })
  const claims = payloadOf(expect(answer, 200).access_token)
  const { jti: _a, iat: _b, exp, ...rest } = claims
  const { jti: _c, iat: _d, exp: _e, ...same } = usual
  assert.deepEqual(rest, same)
  assert.equal((exp as number) - (claims['iat'] as number), 300)
  for (const [name, value] of Object.entries({
    client_id: writ.operator.clientId,
    client_secret: 'x',
    grant_type: 'password',
  })) {
    assert.notEqual((await agent.tokenRequest({ resource: api, [name]: value })).status, 200, name)
  }
  for (const name of ['scope', 'resource', 'client_assertion', 'client_id', 'grant_type', 'x']) {
    const { status } = await agent.tokenRequest({ resource: [api, api], [name]: ['a', 'b'] })
    assert.equal(status, 400, name)
  }
})

test('parameters count in the body alone', async t => {
  const { writ, agent } = await scene(t)
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_assertion_type: assertionType,
    client_assertion: agent.assertion(),
    resource: api,
  })
  const dpop = agent.proof('/token', { nonce: await agent.nonce() })
  const type = 'application/x-www-form-urlencoded'
  const send = async (path: string, headers: Record<string, string>, body: string) =>
    (await writ.fetch(path, { method: 'POST', headers: { dpop, ...headers }, body })).status
  assert.equal(await send(`/token?${form}`, { 'content-type': type }, ''), 400)
  const json = JSON.stringify(Object.fromEntries(form))
  assert.equal(await send('/token', { 'content-type': 'application/json' }, json), 415)
  assert.equal(await send('/token', { 'content-type': `${type}, text/plain` }, form.toString()), 415)
  assert.equal(await send('/token', { 'content-type': 'multipart/form-data; boundary=x' }, 'x'), 415)
  assert.equal(await send('/token', { 'content-type': type }, `\u{feff}${form}`), 400)
  assert.equal(await send('/token', { 'content-type': type }, form.toString().replaceAll('&', ';')), 400)
  assert.equal(await send('/token?scope=erase', { 'content-type': type }, form.toString()), 200)
})

test('nothing of one kind is taken for another, wherever it is shown', async t => {
  const stage = await scene(t)
  const { writ, agent, token } = stage
  const invitation = await invite(writ, agent.clientId)
  const things: Record<string, () => Promise<string> | string> = {
    'an access token': () => token,
    'an access token for another resource': () => agent.token(api),
    'an assertion': () => agent.assertion(),
    'an assertion as at+jwt': () => agent.assertion({ client_id: agent.clientId }, { typ: 'at+jwt' }),
    'a proof': () => agent.proof('/token'),
    'a proof for a call': () => proofFor(stage, token),
    'an invitation': () => invitation,
    'an identifier': () => agent.clientId,
    'a thumbprint': () => agent.key.jkt,
    'a nonce': () => agent.nonce(),
  }
  for (const [name, make] of Object.entries(things)) {
    const thing = await make()
    if (name !== 'an access token') {
      assert.equal(await call(stage, `DPoP ${thing}`, proofFor(stage, thing)), 401, name)
    }
    assert.equal(await call(stage, `Bearer ${thing}`, undefined), 401, name)
    if (name !== 'a proof for a call') assert.equal(await call(stage, `DPoP ${token}`, thing), 401, name)
    if (name !== 'an assertion') {
      const { status } = await agent.tokenRequest({ resource: api, client_assertion: thing })
      assert.equal(status, 401, name)
      const next = newPair()
      assert.equal((await rekey(writ, { old: agent, next, assertion: thing })).status, 401, name)
    }
    if (name !== 'a proof') {
      assert.equal((await agent.tokenRequest({ resource: api }, { dpop: thing })).status, 400, name)
    }
    if (name !== 'an invitation') {
      const { status, body } = await enroll(writ, { token: thing, pair: newPair() })
      assert.ok(status === 400, `${name} ${status}`)
      assert.ok(['invalid_enrollment', 'invalid_request'].includes(body.code))
    }
    const evidence = { client_assertion_type: assertionType, client_assertion: writ.operator.assertion() }
    const { active } = expect(await writ.operator.post('/introspect', { ...evidence, token: thing }), 200)
    assert.equal(active, name.startsWith('an access token'), name)
  }
})

test('what says it is a token of this issuer and was signed by another key is none', async t => {
  const stage = await scene(t)
  const { writ, agent, token } = stage
  const claims = payloadOf(token)
  const header = headerOf(token)
  const { keys } = (await (await writ.fetch('/jwks')).json()) as { keys: Record<string, string>[] }
  const [issuerKey] = keys
  const input = (members: Record<string, unknown>, payload: unknown = claims): string =>
    `${encode(members)}.${encode(payload)}`
  const signature = token.split('.')[2] ?? ''
  const hmac = (text: string, key: string | Buffer): string =>
    `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
  const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
    type: 'spki',
    format: 'pem',
  })
  const hs256 = input({ ...header, alg: 'HS256' })
  const forged = [
    signJws({ typ: 'at+jwt', kid: String(header['kid']) }, claims, agent.key),
    signJws({ typ: 'at+jwt', kid: agent.key.jkt }, claims, agent.key),
    signJws({ typ: 'at+jwt' }, claims, agent.key),
    `${input({ ...header, alg: 'none' })}.`,
    `${input({ ...header, alg: 'none' })}.${signature}`,
    `${input({ ...header, alg: 'None' })}.`,
    hmac(hs256, JSON.stringify(issuerKey)),
    hmac(hs256, String(issuerKey?.['x'])),
    hmac(hs256, Buffer.from(String(issuerKey?.['x']), 'base64url')),
    hmac(hs256, ''),
    hmac(hs256, pem),
    `${input({ ...header, jwk: agent.key.jwk })}.${signature}`,
    `${input({ ...header, jku: 'https://evil.example/jwks' })}.${signature}`,
    `${input({ ...header, crit: ['exp'] })}.${signature}`,
    `${input({ ...header, b64: false })}.${signature}`,
    `${input({ ...header, typ: 'JWT' })}.${signature}`,
    `${input(header, { ...claims, scope: 'writ:*' })}.${signature}`,
    `${input(header, { ...claims, exp: 9_999_999_999 })}.${signature}`,
    `${token.slice(0, -2)}AA`,
    `${token}=`,
    `${token}.x`,
    token.replace('.', '..'),
    `${token.split('.')[0]}.${token.split('.')[1]}.${Buffer.alloc(64).toString('base64url')}`,
    `${token.split('.')[0]}.${token.split('.')[1]}.`,
    token.toLowerCase(),
  ]
  assert.equal(await call(stage, `DPoP ${token}`, proofFor(stage, token)), 200)
  for (const one of forged) {
    assert.equal(await call(stage, `DPoP ${one}`, proofFor(stage, one)), 401, one)
    const evidence = { client_assertion_type: assertionType, client_assertion: writ.operator.assertion() }
    const answer = await writ.operator.post('/introspect', { ...evidence, token: one })
    assert.deepEqual(expect(answer, 200), { active: false }, one)
  }
})

test('a name of a key leads to no other key, whatever it is', async t => {
  const { writ, agent } = await scene(t)
  const victim = await newAgent(writ, { scopes: ['read'] })
  const asVictim = (header: Record<string, unknown>) =>
    partyOf(writ, victim.clientId, newPair()).assertion({}, header)
  const signedByAgent = (header: Record<string, unknown>): string =>
    agent.assertion({ iss: victim.clientId, sub: victim.clientId }, header)
  const kids = [
    victim.key.jkt,
    agent.key.jkt,
    undefined,
    '',
    '../../../../dev/null',
    "' or 1=1 --",
    'x\u0000',
    'x'.repeat(4000),
    { kid: victim.key.jkt },
    [victim.key.jkt],
    0,
    null,
    true,
  ]
  for (const kid of kids) {
    for (const client_assertion of [asVictim({ kid }), signedByAgent({ kid })]) {
      const { status, body } = await victim.tokenRequest({ resource: api, client_assertion })
      assert.equal(`${status} ${body.error}`, '401 invalid_client', JSON.stringify(kid))
    }
  }
  for (const audience of [
    `${writ.issuer}/`,
    `${writ.issuer}/token`,
    writ.issuer.toUpperCase(),
    [writ.issuer],
    [writ.issuer, 'https://evil.example'],
    'https://evil.example',
    undefined,
    null,
    '',
  ]) {
    const client_assertion = agent.assertion({ aud: audience })
    assert.equal((await agent.tokenRequest({ resource: api, client_assertion })).status, 401)
  }
})

test('whoever may not know of a token hears the same, whatever it is', async t => {
  const { writ, agent, token } = await scene(t)
  const stranger = await newAgent(writ)
  const own = await agent.token(api)
  const revoked = await agent.token(api)
  const evidence = (party: Party) => ({
    client_assertion_type: assertionType,
    client_assertion: party.assertion(),
  })
  expect(await agent.post('/revoke', { ...evidence(agent), token: revoked }), 200)
  const shown: [string, string][] = []
  for (const one of [
    own,
    revoked,
    token,
    'x',
    `${own}x`,
    'x'.repeat(20_000),
    '\u0000',
    'null',
    stranger.clientId,
  ]) {
    for (const hint of ['access_token', 'refresh_token', 'x'.repeat(1000)]) {
      const answer = await stranger.post('/introspect', {
        ...evidence(stranger),
        token: one,
        token_type_hint: hint,
      })
      const { headers } = answer
      for (const name of ['x-request-id', 'date']) headers.delete(name)
      shown.push([JSON.stringify([answer.status, answer.body]), JSON.stringify([...headers])])
      const revoking = await stranger.post('/revoke', {
        ...evidence(stranger),
        token: one,
        token_type_hint: hint,
      })
      assert.deepEqual([revoking.status, revoking.body], [200, {}])
    }
  }
  assert.equal(new Set(shown.map(([body]) => body)).size, 1)
  assert.equal(new Set(shown.map(([, headers]) => headers)).size, 1)
  // Nobody else's revocation ended it, nor did the subject of the token itself learn of it by asking.
  const live = await writ.operator.post('/introspect', { ...evidence(writ.operator), token: own })
  assert.equal(live.body.active, true)
  assert.deepEqual((await agent.post('/introspect', { ...evidence(agent), token: own })).body, {
    active: false,
  })
})

test('rights to introspect are those of now, on whatever node they were taken', async t => {
  const { writ, agent } = await scene(t)
  const reader = await newAgent(writ)
  const management = { resource: `${writ.issuer}/api/v1` }
  const id = await grant(writ, reader.clientId, ['writ:tokens:read'], management)
  const token = await agent.token(api)
  const ask = async (): Promise<unknown> => {
    const form = { client_assertion_type: assertionType, client_assertion: reader.assertion(), token }
    return (await reader.post('/introspect', form)).body.active
  }
  const first = await ask()
  expect(await writ.operator.manage('DELETE', `/grants/${id}`), 204)
  const second = await ask()
  const { id: resource } = (
    await writ.operator.manage('GET', `/resources?identifier=${encodeURIComponent(api)}`)
  ).body.items[0]
  const path = `/resources/${resource}`
  expect(await writ.operator.manage('PATCH', path, { introspection_clients: [reader.clientId] }), 200)
  const third = await ask()
  expect(await writ.operator.manage('PATCH', path, { introspection_clients: [] }), 200)
  assert.deepEqual([first, second, third, await ask()], [true, false, true, false])
})

test('a right to introspect that ends between the reading and the answer tells nothing any more', async t => {
  let between: (() => Promise<unknown>) | undefined
  const writ = await authority(t, {
    around: {
      wrapStore: store => ({
        ...store,
        async commit(ctx, change) {
          const meanwhile = change.entries[0].type === 'token.introspected' ? between : undefined
          if (meanwhile !== undefined) between = undefined
          await meanwhile?.()
          return store.commit(ctx, change)
        },
      }),
    },
  })
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const reader = await newAgent(writ)
  const management = { resource: `${writ.issuer}/api/v1` }
  const id = await grant(writ, reader.clientId, ['writ:tokens:read'], management)
  const token = await agent.token(api)
  between = () => writ.operator.manage('DELETE', `/grants/${id}`)
  const form = { client_assertion_type: assertionType, client_assertion: reader.assertion(), token }
  const answer = await reader.post('/introspect', form)
  assert.notEqual(answer.body.active, true)
})

test('no token is issued that nobody would take: too long, or resting on too much', async t => {
  const writ = await authority(t)
  const { operator } = writ
  const register = async (identifier: string, names: readonly string[]) => {
    const scopes = names.map(name => ({ name, description: 'x' }))
    expect(await operator.manage('POST', '/resources', { identifier, name: 'x', scopes }), 201)
  }
  const short = Array.from({ length: 80 }, (_, at) => `s${at}`)
  const long = Array.from({ length: 100 }, (_, at) => `${'x'.repeat(120)}${at}`)
  await register(api, short)
  await register('https://long.example', long)
  const agent = await newAgent(writ)
  // The limit is looked at and then given, so those who race are more.
  await Promise.all(short.map(name => grant(writ, agent.clientId, [name]).catch(() => undefined)))
  await grant(writ, agent.clientId, long, { resource: 'https://long.example' })
  for (const form of [
    { resource: api },
    { resource: 'https://long.example' },
    { resource: 'https://long.example', scope: long.slice(0, 90).join(' ').slice(0, 4000) },
  ]) {
    const answer = await agent.tokenRequest(form)
    if (answer.status !== 200) {
      assert.equal(`${answer.status} ${answer.body.error}`, '400 invalid_scope')
      continue
    }
    const evidence = { client_assertion_type: assertionType, client_assertion: operator.assertion() }
    const { active } = expect(
      await operator.post('/introspect', { ...evidence, token: answer.body.access_token }),
      200,
    )
    assert.equal(active, true, JSON.stringify(form).slice(0, 80))
  }
  assert.equal((await agent.tokenRequest({ resource: api, scope: 's1 s2' })).status, 200)
  assert.equal(
    (await agent.tokenRequest({ resource: 'https://long.example', scope: long[0] as string })).status,
    200,
  )
})
