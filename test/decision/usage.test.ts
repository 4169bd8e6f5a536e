// Use of grants: who used one, with which scopes, and which of them nobody has used for thirty days.
import assert from 'node:assert/strict'
import { test } from 'node:test'
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
