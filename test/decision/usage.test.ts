// Use of grants: who used one, with which scopes, and which of them nobody has used for thirty days.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { api, expect, grant, newAgent, registerApi } from '../harness/agent.ts'
import { authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'
import { enforcementPoint } from './decision-point.ts'

const day = 86_400

test('a grant that nobody used for thirty days is listed, with when it was used last, and a used or young one is not', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const [worker, idler] = [await newAgent(writ), await newAgent(writ)]
  const used = await grant(writ, worker.clientId, ['read'])
  const idle = await grant(writ, idler.clientId, ['read'])
  await worker.token(api, 'read')
  const unused = async (query = '') =>
    expect(await writ.operator.manage('GET', `/grants/unused${query}`), 200).items.map(
      ({ id, last_used_at }: { id: string; last_used_at: string | null }) => [id, last_used_at !== null],
    )
  assert.deepEqual(await unused(), [], 'nothing is that old')
  writ.advance(31 * day)
  // The operator's token has ended with the month.
  await writ.operator.manage('GET', '/halts')
  await worker.token(api, 'read')
  const point = await enforcementPoint(writ)
  const question = {
    subject: { type: 'agent', id: worker.clientId },
    action: { name: 'read' },
    resource: { type: 'invoice', id: `${api}#17` },
  }
  assert.equal(expect(await point.ask('evaluation', question), 200).decision, true)
  const rows = async () => expect(await writ.operator.manage('GET', `/grants/${used}/usage`), 200).items
  await until('the use is counted', 20, async () => (await rows()).length === 2)
  const seen = (await rows()).map(({ scope, tool, count }: Record<string, unknown>) => [scope, tool, count])
  assert.deepEqual(new Set(seen.map(String)), new Set(['read,,2', 'read,invoice:17,1']))
  // The grants of the operator and the point are at the management API, and used by this very request.
  const listed = (await unused()).filter(([id]: [string]) => [used, idle].includes(id))
  assert.deepEqual(listed, [[idle, false]])
  writ.advance(2 * day)
  await writ.operator.manage('GET', '/halts')
  const soon = (await unused('?days=1')).filter(([id]: [string]) => [used, idle].includes(id))
  assert.deepEqual(soon, [
    [used, true],
    [idle, false],
  ])
  for (const wrong of ['?days=0', '?days=-1', '?days=x', '?days=99999'])
    assert.equal((await writ.operator.manage('GET', `/grants/unused${wrong}`)).status, 422, wrong)
})
