// Reports: cut so that the issuer takes each of them, and none stands in the way of those behind it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Agent } from '../../agent/agent.ts'
import { reportsTo } from './reports.ts'

interface Batch {
  readonly batch: string
  readonly items: readonly { readonly resource: { readonly id: string } }[]
}

/** Reports to an issuer that answers so. */
function reporting(answering: (batch: Batch) => number) {
  const sent: Batch[] = []
  const troubles: string[] = []
  const agent = {
    signReport: (claims: unknown) => JSON.stringify(claims),
    async fetch(_url: string, init: RequestInit) {
      const batch = JSON.parse(JSON.parse(String(init.body)).report) as Batch
      sent.push(batch)
      return new Response('{}', { status: answering(batch) })
    },
  } as unknown as Agent
  const reports = reportsTo({
    agent,
    url: 'https://writ.example/access/v1/reports',
    audience: 'https://writ.example/api/v1',
    clock: { wallMs: () => 1_000_000, steadyMs: () => performance.now() },
    onTrouble: problem => void troubles.push(String(problem)),
  })
  const add = (id: string): void =>
    reports.add(
      id,
      {
        subject: { type: 'agent', id: 'agt_1' },
        action: { name: 'get' },
        resource: { type: 'http', id },
        context: { token: { grants: ['grt_1'], jti: 'j' } },
      },
      'request-1',
    )
  return { sent, troubles, reports, add }
}

test('long names make smaller batches: none is larger than the issuer takes', async () => {
  const { sent, reports, add } = reporting(() => 200)
  for (let at = 0; at < 99; at++) add(`https://api.example#/${at}/${'x'.repeat(1990)}`)
  await reports.close()
  assert.equal(sent.flatMap(({ items }) => items).length, 99)
  for (const batch of sent)
    assert.ok(JSON.stringify(batch).length < 100_000, `${JSON.stringify(batch).length}`)
})

const names = Array.from({ length: 70 }, (_, at) => `https://api.example#/${at}`)
const idsOf = (batches: readonly Batch[]): readonly string[] =>
  batches.flatMap(({ items }) => items.map(({ resource }) => resource.id))

test('what is refused for good is given up alone and said to be, and all others of its batch arrive once', async () => {
  const isPoison = ({ items }: Batch) => idsOf([{ batch: '', items }]).includes(names[33] as string)
  const { sent, troubles, reports, add } = reporting(batch => (isPoison(batch) ? 400 : 200))
  for (const name of names) add(name)
  await reports.close()
  const arrived = idsOf(sent.filter(batch => !isPoison(batch)))
  assert.deepEqual([...arrived].sort(), names.filter(name => name !== names[33]).sort())
  assert.equal(troubles.length, 1)
  assert.ok(sent.length <= 2 * Math.ceil(Math.log2(names.length)) + 1, `${sent.length}`)
})

test('a batch that is too large for the issuer goes in pieces', async () => {
  const { sent, troubles, reports, add } = reporting(({ items }) => (items.length > 9 ? 413 : 200))
  for (const name of names) add(name)
  await reports.close()
  assert.equal(idsOf(sent.filter(({ items }) => items.length <= 9)).length, names.length)
  assert.deepEqual(troubles, [])
})

test('an issuer that refuses whoever reports, or is busy, loses nothing', async () => {
  for (const status of [401, 403, 429, 500, 503]) {
    let answers = 0
    const { sent, reports, add } = reporting(() => (answers++ === 0 ? status : 200))
    add('https://api.example#/1')
    await reports.close()
    assert.deepEqual([sent.length, sent[0]?.batch], [2, sent[1]?.batch], `${status}`)
  }
})

test('a batch that could not be taken now is sent again as it was', async () => {
  let answers = 0
  const { sent, reports, add } = reporting(() => (answers++ === 0 ? 503 : 200))
  add('https://api.example#/1')
  await reports.close()
  assert.equal(sent.length, 2)
  assert.deepEqual(sent[0], sent[1])
})
