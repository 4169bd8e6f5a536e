// Secrets as canaries: none of them is found where it does not belong, in whatever spelling (threat C55; property 45).
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { expect, payloadOf } from '../harness/agent.ts'
import { answerOf, assertionType, type Party } from '../harness/party.ts'
import { newPair } from './instances.ts'
import { type Serving, serve } from './serve.ts'

/** The ways in which bytes get into logs and pages. */
function spellingsOf(secret: string): string[] {
  const bytes = Buffer.from(secret)
  return [
    secret,
    bytes.toString('base64').replace(/=+$/, '').slice(0, -1),
    bytes.toString('hex'),
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
  ]
}

/** What a run has come to: secrets by name, and every page that was read. */
interface Run {
  readonly writ: Serving
  readonly secrets: Record<string, string>
  readonly pages: Record<string, string>
  keep(name: string, answer: Promise<{ body: unknown }>): Promise<unknown>
}

/** A run through everything that has to do with secrets. */
async function live(writ: Serving): Promise<Run> {
  const pages: Record<string, string> = {}
  const run: Run = {
    writ,
    secrets: {},
    pages,
    async keep(name, answer) {
      const { body } = await answer
      pages[name] = JSON.stringify(body)
      return body
    },
  }
  run.secrets['the operator’s key'] = JSON.parse(readFileSync(join(writ.data, 'operator.json'), 'utf8')).jwk.d
  run.secrets['the sealing key'] = readFileSync(join(writ.data, 'seal.key'), 'utf8')
    .trim()
    .slice('writ_seal_1_'.length)
  const person = await livePerson(run)
  const member = await liveInstance(run, person)
  const access = await liveTokens(run, member)
  await liveCalls(run, member, access)
  await readPages(run, person, member.clientId)
  assert.equal(payloadOf(access)['client_id'], member.clientId)
  return run
}

async function livePerson({ writ: { operator }, secrets, pages, keep }: Run): Promise<string> {
  const password = 'correct horse battery staple 7!"<é'
  secrets['a password'] = password
  const person = expect(await operator.manage('POST', '/people', { login: 'ada', password }), 201)
  pages['a person'] = JSON.stringify(person)
  await keep(
    'a password again',
    operator.manage('PATCH', `/people/${person.id}`, { password: `${password}2` }),
  )
  await keep(
    'a short password',
    operator.manage('PATCH', `/people/${person.id}`, { password: password.slice(0, 7) }),
  )
  await keep(
    'a password in the wrong place',
    operator.manage('POST', '/people', { login: password, name: 'x' }),
  )
  return person.id
}

async function liveInstance({ writ, secrets, keep }: Run, owner: string): Promise<Party> {
  const { operator } = writ
  const agent = expect(await operator.manage('POST', '/agents', { name: 'a', owner, purpose: 'x' }), 201)
  const resource = `${writ.issuer}/api/v1`
  const given = { agent: agent.id, resource, scopes: ['writ:agents:read'], reason: 'x' }
  expect(await operator.manage('POST', '/grants', given), 201)
  const pair = newPair()
  const repeated = { 'idempotency-key': 'a-key-that-says-nothing' }
  const invitation = () => operator.manage('POST', `/agents/${agent.id}/enrollments`, undefined, repeated)
  const { token } = expect(await invitation(), 201)
  assert.equal(expect(await invitation(), 201).token, token)
  secrets['an enrolment token'] = token
  secrets['a key of an instance'] = String(pair.secret.reveal().d)
  const enroll = async (body: unknown, party: Party = operator) => {
    const headers = { 'content-type': 'application/json', dpop: party.proof('/enroll', { key: pair.sign }) }
    return answerOf(await writ.fetch('/enroll', { method: 'POST', headers, body: JSON.stringify(body) }))
  }
  await keep('a private key that enrols', enroll({ token, jwk: pair.secret.reveal() }))
  await keep('a token with more', enroll({ token, jwk: pair.verify.jwk, more: token }))
  await keep('an enrolment', enroll({ token, jwk: pair.verify.jwk }))
  await keep('a spent token', enroll({ token, jwk: newPair().verify.jwk }))
  return writ.party(agent.id, pair.secret.reveal() as unknown as Record<string, unknown>)
}

async function liveTokens({ writ, secrets, keep }: Run, member: Party): Promise<string> {
  const resource = `${writ.issuer}/api/v1`
  const assertion = member.assertion()
  const access = expect(
    await member.tokenRequest({ resource, client_assertion: assertion }),
    200,
  ).access_token
  secrets['an assertion'] = assertion.split('.')[2] ?? ''
  secrets['an access token'] = access.split('.')[2] ?? ''
  secrets['claims of an access token'] = access.split('.')[1] ?? ''
  await keep('a used assertion', member.tokenRequest({ resource, client_assertion: assertion }))
  for (const [name, form] of Object.entries({
    'an access token as resource': { resource: access },
    'an access token as scope': { resource, scope: access },
    'an access token as client': { resource, client_id: access },
    'an access token as grant type': { grant_type: access },
    'an access token as assertion': { resource, client_assertion: access },
    'an assertion for another': {
      resource,
      client_assertion: member.assertion({ aud: 'https://evil.example' }),
    },
  })) {
    await keep(name, member.tokenRequest(form))
  }
  return access
}

