// The revocation stream is open to all: nobody takes it from the others, and nobody makes it run for nothing (C65, C66).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseMessage, type StreamMessage, subjectDigest } from '@writ/sdk/protocol/revocation'
import { api, expect, newAgent, payloadOf, registerApi } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { assertionType } from '../harness/party.ts'

const events = { headers: { accept: 'text/event-stream' } }

const from = (remoteAddress: string) => ({ incoming: { socket: { remoteAddress } } })

const listen = (writ: Authority, address: string, init: RequestInit = events): Promise<Response> =>
  writ.server.fetch(new Request(`${writ.issuer}/revocations`, init), from(address))

async function* messagesOf(answer: Response): AsyncGenerator<StreamMessage> {
  let text = ''
  for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString()
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1]
      const message = data === undefined ? undefined : parseMessage(JSON.parse(data))
      text = text.slice(end + 2)
      if (message !== undefined) yield message
    }
  }
}

/** Once more where the token of the operator is older than all that the server remembers. */
async function suspend(writ: Authority, agent: string): Promise<void> {
  const ask = () => writ.operator.manage('POST', `/agents/${agent}/suspend`, { reason: 'test' })
  const answer = await ask()
  expect(answer.status === 401 ? await ask() : answer, 200)
}

/** Forgets all signals that there are, as time does. */
async function sweep(writ: Authority): Promise<void> {
  const later = Date.now() + 86_400_000
  await writ.server.store.sweeping.sweep(Math.floor(later / 1000), { signalsBeforeMs: later })
}

test('a listener who was away until all he missed is gone hears a snapshot, once, and then what happens', async t => {
  const writ = await authority(t)
  const agent = await newAgent(writ)
  await sweep(writ)
  const poll = (await (await writ.fetch('/revocations?after=1')).json()) as StreamMessage
  assert.equal(poll.type, 'snapshot')
  const answer = await writ.fetch('/revocations?after=1', events)
  const heard: StreamMessage[] = []
  for await (const message of messagesOf(answer)) {
    heard.push(message)
    if (heard.length === 1) await suspend(writ, agent.clientId)
    // Heartbeats may come between; a flood of them may not.
    if (message.type === 'narrowed' || heard.length > 50) break
  }
  assert.deepEqual([heard[0]?.type, heard[0]?.epoch], ['snapshot', poll.epoch])
  assert.equal(heard.at(-1)?.type, 'narrowed')
})

test('a listener who knows the newest epoch, or claims one to come, is told no wrong thing', async t => {
  const writ = await authority(t)
  const newest = (await (await writ.fetch('/revocations')).json()) as StreamMessage
  const types = new Map<string, string>()
  for (const after of [`${newest.epoch}`, `${newest.epoch + 1}`, '999999999999999', '0', '']) {
    const answer = (await (await writ.fetch(`/revocations?after=${after}`)).json()) as StreamMessage
    assert.equal(answer.epoch, newest.epoch, after)
    types.set(after, answer.type)
  }
  assert.equal(types.get(`${newest.epoch}`), 'heartbeat')
  assert.equal(types.get('999999999999999'), 'snapshot')
  for (const after of [
    '-1',
    '1e3',
    '0x10',
    '1.5',
    '١',
    ' 1',
    '1 ',
    '9999999999999999',
    'null',
    '1&after=2x',
  ]) {
    const answer = await writ.fetch(`/revocations?after=${encodeURIComponent(after)}`)
    assert.equal(answer.status, 400, after)
  }
})

test('asking for the head of the stream takes no place in it', async t => {
  const writ = await authority(t)
  for (let at = 0; at < 4200; at++) {
    const answer = await listen(writ, '192.0.2.1', { method: 'HEAD', ...events })
    assert.deepEqual([answer.status, answer.body], [200, null])
  }
  const answer = await listen(writ, '192.0.2.2')
  assert.equal(answer.status, 200)
  await answer.body?.cancel()
})

test('one network holds no more listeners than its share, and leaves the stream to others', async t => {
  const writ = await authority(t)
  const held: Response[] = []
  // All addresses of one /64 are in the same hands.
  const own = (at: number): string => `2001:db8:0:1::${at.toString(16)}`
  for (let at = 0; at < 4096; at++) {
    const answer = await listen(writ, own(at))
    if (answer.status !== 200) {
      assert.equal(answer.status, 429)
      break
    }
    held.push(answer)
  }
  assert.ok(held.length >= 64 && held.length <= 1024, `${held.length}`)
  for (const other of ['192.0.2.2', '2001:db8:0:2::1']) {
    const answer = await listen(writ, other)
    assert.equal(answer.status, 200, other)
    await answer.body?.cancel()
  }
  for (const { body } of held) await body?.cancel()
  const again = await listen(writ, own(0))
  assert.equal(again.status, 200)
  await again.body?.cancel()
})

