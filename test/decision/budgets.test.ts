// Budgets at the decision point: exact under concurrency, shared by who rests on the grant, settled once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, expect, grant, newAgent, payloadOf, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { enforcementPoint } from './point.ts'

async function scene(t: Parameters<typeof authority>[0], limits: Record<string, unknown>) {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ)
  const id = await grant(writ, agent.clientId, ['read'], limits)
  const point = await enforcementPoint(writ)
  const ask = async (
    context: Record<string, unknown> = {},
    options = {},
    resource = { type: 'resource', id: api },
  ) => {
    const answer = await point.ask('evaluation', {
      subject: { type: 'agent', id: agent.clientId },
      action: { name: 'read' },
      resource,
      context,
      options,
    })
    return expect(answer, 200)
  }
  const settle = (body: unknown) => point.ask('settlements', body)
  return { writ, agent, id, point, ask, settle }
}

const leftOf = async (writ: Authority, id: string): Promise<number> =>
  expect(await writ.operator.manage('GET', `/grants/${id}`), 200).budgets[0].left

test('of thirty calls at once exactly as many are allowed as the budget has, and later as many again', async t => {
  const { writ, id, ask } = await scene(t, { budgets: [{ unit: 'calls', limit: 7, window_seconds: 60 }] })
  const answers = await Promise.all(Array.from({ length: 30 }, () => ask()))
  assert.equal(answers.filter(({ decision }) => decision).length, 7)
  assert.equal(await leftOf(writ, id), 0)
  const [denied] = [await ask({}, { explain: true })]
  assert.deepEqual([denied.decision, denied.context.writ.refused_by], [false, 'budget'])
  writ.advance(62)
  const later = await Promise.all(Array.from({ length: 30 }, () => ask()))
  assert.equal(later.filter(({ decision }) => decision).length, 7)
})

test('an answer that spends is never marked to be kept, and one of the same agent that does not spend is', async t => {
  const { ask } = await scene(t, { budgets: [{ unit: 'calls', limit: 7, window_seconds: 60 }] })
  const spending = await ask({}, { cache: true })
  assert.deepEqual([spending.decision, spending.context?.cache], [true, undefined])
  const free = await scene(t, {})
  const kept = await free.ask({}, { cache: true })
  assert.equal(typeof kept.context.cache.epoch, 'number')
})

test('an upper bound is reserved and settled once; what nobody told is refused', async t => {
  const budgets = [{ unit: 'rows', limit: 100, window_seconds: 3600 }]
  const { writ, id, ask, settle } = await scene(t, { budgets })
  assert.equal((await ask()).decision, false, 'rows have a budget, and nobody said how many')
  const { decision, context } = await ask({ amounts: { rows: 80 }, reserve: true })
  assert.equal(decision, true)
  assert.equal(await leftOf(writ, id), 20)
  assert.equal((await ask({ amounts: { rows: 30 } })).decision, false)
  const { id: reservation } = context.reservation
  assert.equal((await settle({ reservation })).status, 400, 'without its amount')
  assert.equal((await settle({ reservation, amounts: { rows: -5 } })).status, 400)
  assert.equal((await settle({ reservation, amounts: { rows: 0.5 } })).status, 400)
  assert.equal((await settle({ reservation: 'rsv_1', amounts: { rows: 5 } })).status, 409)
  expect(await settle({ reservation, amounts: { rows: 5 } }), 200)
  assert.equal(await leftOf(writ, id), 95)
  assert.equal((await settle({ reservation, amounts: { rows: 0 } })).status, 409, 'settled once')
  const late = await ask({ amounts: { rows: 90 }, reserve: true })
  writ.advance(400)
  await writ.operator.manage('GET', '/halts')
  const body = { reservation: late.context.reservation.id, amounts: { rows: 0 } }
  const tooLate = await (await enforcementPoint(writ)).ask('settlements', body)
  assert.equal(tooLate.status, 409, 'the bound stands as spent')
  assert.equal(await leftOf(writ, id), 5)
})

