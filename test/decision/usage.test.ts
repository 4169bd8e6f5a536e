// Use of grants: who used one, with which scopes, and which of them nobody has used for thirty days.
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import { signJws } from '@writ/sdk/protocol/jws'
import { api, expect, grant, newAgent, registerApi } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'
import { enforcementPoint } from './point.ts'

test('a grant that nobody used for so many days is listed, with when it was used last, and a young or used one is not', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const [worker, idler] = [await newAgent(writ), await newAgent(writ)]
  const used = await grant(writ, worker.clientId, ['read'])
  const idle = await grant(writ, idler.clientId, ['read'])
  await worker.token(api, 'read')
  const point = await enforcementPoint(writ)
  const question = {
    subject: { type: 'agent', id: worker.clientId },
    action: { name: 'read' },
    resource: { type: 'invoice', id: `${api}#17` },
  }
  for (const _ of [1, 2]) assert.equal(expect(await point.ask('evaluation', question), 200).decision, true)
  const rows = async () => expect(await writ.operator.manage('GET', `/grants/${used}/usage`), 200).items
  await until('the use is counted', 20, async () => (await rows()).length === 2)
  const seen = (await rows()).map(({ scope, tool, count }: Record<string, unknown>) => [scope, tool, count])
  assert.deepEqual(new Set(seen.map(String)), new Set(['read,,1', 'read,invoice:17,2']))
  const unused = async (query: string) =>
    expect(await writ.operator.manage('GET', `/grants/unused${query}`), 200)
      .items.filter(({ id }: { id: string }) => ids.has(id))
      .map(({ id, last_used_at }: { id: string; last_used_at: string | null }) => [id, last_used_at !== null])
  const ids = new Set([used, idle])
  assert.deepEqual(await unused('?days=1'), [], 'nothing is that old')
  writ.advance(25 * 3600)
  // The operator's token ended with the day.
  await writ.operator.manage('GET', '/halts')
  ids.add(await grant(writ, idler.clientId, ['write']))
  assert.deepEqual(await unused('?days=1'), [
    [used, true],
    [idle, false],
  ])
  assert.deepEqual(await unused(''), [], 'thirty days unless it is said')
  expect(await writ.operator.manage('DELETE', `/grants/${idle}`), 204)
  assert.deepEqual(await unused('?days=1'), [[used, true]])
  for (const wrong of ['?days=0', '?days=-1', '?days=x', '?days=99999'])
    assert.equal((await writ.operator.manage('GET', `/grants/unused${wrong}`)).status, 422, wrong)
})

test('use is booked under who acted: the instance, from memory, in a batch and at our own endpoints alike', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const [worker, other, warden] = [await newAgent(writ), await newAgent(writ), await newAgent(writ)]
  const [used, others] = [
    await grant(writ, worker.clientId, ['read']),
    await grant(writ, other.clientId, ['read']),
  ]
  const management = `${writ.issuer}/api/v1`
  const guards = await grant(writ, warden.clientId, ['writ:agents:write'], { resource: management })
  const instanceOf = async ({ clientId }: { readonly clientId: string }) =>
    expect(await writ.operator.manage('GET', `/agents/${clientId}/instances`), 200).items[0].id
  const [ofWorker, ofOther, ofWarden] = [
    await instanceOf(worker),
    await instanceOf(other),
    await instanceOf(warden),
  ]
  const point = await enforcementPoint(writ)
  const asked = (agent: string, instance: string, id: string) => ({
    subject: { type: 'agent', id: agent },
    action: { name: 'read' },
    resource: { type: 'invoice', id: `${api}#${id}` },
    context: { instance },
  })
  const evaluations = [asked(worker.clientId, ofWorker, '1'), asked(other.clientId, ofOther, '2')]
  const { evaluations: answers } = expect(await point.ask('evaluations', { evaluations }), 200)
  assert.deepEqual(
    answers.map(({ decision }: { decision: boolean }) => decision),
    [true, true],
  )
  const now = Math.floor(writ.nowMs() / 1000)
  const { context: _, ...question } = asked(worker.clientId, ofWorker, '1')
  const times = { decided_by: randomUUID(), count: 3, first_at: now, last_at: now }
  const item = { ...question, instance: ofWorker, grants: [used], ...times }
  const report = signJws(
    { typ: 'decision-report+jwt', kid: point.party.key.jkt },
    { iss: point.party.clientId, aud: writ.issuer, batch: randomUUID(), items: [item] },
    point.party.key,
  )
  expect(await point.ask('reports', { report }), 200)
  const path = `/events?agent=${worker.clientId}&type=decision.repeated`
  const [repeated] = expect(await writ.operator.manage('GET', path), 200).items
  assert.equal(repeated.instance, ofWorker)
  const token = await warden.token(management)
  const suspend = `${management}/agents/${other.clientId}/suspend`
  expect(await warden.call('POST', suspend, { token, body: { reason: 'odd' } }), 200)
  const callersOf = async (id: string): Promise<ReadonlySet<string>> => {
    const { items } = expect(await writ.operator.manage('GET', `/grants/${id}/usage`), 200)
    return new Set(items.map(({ caller }: { caller: string }) => caller))
  }
  const wanted: readonly [string, string][] = [
    [used, ofWorker],
    [others, ofOther],
    [guards, ofWarden],
  ]
  for (const [id, instance] of wanted) {
    await until('the use is counted', 20, async () => (await callersOf(id)).size > 0)
    assert.deepEqual([...(await callersOf(id))], [instance])
  }
})
