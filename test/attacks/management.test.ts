// The management API from inside: administrators who want more than they have (threats C37, C38, C40, C60).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expect, grant, newAgent } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import type { Answer, Party } from '../harness/party.ts'
import { newPair, partyOf } from './instances.ts'

const said = ({ status, body }: Answer): string => `${status} ${body?.code}`

interface Admin {
  readonly party: Party
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
}

/** An agent with these scopes of the management API, and how it asks with all of them. */
async function admin(writ: Authority, ...scopes: string[]): Promise<Admin> {
  const party = await newAgent(writ)
  const resource = `${writ.issuer}/api/v1`
  await grant(writ, party.clientId, scopes, { resource })
  const token = await party.token(resource, scopes.join(' '))
  return {
    party,
    ask: (method, path, body, headers = {}) =>
      party.call(method, `${resource}${path}`, { token, body, headers }),
  }
}

const idOf = async (writ: Authority, identifier: string): Promise<string> =>
  (await writ.operator.manage('GET', `/resources?identifier=${encodeURIComponent(identifier)}`)).body.items[0]
    .id

const parts = ['agents', 'keys', 'resources', 'grants', 'people', 'clients'].map(part => `writ:${part}`)

test('no way leads from a part of the management API to all of it', async t => {
  const writ = await authority(t)
  const { operator } = writ
  const resource = `${writ.issuer}/api/v1`
  const all = await admin(writ, ...parts)
  const self = all.party.clientId
  const management = await idOf(writ, resource)
  const give = (scopes: string[], agent = self) => ({ agent, resource, scopes, reason: 'x' })
  const jwk = newPair().verify.jwk
  const attempts: [method: string, path: string, body?: unknown][] = [
    ['POST', '/grants', give(['writ:*'])],
    ['POST', '/grants', give(['writ:events:read'])],
    ['POST', '/grants', give(['writ:agents', 'writ:tokens:read'])],
    [
      'POST',
      '/grants',
      { ...give(['writ:*']), resource: `${resource.toUpperCase().replace('/API/V1', '/api/v1')}` },
    ],
    ['PATCH', `/resources/${management}`, { introspection_clients: [self] }],
    ['PATCH', `/resources/${management}`, { bearer_allowed: true }],
    [
      'PATCH',
      `/resources/${management}`,
      { scopes: [{ name: 'writ:agents', description: 'x', includes: ['writ:*'] }] },
    ],
    ['DELETE', `/resources/${management}`],
    ['POST', '/resources', { identifier: resource, name: 'x', scopes: [] }],
    ['POST', `/agents/${operator.clientId}/keys`, { jwk }],
    ['POST', `/agents/${operator.clientId}/enrollments`],
    ['POST', `/agents/${operator.clientId}/suspend`, { reason: 'x' }],
    ['POST', `/agents/${operator.clientId}/keys/${operator.key.jkt}/revoke`, { reason: 'x' }],
    ['PATCH', `/agents/${operator.clientId}`, { owner: self }],
    ['PATCH', `/agents/${operator.clientId}`, { expires_at: '2999-01-01T00:00:00Z' }],
    ['PATCH', `/agents/${self}`, { owner: self }],
    ['PATCH', `/agents/${self}`, { owner: 'operator' }],
    ['POST', '/agents', { name: 'x', owner: self, purpose: 'x' }],
    [
      'POST',
      '/agents',
      { name: 'x', owner: operator.clientId, purpose: 'x', jwks: { keys: [operator.key.jwk] } },
    ],
    ['POST', '/clients', { client_name: 'x', jwks: { keys: [operator.key.jwk] } }],
    ['POST', '/issuer/keys/rotate'],
    ['GET', '/events'],
  ]
  for (const [method, path, body] of attempts) {
    const answer = await all.ask(method, path, body)
    assert.ok([403, 409, 422].includes(answer.status), `${method} ${path} ${said(answer)}`)
  }
  const asked = await all.party.tokenRequest({ resource, scope: 'writ:*' })
  assert.equal(asked.body.error, 'invalid_scope')
  assert.equal((await operator.manage('GET', '/agents')).status, 200)
})

