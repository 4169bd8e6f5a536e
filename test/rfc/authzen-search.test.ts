// AuthZEN Authorization API 1.0 from outside: searches and metadata.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { type EnforcementPoint, enforcementPoint } from '../decision/point.ts'
import { certification, certificationActions, enforce } from '../decision/policies.ts'
import { api, expect, grant, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { verifies } from './verifies.ts'

async function scene(t: TestContext): Promise<{ writ: Authority; point: EnforcementPoint }> {
  const writ = await authority(t)
  await enforce(writ, certification, certificationActions)
  return { writ, point: await enforcementPoint(writ) }
}

const [alice, record1] = [
  { type: 'user', id: 'alice' },
  { type: 'record', id: 'record-1' },
]
const archived = { type: 'record', id: 'record-2', properties: { status: 'archived' } }
const admin = { type: 'user', id: 'bob', properties: { role: 'admin' } }

test('who may, on what and what is found by leaving it out, and nobody is an empty list', async t => {
  verifies('AuthZEN-8.3-1', 'AuthZEN-8.4.1-1', 'AuthZEN-8.5.1-1', 'AuthZEN-8.6.1-1')
  const { point } = await scene(t)
  const search = async (what: string, body: object) =>
    expect(await point.ask(`search/${what}`, body), 200).results
  const [users, records, read, write] = [
    { type: 'user' },
    { type: 'record' },
    { name: 'read' },
    { name: 'write' },
  ]
  assert.deepEqual(await search('subject', { subject: users, action: read, resource: record1 }), [
    { type: 'user', id: 'alice' },
    { type: 'user', id: 'bob' },
  ])
  assert.deepEqual(await search('subject', { subject: users, action: write, resource: archived }), [
    { type: 'user', id: 'bob' },
  ])
  const readable = await search('resource', { subject: alice, action: read, resource: records })
  assert.ok(readable.some(({ id }: { id: string }) => id === 'record-1'))
  const writable = await search('resource', { subject: admin, action: write, resource: records })
  assert.ok(writable.some(({ id }: { id: string }) => id === 'record-2'))
  const names = async (body: object) =>
    (await search('action', body)).map(({ name }: { name: string }) => name).sort()
  assert.deepEqual(await names({ subject: alice, resource: record1 }), ['read', 'write'])
  assert.deepEqual(await names({ subject: admin, resource: archived }), ['read', 'write'])
  assert.deepEqual(await names({ subject: { type: 'user', id: 'nobody' }, resource: record1 }), [])
  const [ships, ship] = [{ type: 'spaceship' }, { type: 'spaceship', id: 'one' }]
  const nobodys: readonly [string, object][] = [
    ['subject', { subject: ships, action: read, resource: record1 }],
    ['subject', { subject: users, action: read, resource: ship }],
    ['subject', { subject: users, action: { name: 'board' }, resource: record1 }],
    ['resource', { subject: alice, action: read, resource: ships }],
    ['resource', { subject: ship, action: read, resource: records }],
    ['action', { subject: ship, resource: record1 }],
    ['action', { subject: alice, resource: ship }],
  ]
  for (const [what, question] of nobodys) assert.deepEqual(await search(what, question), [], what)
  // An id of what is searched for, or an action where actions are, changes nothing; nor does a context.
  const context = { time: '2025-06-27T18:03-07:00', ip: '192.168.1.1' }
  for (const [what, question, more] of [
    ['subject', { subject: users, action: read, resource: record1 }, { subject: alice }],
    ['resource', { subject: alice, action: read, resource: records }, { resource: record1 }],
    ['action', { subject: alice, resource: record1 }, { action: write }],
  ] as const)
    assert.deepEqual(await search(what, { ...question, ...more, context }), await search(what, question))
})

test('agents, resources and actions of ours are found by what is granted', async t => {
  const { writ, point } = await scene(t)
  await registerApi(writ)
  const agents = [await newAgent(writ, { scopes: ['read'] }), await newAgent(writ)]
  const [first] = agents
  const resource = { type: 'resource', id: api }
  const subject = { type: 'agent', id: first?.clientId }
  const read = { name: 'read' }
  assert.deepEqual(
    expect(await point.ask('search/subject', { subject: { type: 'agent' }, action: read, resource }), 200)
      .results,
    [subject],
  )
  const found = { subject, action: read, resource: { type: 'resource' } }
  assert.deepEqual(expect(await point.ask('search/resource', found), 200).results, [resource])
  assert.deepEqual(expect(await point.ask('search/action', { subject, resource }), 200).results, [read])
  const other = { type: 'agent', id: agents[1]?.clientId }
  assert.deepEqual(expect(await point.ask('search/action', { subject: other, resource }), 200).results, [])
  await grant(writ, agents[1]?.clientId ?? '', ['write'])
  assert.deepEqual(expect(await point.ask('search/action', { subject: other, resource }), 200).results, [
    { name: 'write' },
  ])
})

test('pages lead to their end, and a token is good for its own search alone', async t => {
  verifies('AuthZEN-8.2-1', 'AuthZEN-8.2-2', 'AuthZEN-8.2.1-1', 'AuthZEN-8.2.2-1')
  const { writ, point } = await scene(t)
  const body = { subject: { type: 'user' }, action: { name: 'read' }, resource: record1 }
  const seen: string[] = []
  let token: string | undefined
  for (let pages = 0; token !== '' && pages < 10; pages++) {
    const page = { limit: 1, ...(token === undefined ? {} : { token }) }
    const answer = expect(await point.ask('search/subject', { ...body, page }), 200)
    assert.ok(answer.results.length <= 1)
    seen.push(...answer.results.map(({ id }: { id: string }) => id))
    token = answer.page.next_token as string
    if (token !== '') {
      const other = { ...body, action: { name: 'write' }, page: { token } }
      assert.equal((await point.ask('search/subject', other)).status, 400)
    }
  }
  assert.deepEqual([seen.sort(), token], [['alice', 'bob'], ''])
  const [first, none] = [{ limit: 1 }, { limit: 0 }]
  const begun = expect(await point.ask('search/subject', { ...body, page: first }), 200)
  const token1 = begun.page.next_token
  // As the examples of §8.2.3 go on: the token alone, and so many as were asked for at first.
  const rest = expect(await point.ask('search/subject', { ...body, page: { token: token1 } }), 200)
  assert.deepEqual(rest.page, { next_token: '', count: 1 })
  const changed = { ...body, page: { token: token1, limit: 2 } }
  assert.equal((await point.ask('search/subject', changed)).status, 400, 'another limit')
  const nothing = expect(await point.ask('search/subject', { ...body, page: none }), 200)
  assert.deepEqual([nothing.results, nothing.page.next_token === ''], [[], false])
  for (const limit of [-1, 0.5, '1', null, 2 ** 31])
    assert.equal(
      (await point.ask('search/subject', { ...body, page: { limit } })).status,
      limit === 2 ** 31 ? 200 : 400,
    )
  const lacking: readonly [string, object][] = [
    ['subject', { subject: body.subject, resource: record1 }],
    ['resource', { action: body.action, resource: { type: 'record' } }],
    ['action', { subject: alice }],
    ['subject', { ...body, resource: { type: 'record' } }],
    ['resource', { ...body, resource: { type: 'record' } }],
  ]
  for (const [what, question] of lacking)
    assert.equal(
      (await point.ask(`search/${what}`, question)).status,
      400,
      `${what} ${JSON.stringify(question)}`,
    )
  const evaluating = await enforcementPoint(writ, ['writ:decisions:evaluate'])
  assert.equal((await evaluating.ask('search/subject', body)).status, 403)
})

test('a token says nothing of whom the search passed over, and is good for its caller, as it was, alone', async t => {
  const { writ, point } = await scene(t)
  await registerApi(writ)
  const read = { action: { name: 'read' }, resource: { type: 'resource', id: api } }
  const hidden = [await newAgent(writ), await newAgent(writ)]
  const [one, two] = [await newAgent(writ, { scopes: ['read'] }), await newAgent(writ, { scopes: ['read'] })]
  const ask = (page: object, by = point) =>
    by.ask('search/subject', { subject: { type: 'agent' }, ...read, page })
  const begun = expect(await ask({ limit: 1 }), 200)
  assert.deepEqual(begun.results, [{ type: 'agent', id: one.clientId }], 'whoever may not fills no page')
  const token: string = begun.page.next_token
  const bytes = token.split('.').map(part => Buffer.from(part, 'base64url').toString('latin1'))
  for (const { clientId } of [...hidden, one, two])
    assert.ok(![token, ...bytes].some(text => text.includes(clientId)), 'no name is in it')
  const rest = expect(await ask({ token }), 200)
  assert.deepEqual(rest.results, [{ type: 'agent', id: two.clientId }])
  const other = await enforcementPoint(writ)
  assert.equal((await ask({ token }, other)).status, 400, 'that of another enforcement point')
  const swapped = `${token.slice(0, -2)}${token.endsWith('AA') ? 'BB' : 'AA'}`
  const forged = [token.slice(1), `${token}A`, swapped, 'MA', `${token}.${token}`, 'x'.repeat(257), 7]
  for (const made of forged) assert.equal((await ask({ token: made })).status, 400, String(made))
})

test('the metadata name the decision point as it is called, below the well-known name', async t => {
  verifies('AuthZEN-9.1.1-1', 'AuthZEN-9.2-1', 'AuthZEN-9.2.2-1')
  for (const issuer of ['https://writ.example', 'https://host.example/tenant1']) {
    const writ = await authority(t, { issuer })
    const { origin, pathname } = new URL(issuer)
    const place = `${origin}/.well-known/authzen-configuration${pathname === '/' ? '' : pathname}`
    const answer = await writ.fetch(place)
    assert.equal(answer.status, 200)
    assert.match(answer.headers.get('content-type') ?? '', /^application\/json/)
    const document = (await answer.json()) as Record<string, string>
    assert.equal(document['policy_decision_point'], issuer)
    const endpoints = {
      access_evaluation_endpoint: 'evaluation',
      access_evaluations_endpoint: 'evaluations',
      search_subject_endpoint: 'search/subject',
      search_resource_endpoint: 'search/resource',
      search_action_endpoint: 'search/action',
    }
    for (const [member, path] of Object.entries(endpoints)) {
      assert.equal(document[member], `${issuer}/access/v1/${path}`)
      const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }
      assert.equal((await writ.fetch(document[member] ?? '', post)).status, 401, 'what is named is there')
    }
  }
})
