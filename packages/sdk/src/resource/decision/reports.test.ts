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

test('a batch that is refused for good is given up and said to be, and those behind it arrive', async () => {
  const isPoison = ({ items }: Batch) => items.some(({ resource }) => resource.id.includes('poison'))
  const { sent, troubles, reports, add } = reporting(batch => (isPoison(batch) ? 400 : 200))
  add('https://api.example#/poison')
  for (let at = 0; at < 100; at++) add(`https://api.example#/${at}`)
  await reports.close()
  const arrived = sent.filter(batch => !isPoison(batch)).flatMap(({ items }) => items)
  assert.equal(sent.filter(isPoison).length, 1)
  assert.ok(arrived.length > 0)
  assert.equal(troubles.filter(trouble => /400/.test(trouble)).length, 1)
})

test('a batch that could not be taken now is sent again as it was', async () => {
  let answers = 0
  const { sent, reports, add } = reporting(() => (answers++ === 0 ? 503 : 200))
  add('https://api.example#/1')
  await reports.close()
  assert.equal(sent.length, 2)
  assert.deepEqual(sent[0], sent[1])
})