/** Spellings of the management API that another reader might take for it. */
const strangeSpellings = (base: string): readonly string[] => [
  `${base}/api/./v1`,
  `${base}/x/../api/v1`,
  `${base}/api/v1#x`,
  `${base}/api/v1?`,
  `${base}/%61pi/v1`,
  `${base}/api/v%31`,
  `https://user@writ.example/api/v1`,
  `https://writ.example./api/v1`,
  `https:/writ.example/api/v1`,
  ` ${base}/api/v1`,
  `${base}\\api\\v1`,
  `${base}/api/v1\u0000`,
  '/api/v1',
  'javascript:alert(1)//',
  `https://wr\u0456t.example/api/v1`,
  `https://writ.example:0443/api/v1`,
]

test('what looks like the management API is not it, and scopes that are named like its own give nothing there', async t => {
  const writ = await authority(t)
  const writer = await admin(writ, 'writ:resources', 'writ:grants')
  const scopes = [
    { name: 'writ:*', description: 'x' },
    { name: 'writ:agents:read', description: 'x' },
  ]
  const base = writ.issuer
  const same = [
    `${base}/api/v1`,
    `${base}:443/api/v1`,
    base.toUpperCase().replace(base.toUpperCase(), 'HTTPS://WRIT.example/api/v1'),
  ]
  for (const identifier of same) {
    assert.equal(
      said(await writer.ask('POST', '/resources', { identifier, name: 'x', scopes })),
      '409 conflict',
    )
  }
  for (const identifier of strangeSpellings(base)) {
    const answer = await writer.ask('POST', '/resources', { identifier, name: 'x', scopes })
    if (identifier.startsWith('javascript:')) continue
    assert.equal(said(answer), '422 invalid_value', identifier)
  }
  const beside = [
    base,
    `${base}/api/v1/`,
    `${base}/api/v1/agents`,
    `${base}/API/v1`,
    `${base}/api/v1?x=1`,
    `${base}/api`,
  ]
  for (const identifier of beside) {
    expect(await writer.ask('POST', '/resources', { identifier, name: 'x', scopes }), 201)
    const given = {
      agent: writer.party.clientId,
      resource: identifier,
      scopes: ['writ:*', 'writ:agents:read'],
    }
    expect(await writer.ask('POST', '/grants', { ...given, reason: 'x' }), 201)
    const token = await writer.party.token(identifier, 'writ:* writ:agents:read')
    for (const path of ['/api/v1/agents', '/api/v1/audit/entries', '/audit/entries']) {
      const answer = await writer.party.call('GET', `${base}${path}`, { token })
      assert.equal(answer.status, 401, `${identifier} ${path}`)
    }
  }
})

test('members that only the server sets are refused by name, in every body', async t => {
  const writ = await authority(t)
  const { operator } = writ
  const { clientId } = await newAgent(writ)
  const { id: person } = expect(await operator.manage('POST', '/people', { login: 'ada' }), 201)
  const bodies: [method: string, path: string, body: Record<string, unknown>][] = [
    ['POST', '/agents', { name: 'x', owner: operator.clientId, purpose: 'x' }],
    ['PATCH', `/agents/${clientId}`, {}],
    ['POST', `/agents/${clientId}/suspend`, { reason: 'x' }],
    ['POST', `/agents/${clientId}/keys`, { jwk: newPair().verify.jwk }],
    ['POST', `/agents/${clientId}/enrollments`, {}],
    ['POST', '/people', { login: 'eve' }],
    ['PATCH', `/people/${person}`, {}],
    ['POST', '/resources', { identifier: 'https://x.example', name: 'x', scopes: [] }],
    ['POST', '/clients', { client_name: 'x' }],
    ['POST', '/issuer/keys/rotate', {}],
  ]
  const members = {
    id: operator.clientId,
    status: 'active',
    status_reason: 'x',
    created_at: '2000-01-01T00:00:00Z',
    created_by: operator.clientId,
    version: 99,
    tenant: 'other',
    ordinal: 1,
    loginKey: 'admin',
    passwordHash: 'x',
    password_hash: 'x',
    state: 'active',
    instance: 'ins_x',
    thumbprint: 'x',
    not_before: '2000-01-01T00:00:00Z',
    value: operator.clientId,
    expiresAt: null,
    constructor: { prototype: { status: 'active' } },
    prototype: {},
    '': 'x',
    '__proto__ ': {},
  }
  for (const [method, path, body] of bodies) {
    for (const [name, value] of Object.entries(members)) {
      const answer = await operator.manage(method, path, { ...body, [name]: value })
      assert.equal(said(answer), '400 invalid_request', `${path} ${name}`)
    }
  }
  assert.equal((await operator.manage('GET', '/people')).body.items.length, 1)
})

