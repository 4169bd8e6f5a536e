// Bad input at the decision point: what is malformed, excessive or somebody else's is refused, and costs nothing.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, expect, grant, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { type EnforcementPoint, enforcementPoint } from './point.ts'

/** Posts a text as it is, with everything that a good request has beside it. */
async function raw(writ: Authority, point: EnforcementPoint, path: string, body: string): Promise<number> {
  const answer = await writ.fetch(path, {
    method: 'POST',
    headers: {
      authorization: `DPoP ${point.token}`,
      dpop: point.party.proof(path, { accessToken: point.token }),
      'content-type': 'application/json',
    },
    body,
  })
  await answer.body?.cancel()
  return answer.status
}

const places = [
  'evaluation',
  'evaluations',
  'search/subject',
  'search/resource',
  'search/action',
  'settlements',
  'access-requests',
  'reports',
]

test('no endpoint reads a body that two readers could read in two ways, or one without an end', async t => {
  const writ = await authority(t)
  const point = await enforcementPoint(writ)
  const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
  const bodies: readonly [string, string, readonly number[]][] = [
    ['a repeated member', '{"subject":{"type":"user","id":"a"},"subject":{"type":"user","id":"b"}}', [400]],
    ['a repeated member within', '{"context":{"x":1,"\\u0078":2}}', [400]],
    ['a prototype', '{"subject":{"__proto__":{"type":"user"}}}', [400]],
    ['depth', nested(5000), [400]],
    ['a list', '[]', [400]],
    ['a number beyond all', '{"context":{"amounts":{"calls":1e999}}}', [400]],
    ['no number', '{"context":{"amounts":{"calls":NaN}}}', [400]],
    ['half a letter', '{"subject":{"type":"user","id":"\\ud800"}}', [400]],
    [
      'members without an end',
      `{${Array.from({ length: 30_000 }, (_, at) => `"m${at}":1`).join()}}`,
      [400, 413],
    ],
    ['ten megabytes', `{"subject":"${'x'.repeat(10_000_000)}"}`, [413]],
  ]
  for (const place of places)
    for (const [what, body, statuses] of bodies)
      assert.ok(statuses.includes(await raw(writ, point, `/access/v1/${place}`, body)), `${what} at ${place}`)
})

test('no member of another type passes for one, in a question, an item or a search', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const point = await enforcementPoint(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const good = {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'read' },
    resource: { type: 'resource', id: api },
  }
  const token = { jti: 'j', grants: [], scopes: [], key: 'k', epoch: 1, exp: 2 }
  const contexts: readonly Record<string, unknown>[] = [
    ...[-1, 0.5, '1', null, [], true].map(calls => ({ amounts: { calls } })),
    { amounts: { calls: 0 } },
    { amounts: [] },
    { amounts: { wishes: 1 } },
    { amounts: { money: 1, currency: 'eur' } },
    { reserve: 'true' },
    { chain: {} },
    { chain: [agent.clientId] },
    { chain: [{ type: 'agent' }] },
    { chain: Array.from({ length: 9 }, () => ({ type: 'person', id: 'usr_1' })) },
    { token: 'eyJ' },
    { token: { ...token, epoch: -1 } },
    { token: { ...token, grants: 'grt_1' } },
    { token: { ...token, grants: ['grt_1'] } },
    { token: { ...token, scopes: [7] } },
    { token: { ...token, authorization_details: {} } },
    { token: { ...token, authorization_details: [{ type: 'nothing' }] } },
    { peer: '10.0.0.256' },
    { peer: 7 },
    { session: 'ses_1', token: { ...token, session: 'ses_2' } },
    { arguments: [] },
    { approval: 'apr_1' },
    { approval: {} },
    { authentication_age: -1 },
    { key_age: '3' },
  ]
  const others: readonly Record<string, unknown>[] = [
    { subject: { ...good.subject, properties: [] } },
    { subject: { type: 'agent', id: '' } },
    { subject: { type: 'agent', id: 'x'.repeat(3000) } },
    { subject: [good.subject] },
    { action: 'read' },
    { action: { name: ['read'] } },
    { resource: null },
    { context: 'none' },
    ...contexts.map(context => ({ context })),
  ]
  expect(await point.ask('evaluation', good), 200)
  for (const member of others) {
    const what = JSON.stringify(member).slice(0, 200)
    assert.equal((await point.ask('evaluation', { ...good, ...member })).status, 400, what)
    const { evaluations } = expect(
      await point.ask('evaluations', { ...good, evaluations: [{}, member] }),
      200,
    )
    assert.equal(evaluations[0].decision, true)
    assert.deepEqual([evaluations[1].decision, evaluations[1].context.error.status], [false, 400], what)
    if (Object.hasOwn(member, 'action')) continue
    const searched = await point.ask('search/action', { ...good, ...member })
    assert.equal(searched.status, 400, `search: ${what}`)
  }
  for (const options of [[], 'explain', { explain: 'yes' }, { cache: 1 }])
    assert.equal((await point.ask('evaluation', { ...good, options })).status, 400, JSON.stringify(options))
  for (const members of [
    { options: { evaluations_semantic: 7 } },
    { evaluations: {} },
    { evaluations: 'all' },
  ])
    assert.equal((await point.ask('evaluations', { evaluations: [good], ...members })).status, 400)
})

