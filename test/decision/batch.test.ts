// Batches: the same answers as one by one (property 31), duplicates alike, and no budget spent beyond what it has.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { api, expect, grant, newAgent, registerApi } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { enforcementPoint } from './point.ts'
import { certification, certificationActions, enforce } from './policies.ts'

const decisions = (body: { evaluations: { decision: boolean }[] }): boolean[] =>
  body.evaluations.map(({ decision }) => decision)

test('a batch is each of its questions, for every semantic up to where it ends', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  await enforce(writ, certification, certificationActions)
  const point = await enforcementPoint(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const subject = fc.constantFrom(
    { type: 'user', id: 'alice' },
    { type: 'user', id: 'bob', properties: { role: 'admin' } },
    { type: 'agent', id: agent.clientId },
    { type: 'Agent', id: agent.clientId },
  )
  const resource = fc.constantFrom(
    { type: 'record', id: 'record-1' },
    { type: 'record', id: 'record-2', properties: { status: 'archived' } },
    { type: 'resource', id: api },
    { type: 'resource', id: `${api}/` },
    { type: 'tool', id: `${api}#search` },
  )
  const action = fc.constantFrom('read', 'write', 'READ', 'delete').map(name => ({ name }))
  const item = fc.oneof(
    { arbitrary: fc.record({ subject, action, resource }), weight: 9 },
    { arbitrary: fc.constant({}), weight: 1 },
  )
  const ends = { execute_all: undefined, deny_on_first_deny: false, permit_on_first_permit: true } as const
  const semantic = fc.constantFrom(...(Object.keys(ends) as (keyof typeof ends)[]))
  await fc.assert(
    fc.asyncProperty(fc.array(item, { minLength: 1, maxLength: 8 }), semantic, async (evaluations, how) => {
      const singly: boolean[] = []
      for (const one of evaluations) {
        const answer = await point.ask('evaluation', one)
        singly.push(answer.status === 200 && answer.body.decision)
        if (singly.at(-1) === ends[how]) break
      }
      const options = { evaluations_semantic: how }
      assert.deepEqual(
        decisions(expect(await point.ask('evaluations', { evaluations, options }), 200)),
        singly,
      )
    }),
    { numRuns: 40 },
  )
})

test('a batch spends what its budget has and no more, and equal items are answered alike', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const point = await enforcementPoint(writ)
  const agent = await newAgent(writ)
  const budgets = [{ unit: 'calls', limit: 3, window_seconds: 3600 }]
  await grant(writ, agent.clientId, ['read'], { budgets })
  const common = { subject: { type: 'agent', id: agent.clientId }, action: { name: 'read' } }
  const tool = (name: string) => ({ resource: { type: 'tool', id: `${api}#${name}` } })
  const ask = async (names: readonly string[]) =>
    decisions(expect(await point.ask('evaluations', { ...common, evaluations: names.map(tool) }), 200))
  assert.deepEqual(
    await ask(['a', 'a', 'a', 'a']),
    [false, false, false, false],
    'four alike are one too many',
  )
  assert.deepEqual(
    await ask(['a', 'a', 'a', 'a', 'a', 'b']),
    [false, false, false, false, false, true],
    'what is too little for those alike is enough for another',
  )
  assert.deepEqual(await ask(['a', 'b', 'c', 'd', 'e']), [true, true, false, false, false])
  const single = expect(
    await point.ask('evaluation', { ...common, ...tool('a'), options: { explain: true } }),
    200,
  )
  assert.deepEqual([single.decision, single.context.writ.refused_by], [false, 'budget'])
  assert.deepEqual(await ask(['a', 'b']), [false, false])
})

test('what is permitted once is spent once, by any number of questions at the same time', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const point = await enforcementPoint(writ)
  const agent = await newAgent(writ)
  await grant(writ, agent.clientId, ['read'], {
    budgets: [{ unit: 'calls', limit: 5, window_seconds: 3600 }],
  })
  const question = {
    subject: { type: 'agent', id: agent.clientId },
    action: { name: 'read' },
    resource: { type: 'resource', id: api },
  }
  const answers = await Promise.all(Array.from({ length: 20 }, () => point.ask('evaluation', question)))
  assert.equal(answers.filter(({ body }) => body.decision === true).length, 5)
  assert.ok(answers.every(({ status }) => status === 200))
})

test('however many budgets of a batch are spent, each of its items has its answer', async t => {
  const writ = await authority(t)
  const scopes = Array.from({ length: 40 }, (_, at) => ({ name: `s${at}`, description: 'One of many' }))
  await registerApi(writ, { scopes })
  const point = await enforcementPoint(writ)
  const agent = await newAgent(writ)
  const budgets = [{ unit: 'calls', limit: 1, window_seconds: 3600 }]
  for (const { name } of scopes) await grant(writ, agent.clientId, [name], { budgets })
  const subject = { type: 'agent', id: agent.clientId }
  const evaluations = scopes.map(({ name }) => ({ action: { name } }))
  const body = { subject, resource: { type: 'resource', id: api }, evaluations }
  const ask = async () => new Set(decisions(expect(await point.ask('evaluations', body), 200)))
  assert.deepEqual(await ask(), new Set([true]))
  assert.deepEqual(await ask(), new Set([false]))
})