async function liveCalls({ writ, secrets, keep }: Run, member: Party, access: string): Promise<void> {
  const { operator } = writ
  const resource = `${writ.issuer}/api/v1`
  const proof = member.proof(`${resource}/agents`, { method: 'GET', accessToken: access })
  secrets['a proof'] = proof.split('.')[2] ?? ''
  const headers = { authorization: `DPoP ${access}`, dpop: proof, cookie: `t=${access}` }
  for (const [name, init] of Object.entries({
    'a call': { headers },
    'the call again': { headers },
    'the token as bearer': { headers: { authorization: `Bearer ${access}` } },
    'the token as basic': {
      headers: { authorization: `Basic ${Buffer.from(`a:${access}`).toString('base64')}` },
    },
  })) {
    await keep(name, writ.fetch(`${resource}/agents`, init).then(answerOf))
  }
  await keep('the token in a path', writ.fetch(`/${access}`).then(answerOf))
  await keep('the token in a query', writ.fetch(`/revocations?after=${access}`).then(answerOf))
  await keep('the token in a path of the API', operator.manage('GET', `/agents/${access}`))
  await keep('the token in a filter', operator.manage('GET', `/events?request_id=${access.slice(-100)}`))
  const evidence = () => ({ client_assertion_type: assertionType, client_assertion: operator.assertion() })
  await keep('an introspection', operator.post('/introspect', { ...evidence(), token: access }))
  await keep(
    'a revocation',
    member.post('/revoke', {
      client_assertion_type: assertionType,
      client_assertion: member.assertion(),
      token: access,
    }),
  )
}

async function readPages({ writ, pages, keep }: Run, person: string, agent: string): Promise<void> {
  const { operator } = writ
  const resource = `${writ.issuer}/api/v1`
  for (const path of [
    '/people',
    `/people/${person}`,
    '/agents',
    `/agents/${agent}/keys`,
    '/issuer/keys',
    '/events?limit=200',
  ]) {
    await keep(path, operator.manage('GET', path))
  }
  for (const path of [
    '/jwks',
    '/limits',
    '/errors',
    '/metrics',
    '/readyz',
    '/audit/key',
    '/.well-known/writ-configuration',
  ]) {
    pages[path] = await (await writ.fetch(path)).text()
  }
  const reading = await operator.token(resource, 'writ:events:read')
  for (const path of ['/audit/export', '/audit/entries']) {
    pages[path] = String((await operator.call('GET', `${resource}${path}`, { token: reading })).body)
  }
}

test('no secret is in the database, the log, the audit log, an error or a page that was not meant to have it', async t => {
  const writ = await serve(t, { WRIT_LOG_LEVEL: 'debug' })
  const { secrets, pages } = await live(writ)
  await writ.stop()
  const places: Record<string, string> = { ...pages, 'the output of the process': writ.said() }
  const files = readdirSync(writ.data).filter(name => name !== 'operator.json' && name !== 'seal.key')
  assert.ok(files.includes('writ.db'))
  for (const name of files) places[`the file ${name}`] = readFileSync(join(writ.data, name), 'latin1')
  for (const [secret, value] of Object.entries(secrets)) {
    assert.ok(value.length >= 20, secret)
    for (const [place, text] of Object.entries(places)) {
      // What the caller wrote into its own path is in the answer that says there is no such path, to that caller alone.
      for (const spelling of spellingsOf(value)) {
        assert.ok(!text.includes(spelling), `${secret} is in ${place}`)
        assert.ok(!text.includes(Buffer.from(spelling).toString('latin1')), `${secret} is in ${place}`)
      }
    }
  }
})

test('the published keys have public members alone, and no two tokens of an issuer are signed by what is not there', async t => {
  const writ = await serve(t)
  const { keys } = (await (await writ.fetch('/jwks')).json()) as { keys: Record<string, unknown>[] }
  assert.ok(keys.length >= 1)
  for (const key of keys) {
    assert.deepEqual(Object.keys(key).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
    assert.equal(key['alg'], 'ES256')
  }
  const shown = expect(await writ.operator.manage('GET', '/issuer/keys'), 200)
  for (const key of shown.items) {
    assert.ok(!Object.hasOwn(key, 'sealed') && !Object.hasOwn(key.jwk, 'd'))
    assert.equal(key.alg, 'ES256')
  }
})
