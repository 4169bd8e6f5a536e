// Enforcement points: a resource confirms what it enforces, and nobody confirms in its name.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { readEvents } from '@writ/sdk/protocol/event-stream'
import { createVerifier } from '@writ/sdk/resource/verifier'
import { api, expect, newAgent, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'

const pointsOf = async (writ: Authority) =>
  expect(await writ.operator.manage('GET', '/enforcement-points'), 200) as {
    epoch: number
    items: { label: string; node: string; epoch: number }[]
  }

async function resourceAt(t: TestContext, writ: Authority) {
  const verifier = createVerifier({
    issuer: writ.issuer,
    resource: api,
    fetch: ((url: string | URL | Request, init?: RequestInit) =>
      writ.fetch(String(url), init)) as typeof fetch,
  })
  t.after(() => verifier.close())
  await verifier.ready()
  return verifier
}

test('a resource confirms each halt, and is no longer asked once it has gone', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const [one] = [await resourceAt(t, writ), await resourceAt(t, writ)]
  await until('both have confirmed', 10, async () => (await pointsOf(writ)).items.length === 2)
  expect(
    await writ.operator.manage('POST', '/halts', {
      kind: 'agent',
      target: agent.clientId,
      reason: 'misused',
    }),
    201,
  )
  const { epoch, items } = await pointsOf(writ)
  assert.deepEqual(new Set(items.map(({ label }) => label)), new Set([api]))
  await until('both enforce it', 10, async () =>
    (await pointsOf(writ)).items.every(point => point.epoch >= epoch),
  )
  one?.close()
  await until('one is gone', 10, async () => (await pointsOf(writ)).items.length === 1)
})

test('a name that was not given confirms nothing, nor does an epoch that was not reached', async t => {
  const writ = await authority(t)
  const stop = new AbortController()
  t.after(() => stop.abort())
  const stream = await writ.fetch('/revocations', {
    headers: { accept: 'text/event-stream' },
    signal: stop.signal,
  })
  let point = ''
  for await (const data of readEvents(stream.body as ReadableStream<Uint8Array>, 1e6)) {
    point = JSON.parse(data).point
    break
  }
  const confirm = (body: unknown) =>
    writ.fetch('/revocations/confirmations', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  const { epoch } = await pointsOf(writ)
  const label = 'gate'
  const [node = '', random = '', mac = ''] = point.split('.')
  const foreign = [
    { point: `${node}.${random}.${mac.slice(0, -1)}${mac.endsWith('A') ? 'B' : 'A'}`, epoch, label },
    { point: `${node}x.${random}.${mac}`, epoch, label },
    { point: `${node}.${random}`, epoch, label },
    { point: '', epoch, label },
    { point: [point], epoch, label },
    { point, epoch: epoch + 1000, label },
    { point, epoch: -1, label },
    { point, epoch: 1.5, label },
    { point, epoch, label: 7 },
    { point, epoch, label, node: 'other' },
    { epoch, label },
  ]
  for (const body of foreign) assert.equal((await confirm(body)).status, 400, JSON.stringify(body))
  assert.deepEqual((await pointsOf(writ)).items, [])
  assert.equal((await confirm({ point, epoch, label })).status, 204)
  assert.equal((await confirm({ point, epoch: 0, label: 'gate' })).status, 204)
  const { items } = await pointsOf(writ)
  assert.deepEqual(
    items.map(item => [item.label, item.epoch, item.node]),
    [['gate', epoch, node]],
    'an older word takes nothing back',
  )
})