test('money is settled in the currency in which it was reserved, in whole numbers, and by any amount of it', async t => {
  const budgets = [
    { unit: 'money', currency: 'EUR', limit: 1000, window_seconds: 3600 },
    { unit: 'money', currency: 'USD', limit: 100, window_seconds: 3600 },
  ]
  const { writ, id, ask, settle } = await scene(t, { budgets })
  const reserve = async (amounts: object) => ask({ amounts, reserve: true })
  assert.equal((await reserve({ money: 10 })).decision, false, 'money of no currency')
  assert.equal((await reserve({ money: 10, currency: 'CHF' })).decision, false, 'of one that has no budget')
  const { id: reservation } = (await reserve({ money: 600, currency: 'EUR' })).context.reservation
  for (const amounts of [
    { money: 1, currency: 'USD' },
    { money: 1, currency: 'eur' },
    { currency: 'EUR' },
    { money: null, currency: 'EUR' },
    { money: '1', currency: 'EUR' },
    { money: 1e300, currency: 'EUR' },
    { money: 1, pounds: 2 },
  ])
    assert.equal((await settle({ reservation, amounts })).status, 400, JSON.stringify(amounts))
  assert.equal(await leftOf(writ, id), 400, 'what was refused has settled nothing')
  expect(await settle({ reservation, amounts: { money: 1400, currency: 'EUR' } }), 200)
  assert.equal(await leftOf(writ, id), 0, 'more than was reserved is taken in full')
  assert.equal((await reserve({ money: 1, currency: 'EUR' })).decision, false)
  assert.equal((await reserve({ money: 100, currency: 'USD' })).decision, true, 'each currency by itself')
})

test('of twenty that settle one reservation at once one does, whatever each of them says', async t => {
  const budgets = [{ unit: 'rows', limit: 100, window_seconds: 3600 }]
  const { writ, id, ask, settle } = await scene(t, { budgets })
  const { id: reservation } = (await ask({ amounts: { rows: 50 }, reserve: true })).context.reservation
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, rows) => settle({ reservation, amounts: { rows } })),
  )
  const winner = answers.findIndex(({ status }) => status === 200)
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [
    200,
    ...Array.from({ length: 19 }, () => 409),
  ])
  assert.equal(await leftOf(writ, id), 100 - winner)
})

test('budgets and conditions that say nothing, or nothing that holds, are not stored', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ)
  const one = { unit: 'calls', limit: 1, window_seconds: 60 }
  const wrong = [
    { budgets: [{ ...one, limit: 0 }] },
    { budgets: [{ ...one, limit: -1 }] },
    { budgets: [{ ...one, limit: 1.5 }] },
    { budgets: [{ ...one, limit: null }] },
    { budgets: [{ ...one, limit: 2 ** 53 }] },
    { budgets: [{ ...one, window_seconds: 0 }] },
    { budgets: [{ ...one, burst: -1 }] },
    { budgets: [{ ...one, unit: 'wishes' }] },
    { budgets: [{ ...one, currency: 'EUR' }] },
    { budgets: [{ ...one, unit: 'money' }] },
    { budgets: [one, one] },
    { budgets: [{ ...one, extra: true }] },
    { condition: '' },
    { condition: 'true }; permit (principal, action, resource) when { true' },
    { condition: 'context.nothing == 1' },
    { condition: 'principal.name' },
    // What would always hold, for the action is `delete` in every question.
    { condition: 'action != Writ::Action::"Delete"' },
  ]
  for (const limits of wrong) {
    const answer = await writ.operator.manage('POST', '/grants', {
      agent: agent.clientId,
      resource: api,
      scopes: ['read'],
      reason: 'test',
      ...limits,
    })
    assert.ok([400, 422].includes(answer.status), `${answer.status} ${JSON.stringify(limits)}`)
  }
})

test('the condition of a grant is held at each call', async t => {
  const condition = 'context has peer && context.peer.isInRange(ip("10.0.0.0/8"))'
  const { ask } = await scene(t, { condition })
  assert.equal((await ask({ peer: '10.1.2.3' })).decision, true)
  const denied = await ask({ peer: '192.0.2.1' }, { explain: true })
  assert.deepEqual([denied.decision, denied.context.writ.refused_by], [false, 'condition'])
  assert.equal((await ask()).decision, false, 'where nobody knows the address')
})