test('an answer that was kept for its caller is nobody else’s, whatever names the request', async t => {
  const writ = await authority(t)
  const { operator } = writ
  const first = await newAgent(writ)
  const second = await newAgent(writ)
  const headers = { 'idempotency-key': 'the-same' }
  const path = (party: Party): string => `/agents/${party.clientId}/enrollments`
  const { token } = expect(await operator.manage('POST', path(first), undefined, headers), 201)
  assert.equal(said(await operator.manage('POST', path(second), undefined, headers)), '422 invalid_value')
  assert.equal(expect(await operator.manage('POST', path(first), undefined, headers), 201).token, token)
  const other = await admin(writ, 'writ:keys', 'writ:agents')
  const { token: another } = expect(await other.ask('POST', path(first), undefined, headers), 201)
  assert.notEqual(another, token)
  const weaker = await admin(writ, 'writ:keys:read')
  assert.equal(said(await weaker.ask('POST', path(first), undefined, headers)), '403 insufficient_scope')
  for (const key of ['', ' ', 'a b', 'x'.repeat(256), '\u00e4', 'a,b c']) {
    const answer = await operator.manage('POST', path(first), undefined, { 'idempotency-key': key })
    assert.ok([400, 201].includes(answer.status), `${key} ${said(answer)}`)
    if (answer.status === 201) assert.notEqual(answer.body.token, token)
  }
  // Given back with the rights of then, it is refused with the rights of now.
  expect(await operator.manage('POST', `/agents/${other.party.clientId}/suspend`, { reason: 'x' }), 200)
  assert.equal((await other.ask('POST', path(first), undefined, headers)).status, 401)
})

test('the operator cannot lock itself out by its last key, and can change keys all the same', async t => {
  const writ = await authority(t)
  const { operator } = writ
  const keys = `/agents/${operator.clientId}/keys`
  const own = `${keys}/${operator.key.jkt}/revoke`
  assert.equal(said(await operator.manage('POST', own, { reason: 'x' })), '409 conflict')
  const short = newPair()
  const soon = new Date(writ.nowMs() + 60_000).toISOString()
  expect(await operator.manage('POST', keys, { jwk: short.verify.jwk, expires_at: soon }), 201)
  writ.advance(61)
  assert.equal(said(await operator.manage('POST', own, { reason: 'x' })), '409 conflict')
  const next = newPair()
  expect(await operator.manage('POST', keys, { jwk: next.verify.jwk, expires_at: null }), 201)
  expect(await operator.manage('POST', own, { reason: 'x' }), 200)
  assert.equal((await operator.manage('GET', '/agents')).status, 401)
  const successor = partyOf(writ, operator.clientId, next)
  assert.equal((await successor.manage('GET', '/agents')).status, 200)
})

test('no agent is left without an owner by somebody who leaves at that very moment', async t => {
  let between: (() => Promise<unknown>) | undefined
  const writ = await authority(t, {
    around: {
      wrapStore: store => ({
        ...store,
        async commit(ctx, change) {
          const meanwhile = change.entries[0].type === 'person.deleted' ? between : undefined
          if (meanwhile !== undefined) between = undefined
          await meanwhile?.()
          return store.commit(ctx, change)
        },
      }),
    },
  })
  const { operator } = writ
  const other = await newAgent(writ)
  const takes: ((owner: string) => Promise<Answer>)[] = [
    owner => operator.manage('POST', '/agents', { name: 'x', owner, purpose: 'x' }),
    owner => operator.manage('PATCH', `/agents/${other.clientId}`, { owner }),
  ]
  for (const [at, take] of takes.entries()) {
    const { id } = expect(await operator.manage('POST', '/people', { login: `ada-${at}` }), 201)
    let taken: Answer | undefined
    between = async () => {
      taken = await take(id)
    }
    assert.equal(said(await operator.manage('DELETE', `/people/${id}`)), '409 conflict')
    assert.ok((taken?.status ?? 500) < 300)
    assert.equal((await operator.manage('GET', `/people/${id}`)).status, 200)
  }
})