test('a listener who had gone before he was heard takes no place', async t => {
  const writ = await authority(t)
  for (let at = 0; at < 4200; at++) {
    const answer = await listen(writ, '192.0.2.1', { ...events, signal: AbortSignal.abort() })
    await answer.body?.cancel()
  }
  assert.equal((await listen(writ, '192.0.2.1')).status, 200)
})

test('a listener who does not read is cut off, and costs no more than his share of memory', async t => {
  const writ = await authority(t)
  const agent = await newAgent(writ)
  const lazy = await writ.fetch('/revocations', events)
  // Every other of them is news.
  for (let at = 0; at < 540; at++) {
    const verb = at % 2 === 0 ? 'suspend' : 'resume'
    expect(await writ.operator.manage('POST', `/agents/${agent.clientId}/${verb}`, { reason: 'again' }), 200)
  }
  let messages = 0
  for await (const _ of messagesOf(lazy)) messages += 1
  assert.ok(messages < 270, `${messages}`)
})

test('whoever comes without knowing anything hears all that can matter, however often and whoever asks meanwhile', async t => {
  const writ = await authority(t)
  await registerApi(writ)
  const agent = await newAgent(writ, { scopes: ['read'] })
  const ask = async (): Promise<StreamMessage> =>
    (await (await writ.fetch('/revocations')).json()) as StreamMessage
  const first = await ask()
  const ended: string[] = []
  for (let round = 0; round < 6; round++) {
    const token = await agent.token(api)
    const evidence = { client_assertion_type: assertionType, client_assertion: agent.assertion() }
    const revoking = agent.post('/revoke', { ...evidence, token })
    ended.push(subjectDigest(`token:${payloadOf(token)['jti']}`))
    const [answer, ...meanwhile] = await Promise.all([revoking, ask(), ask()])
    expect(answer, 200)
    for (const { epoch, narrowed } of [...meanwhile, await ask()]) {
      assert.ok(narrowed.every(([at]) => at <= epoch))
      assert.equal(new Set(narrowed.map(([at]) => at)).size, narrowed.length)
    }
    const { type, narrowed, epoch } = await ask()
    assert.equal(type, 'snapshot')
    assert.ok(epoch > first.epoch)
    const digests = narrowed.map(([, digest]) => digest)
    for (const digest of ended) assert.ok(digests.includes(digest))
  }
  // Long after, what no token can rest on any more is left out; and is back where the clock is set back.
  writ.advance(3600)
  assert.ok(!(await ask()).narrowed.some(([, digest]) => ended.includes(digest)))
  writ.advance(-3600)
  const again = (await ask()).narrowed.map(([, digest]) => digest)
  for (const digest of ended) assert.ok(again.includes(digest))
})

test('commits that end nothing cost a listener one message a heartbeat, however many there are, and leave no gap', async t => {
  const writ = await authority(t)
  const agent = await newAgent(writ)
  const beganMs = performance.now()
  const answer = await writ.fetch('/revocations', events)
  const heard: StreamMessage[] = []
  let goal = Number.POSITIVE_INFINITY
  for await (const message of messagesOf(answer)) {
    // A heartbeat tells nothing new: one at an epoch that was not heard before would say that something is missing.
    if (message.type === 'heartbeat') assert.ok(heard.some(({ epoch }) => epoch === message.epoch))
    heard.push(message)
    if (heard.length === 1) {
      for (let at = 0; at < 40; at++) {
        const change = { purpose: `Weekly report ${at}` }
        expect(await writ.operator.manage('PATCH', `/agents/${agent.clientId}`, change), 200)
      }
      goal = ((await (await writ.fetch('/revocations')).json()) as StreamMessage).epoch
    }
    if (message.epoch >= goal) break
  }
  const beats = Math.ceil((performance.now() - beganMs) / 1000)
  assert.ok(heard.length <= beats + 1, `${heard.length} messages in ${beats} beats`)
  assert.ok(heard.slice(1).every(({ narrowed }) => narrowed.length === 0))
})