test('what a condition names is not passed in other letters', async t => {
  const condition = `resource != Writ::Object::"${api}#http:/admin"`
  const { ask } = await scene(t, { condition })
  const at = async (path: string) => (await ask({}, {}, { type: 'http', id: `${api}#${path}` })).decision
  assert.equal(await at('/orders'), true)
  for (const path of ['/admin', '/Admin', '/admin/']) assert.equal(await at(path), false, path)
})

const calls = (limit: number) => [{ unit: 'calls', limit, window_seconds: 3600 }]

test('where the budget of one grant is spent another grant of the agent answers, and the refusal after both names one', async t => {
  const { writ, agent, id, ask } = await scene(t, { budgets: calls(2) })
  const second = await grant(writ, agent.clientId, ['read'], { budgets: calls(3) })
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask()))
  assert.equal(answers.filter(({ decision }) => decision).length, 5)
  assert.deepEqual([await leftOf(writ, id), await leftOf(writ, second)], [0, 0])
  const { decision, context } = await ask({}, { explain: true })
  assert.deepEqual([decision, context.writ.refused_by], [false, 'budget'])
  assert.match(context.writ.rule, new RegExp(`^(${id}|${second}) calls:`))
  await grant(writ, agent.clientId, ['read'])
  assert.equal((await ask()).decision, true, 'one that has no budget answers before all others')
})

test('an agent with more spent grants than are tried is refused, and the refusal is an entry', async t => {
  const rows = { budgets: [{ unit: 'rows', limit: 1, window_seconds: 3600 }] }
  const { writ, agent, point } = await scene(t, rows)
  for (let at = 0; at < 35; at += 1) await grant(writ, agent.clientId, ['read'], rows)
  const answer = await point.ask('evaluation', {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'read' },
    resource: { type: 'resource', id: api },
    context: { amounts: { rows: 2 } },
  })
  assert.deepEqual([answer.status, answer.body.code], [403, 'access_denied'])
  const { items } = expect(await writ.operator.manage('GET', '/events?type=decision.evaluated'), 200)
  const [{ outcome, decision }] = items
  assert.deepEqual([outcome, decision.rule], ['refused', 'budget:exhausted'])
})

test('why-not says that a budget is spent, and until when, and spends nothing itself', async t => {
  const { writ, agent, id, ask } = await scene(t, { budgets: calls(2) })
  const second = await grant(writ, agent.clientId, ['read'], { budgets: calls(1) })
  const whyNot = async () => {
    const body = { agent: agent.clientId, action: 'read', resource: api }
    return expect(await writ.operator.manage('POST', '/why-not', body), 200)
  }
  for (let left = 3; left > 0; left -= 1) {
    assert.equal((await whyNot()).decision, true, `${left} are left`)
    assert.equal((await ask()).decision, true)
  }
  const said = await whyNot()
  assert.deepEqual([said.decision, said.refused_by], [false, 'budget'])
  assert.match(said.says, /has not so many calls left: again from 20/)
  assert.deepEqual([await leftOf(writ, id), await leftOf(writ, second)], [0, 0])
  await grant(writ, agent.clientId, ['read'])
  assert.equal((await whyNot()).decision, true)
})

test('a token rests on every grant that may answer for it, so that one that is spent bars no other', async t => {
  const { writ, agent, ask } = await scene(t, { budgets: calls(1), expires_at: inSeconds(3000) })
  await grant(writ, agent.clientId, ['read'], { budgets: calls(1), expires_at: inSeconds(2000) })
  const { jti, exp, scope, writ: own } = payloadOf(await agent.token(api, 'read')) as unknown as Token
  const { grants, epoch, key } = own
  assert.equal(grants.length, 2)
  const token = { jti, grants, scopes: scope.split(' '), epoch, key, exp }
  const answers = [await ask({ token }), await ask({ token }), await ask({ token })]
  assert.deepEqual(
    answers.map(({ decision }) => decision),
    [true, true, false],
  )
})

interface Token {
  readonly jti: string
  readonly exp: number
  readonly scope: string
  readonly writ: { readonly grants: readonly string[]; readonly epoch: number; readonly key: string }
}

const inSeconds = (seconds: number): string => new Date(Date.now() + seconds * 1000).toISOString()
