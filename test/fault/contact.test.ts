// A node that has lost its store never vouches for anything: it says nothing on the stream, and answers no poll.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMessage, type StreamMessage } from '@writ/sdk/protocol/revocation'
import { until } from '../harness/deadline.ts'
import { isAway } from './answers.ts'
import { placeOf } from './world.ts'

const heartbeatMs = 1000

/** Collects the messages of the stream until the test ends. */
async function listen(
  fetch: (path: string, init?: RequestInit) => Promise<Response>,
  signal: AbortSignal,
): Promise<readonly StreamMessage[]> {
  const answer = await fetch('/revocations', { headers: { accept: 'text/event-stream' }, signal })
  assert.equal(answer.status, 200)
  assert.ok(answer.body)
  const messages: StreamMessage[] = []
  const read = async (body: ReadableStream<Uint8Array>): Promise<void> => {
    let text = ''
    for await (const chunk of body) {
      text += Buffer.from(chunk).toString()
      const events = text.split('\n\n')
      text = events.pop() ?? ''
      for (const event of events) {
        const message = parseMessage(JSON.parse(/^data: (.*)$/m.exec(event)?.[1] ?? ''))
        assert.ok(message)
        messages.push(message)
      }
    }
  }
  read(answer.body).catch(error => assert.equal(error?.name, 'AbortError'))
  return messages
}

test('without contact to its store a node sends no heartbeat and answers no poll, and does both again with it', async t => {
  const contact = { lostAtMs: undefined as number | undefined }
  const world = await placeOf(t, {
    revocationHeartbeatSeconds: heartbeatMs / 1000,
    around: {
      wrapStore: store => ({
        ...store,
        signals: {
          ...store.signals,
          contactMs: () => contact.lostAtMs ?? store.signals.contactMs(),
        },
      }),
    },
  }).open()
  const ending = new AbortController()
  t.after(() => ending.abort())
  const messages = await listen(world.fetch, ending.signal)
  const beats = (): number => messages.filter(({ type }) => type === 'heartbeat').length
  await until('a heartbeat', 10, async () => beats() > 0)
  assert.equal((await world.fetch('/revocations')).status, 200)

  contact.lostAtMs = Date.now() - 60_000
  const answer = await world.fetch('/revocations')
  assert.ok(isAway({ status: answer.status, body: await answer.json() }))
  const silentFrom = beats()
  const silentSince = performance.now()
  await until('three heartbeats left out', 10, async () => performance.now() - silentSince > 3 * heartbeatMs)
  assert.equal(beats(), silentFrom)
  // What it knows for certain it still tells: an end is an end, whoever else is out of reach.
  const ended = await world.operator.manage('POST', '/agents', {
    name: 'short',
    owner: world.operator.clientId,
    purpose: 'Ends',
  })
  assert.equal(ended.status, 201)
  const retired = await world.operator.manage('POST', `/agents/${ended.body.id}/retire`, { reason: 'Ends' })
  assert.equal(retired.status, 200)
  await until('the end on the stream', 10, async () => messages.some(({ type }) => type === 'narrowed'))

  contact.lostAtMs = undefined
  await until('heartbeats again', 10, async () => beats() > silentFrom)
  assert.equal((await world.fetch('/revocations')).status, 200)
})
