// Repetition at the management API: Idempotency-Key gives the first answer and one effect, and a proof is used once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { type Authority, authority } from '../harness/authority.ts'
import { administrator, newAgent } from './roles.ts'

const body = (writ: Authority) => ({ name: 'a', owner: writ.operator.clientId, purpose: 'x' })
const named = (key: string) => ({ 'idempotency-key': key })

async function agentsOf(writ: Authority): Promise<number> {
  return (await writ.operator.manage('GET', '/agents')).body.items.length
}

test('every POST repeated with its key gives the first answer and has one effect (property 49)', async t => {
  const writ = await authority(t)
  const { operator } = writ
  const { id } = await newAgent(writ, 'agent')
  const identifier = 'https://api.example'
  const resource = { identifier, name: 'API', scopes: [{ name: 'r', description: 'R' }] }
  const ada = await operator.manage('POST', '/people', { login: 'ada' })
  const client = await operator.manage('POST', '/clients', { client_name: 'app' })
  const reason = { reason: 'x' }
  const posts: [path: string, body?: unknown][] = [
    ['/agents', body(writ)],
    [`/agents/${id}/enrollments`],
    [`/agents/${id}/keys`, { jwk: generateKeyPair('ES256').verify.jwk }],
    ['/resources', resource],
    ['/grants', { agent: id, resource: identifier, scopes: ['r'], ...reason }],
    ['/clients', { client_name: 'second' }],
    ['/people', { login: 'bob' }],
    [`/people/${ada.body.id}/suspend`, reason],
    [`/people/${ada.body.id}/resume`, reason],
    [`/clients/${client.body.id}/suspend`, reason],
    [`/clients/${client.body.id}/resume`, reason],
    [`/agents/${id}/suspend`, reason],
    [`/agents/${id}/resume`, reason],
    [`/agents/${id}/retire`, reason],
    ['/issuer/keys/rotate'],
  ]
  for (const [path, sent] of posts) {
    const first = await operator.manage('POST', path, sent, named(path))
    assert.ok(first.status < 300, `${path}: ${first.status} ${JSON.stringify(first.body)}`)
    const { store } = writ.server
    const head = await store.signals.head({ tenant: 'default' as never })
    const second = await operator.manage('POST', path, sent, named(path))
    assert.deepEqual([second.status, second.body], [first.status, first.body], path)
    for (const header of ['location', 'etag'])
      assert.equal(second.headers.get(header), first.headers.get(header), path)
    assert.equal(
      await store.signals.head({ tenant: 'default' as never }),
      head,
      `${path} had a second effect`,
    )
  }
})

test('twenty who race with one key get one answer and one agent', async t => {
  const writ = await authority(t)
  await agentsOf(writ)
  const racers = Array.from({ length: 20 }, () =>
    writ.operator.manage('POST', '/agents', body(writ), named('race')),
  )
  const answers = await Promise.all(racers)
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]))
  assert.equal(new Set(answers.map(answer => answer.body.id)).size, 1)
  assert.equal(await agentsOf(writ), 2)
})

test('twenty who race for one enrolment token with one key get the same token', async t => {
  const writ = await authority(t)
  const { id } = await newAgent(writ, 'agent')
  const racers = Array.from({ length: 20 }, () =>
    writ.operator.manage('POST', `/agents/${id}/enrollments`, undefined, named('race')),
  )
  const tokens = new Set((await Promise.all(racers)).map(answer => answer.body.token))
  assert.equal(tokens.size, 1)
})

test('the same key with another request is refused, and is no key of somebody else or of another operation', async t => {
  const writ = await authority(t)
  const first = await writ.operator.manage('POST', '/agents', body(writ), named('k'))
  const other = await writ.operator.manage('POST', '/agents', { ...body(writ), name: 'b' }, named('k'))
  assert.deepEqual([first.status, other.status], [201, 422])
  assert.match(other.body.detail, /Idempotency-Key/)
  assert.equal((await writ.operator.manage('POST', '/people', { login: 'ada' }, named('k'))).status, 201)
  const { party, token } = await administrator(writ, ['writ:agents:write'])
  const url = `${writ.issuer}/api/v1/agents`
  const theirs = await party.call('POST', url, { token, body: body(writ), headers: named('k') })
  assert.equal(theirs.status, 201)
  assert.notEqual(theirs.body.id, first.body.id)
})

test('a refused request may be repeated with its key once what was wrong is mended', async t => {
  const writ = await authority(t)
  assert.equal(
    (await writ.operator.manage('POST', '/agents', { ...body(writ), owner: 'ada' }, named('k'))).status,
    422,
  )
  await writ.operator.manage('POST', '/people', { login: 'ada' })
  assert.equal(
    (await writ.operator.manage('POST', '/agents', { ...body(writ), owner: 'ada' }, named('k'))).status,
    201,
  )
})

test('a key is forgotten after a day, and one that is none is refused', async t => {
  const writ = await authority(t)
  const first = await writ.operator.manage('POST', '/agents', body(writ), named('k'))
  writ.advance(86_401)
  // Token and nonce have passed with the day.
  await writ.operator.manage('GET', '/agents')
  await writ.operator.manage('GET', '/agents').catch(() => {})
  const later = await writ.operator.manage('POST', '/agents', body(writ), named('k'))
  assert.equal(later.status, 201)
  assert.notEqual(later.body.id, first.body.id)
  for (const key of ['', ' ', 'a b', 'x'.repeat(256)]) {
    const answer = await writ.operator.manage('POST', '/agents', body(writ), named(key))
    assert.ok(answer.status === 400 || (key.trim() === '' && answer.status === 201), JSON.stringify(key))
  }
})

test('a proof that was shown once is worth nothing, whether it was followed or refused', async t => {
  const writ = await authority(t)
  const { operator } = writ
  const token = await operator.token(`${writ.issuer}/api/v1`, 'writ:*')
  const url = `${writ.issuer}/api/v1/agents`
  for (const [method, sent] of [
    ['GET', undefined],
    ['POST', body(writ)],
    ['POST', { nonsense: 1 }],
  ] as const) {
    const dpop = operator.proof(url, { method, accessToken: token })
    const first = await operator.call(method, url, { token, body: sent, headers: { dpop } })
    assert.notEqual(first.status, 401)
    const second = await operator.call(method, url, { token, body: sent, headers: { dpop } })
    assert.deepEqual([second.status, second.body.code], [401, 'invalid_dpop_proof'])
  }
  const dpop = operator.proof(url, { method: 'POST', accessToken: token })
  const racers = Array.from({ length: 20 }, () =>
    operator.call('POST', url, { token, body: body(writ), headers: { dpop } }),
  )
  const statuses = (await Promise.all(racers)).map(({ status }) => status).sort()
  assert.deepEqual(statuses, [201, ...Array(19).fill(401)])
  assert.equal(await agentsOf(writ), 3)
})