test('a call costs at least one call, and what is reserved has an amount', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ)
  const budgets = [
    { unit: 'calls', limit: 2, window_seconds: 60 },
    { unit: 'rows', limit: 9, window_seconds: 60 },
  ]
  const id = await grant(writ, agent.clientId, ['read'], { budgets })
  const point = await enforcementPoint(writ)
  const ask = (context: object) =>
    point.ask('evaluation', {
      subject: { type: 'agent', id: agent.clientId },
      action: { name: 'read' },
      resource: { type: 'resource', id: api },
      context,
    })
  assert.equal((await ask({ amounts: { calls: 0, rows: 1 } })).status, 400)
  assert.equal(expect(await ask({ reserve: true }), 200).decision, false)
  assert.equal(expect(await ask({ reserve: true, amounts: {} }), 200).decision, false)
  const kept = async () =>
    expect(await writ.operator.manage('GET', `/grants/${id}`), 200).budgets.map(
      ({ left }: { left: number }) => left,
    )
  assert.deepEqual(await kept(), [2, 9], 'what is refused costs nothing')
  const { context } = expect(await ask({ reserve: true, amounts: { rows: 5 } }), 200)
  assert.deepEqual(await kept(), [1, 4])
  const settle = (amounts: object) =>
    point.ask('settlements', { reservation: context.reservation.id, amounts })
  expect(await settle({ rows: 50 }), 200)
  assert.deepEqual(await kept(), [1, 0], 'what was more than reserved is taken in full')
  assert.equal((await settle({ rows: 0 })).status, 409)
  assert.deepEqual(await kept(), [1, 0])
})

test('equal items of a batch that reserve have a reservation each, and each is settled', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ)
  const budgets = [{ unit: 'rows', limit: 100, window_seconds: 3600 }]
  const id = await grant(writ, agent.clientId, ['read'], { budgets })
  const point = await enforcementPoint(writ)
  const answer = await point.ask('evaluations', {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'read' },
    resource: { type: 'resource', id: api },
    context: { reserve: true, amounts: { rows: 30 } },
    evaluations: [{}, {}, {}],
  })
  const { evaluations } = expect(answer, 200)
  const ids = evaluations.map(
    (one: { context: { reservation: { id: string } } }) => one.context.reservation.id,
  )
  assert.equal(new Set(ids).size, 3)
  const left = async () => expect(await writ.operator.manage('GET', `/grants/${id}`), 200).budgets[0].left
  assert.equal(await left(), 10)
  for (const reservation of ids)
    expect(await point.ask('settlements', { reservation, amounts: { rows: 1 } }), 200)
  assert.equal(await left(), 97)
})

test('an item behind the end of a batch takes nothing from those before it', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ)
  const budgets = [{ unit: 'calls', limit: 1, window_seconds: 3600 }]
  await grant(writ, agent.clientId, ['read'], { budgets })
  const point = await enforcementPoint(writ)
  const answer = await point.ask('evaluations', {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'read' },
    resource: { type: 'resource', id: api },
    options: { evaluations_semantic: 'deny_on_first_deny' },
    evaluations: [{}, { resource: { type: 'tool', id: `${api}#a` } }, { action: { name: 'erase' } }, {}],
  })
  const { evaluations } = expect(answer, 200)
  assert.deepEqual(
    evaluations.map(({ decision }: { decision: boolean }) => decision),
    [true, false],
    'there is one call left, for the first',
  )
})
