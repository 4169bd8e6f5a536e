// Asking the decision point: whatever goes wrong on the way is a refusal, and memory never answers for what is over.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Agent } from '../../agent/agent.ts'
import { Fault, isFault } from '../../protocol/fault.ts'
import type { Caller } from '../caller.ts'
import { createDecider, type DecisionOptions } from './decider.ts'

const caller: Caller = {
  agent: 'agt_1',
  instance: null,
  session: null,
  task: null,
  subject: 'agt_1',
  person: null,
  chain: ['agt_1'],
  grant: 'grt_1',
  grants: ['grt_1'],
  scopes: ['read'],
  authorizationDetails: [],
  key: 'thumb',
  clientKey: 'thumb',
  epoch: 3,
  tokenId: 'jti',
  expiresAt: 5000,
  may: () => true,
  holds: () => true,
}

type Answering = (url: string, body: Record<string, unknown>) => Response | Promise<Response>

function decision(body: unknown, status = 200): Response {
  return new Response(typeof body === 'string' ? body : JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json', 'x-request-id': 'request-1' },
  })
}

/** A decider in front of a decision point that answers so. */
function site(answering: Answering, options: Partial<DecisionOptions> = {}) {
  const state = {
    asked: [] as Record<string, unknown>[],
    reports: [] as unknown[],
    current: true,
    generation: 0,
  }
  const ends = new Map<string, number>()
  // The port that an agent is: what it sends is kept, what it gets is made up.
  const agent = {
    issuer: 'https://writ.example',
    signReport: (claims: unknown) => {
      state.reports.push(claims)
      return 'report'
    },
    async fetch(url: string, init: RequestInit) {
      const body = JSON.parse(String(init.body))
      if (url.endsWith('/reports')) return decision({ taken: 1, repeated: false })
      state.asked.push(body)
      return answering(url, body)
    },
  } as unknown as Agent
  const decider = createDecider(
    {
      issuer: 'https://writ.example',
      resource: 'https://api.example',
      clock: { wallMs: () => 1_000_000, steadyMs: () => performance.now() },
      revocations: { generation: () => state.generation, endedAt: digest => ends.get(digest) },
      isCurrent: () => state.current,
      onTrouble: () => undefined,
    },
    { agent, ...options },
  )
  const end = (digest: string, epoch: number): void => {
    ends.set(digest, epoch)
    state.generation += 1
  }
  return { decider, state, end }
}

const kept = { decision: true, context: { cache: { until: null, epoch: 3, subjects: ['s'] } } }
const codeOf = (error: unknown): string => (isFault(error) ? error.code : String(error))

async function outcome(deciding: Promise<unknown>): Promise<string> {
  try {
    await deciding
    return 'allowed'
  } catch (error) {
    return codeOf(error)
  }
}

test('only a plain yes is a yes: everything else refuses', async () => {
  const answers: readonly [string, Response | Error, string][] = [
    ['yes', decision({ decision: true }), 'allowed'],
    ['no', decision({ decision: false }), 'access_denied'],
    [
      'no with a reason',
      decision({ decision: false, context: { reason_user: { en: 'no' } } }),
      'access_denied',
    ],
    ['the text true', decision({ decision: 'true' }), 'temporarily_unavailable'],
    ['the number 1', decision({ decision: 1 }), 'temporarily_unavailable'],
    ['nothing', decision({}), 'temporarily_unavailable'],
    ['a list', decision([{ decision: true }]), 'temporarily_unavailable'],
    ['twice', decision('{"decision":false,"decision":true}'), 'temporarily_unavailable'],
    ['no JSON', decision('true'), 'temporarily_unavailable'],
    ['too much', decision({ decision: true, pad: 'x'.repeat(70_000) }), 'temporarily_unavailable'],
    ['201', decision({ decision: true }, 201), 'temporarily_unavailable'],
    ['500', decision({ decision: true }, 500), 'temporarily_unavailable'],
    [
      'a redirect',
      new Response(null, { status: 307, headers: { location: '/' } }),
      'temporarily_unavailable',
    ],
    ['a broken line', new TypeError('fetch failed'), 'temporarily_unavailable'],
    ['no token', new Fault('invalid_scope', 'not granted'), 'temporarily_unavailable'],
    [
      'a reservation that is none',
      decision({ decision: true, context: { reservation: { id: 7 } } }),
      'temporarily_unavailable',
    ],
  ]
  for (const [name, answer, expected] of answers) {
    const { decider } = site(() => {
      if (answer instanceof Error) throw answer
      return answer
    })
    assert.equal(await outcome(decider.decide(caller, { action: 'read' })), expected, name)
  }
})

test('a permission is given again from memory until something it rests on ends, and each time is counted', async () => {
  const { decider, state, end } = site(() => decision(kept))
  const ask = () => decider.decide(caller, { action: 'read' })
  assert.equal((await ask()).fromMemory, false)
  assert.equal((await ask()).fromMemory, true)
  assert.equal((await ask()).fromMemory, true)
  assert.equal(state.asked.length, 1)
  end('other', 9)
  assert.equal((await ask()).fromMemory, true)
  end('s', 9)
  assert.equal((await ask()).fromMemory, false)
  await decider.close()
  const [report] = state.reports as { items: Record<string, unknown>[] }[]
  assert.deepEqual(
    report?.items.map(item => [item['count'], item['decided_by'], (item['action'] as { name: string }).name]),
    [[3, 'request-1', 'read']],
  )
  assert.doesNotMatch(JSON.stringify(report), /arguments/)
})

test('a refusal is asked about anew, and so is what may not be kept', async () => {
  const answers = [
    { decision: false },
    { decision: true },
    { decision: true, context: { cache: { until: 'soon', epoch: 3, subjects: [] } } },
    { decision: true, context: { cache: { until: null, epoch: 3 } } },
    {
      decision: true,
      context: { ...kept.context, reservation: { id: 'rsv_1', expires_at: '2100-01-01T00:00:00Z' } },
    },
  ]
  for (const body of answers) {
    const { decider, state } = site(() => decision(body))
    await outcome(decider.decide(caller, { action: 'read' }))
    await outcome(decider.decide(caller, { action: 'read' }))
    assert.equal(state.asked.length, 2, JSON.stringify(body))
  }
  const { decider, state } = site(() => decision(kept), { cached: 0 })
  await decider.decide(caller, { action: 'read' })
  await decider.decide(caller, { action: 'read' })
  assert.equal(state.asked.length, 2)
  assert.equal(state.asked[0]?.['options'], undefined)
})

test('without the issuer, or with a token that has ended, memory answers nothing', async () => {
  const { decider, state } = site(() => decision(kept))
  await decider.decide(caller, { action: 'read' })
  const ended = { ...caller, holds: () => false }
  assert.equal(await outcome(decider.decide(ended, { action: 'read' })), 'invalid_token')
  state.current = false
  assert.equal(await outcome(decider.decide(caller, { action: 'read' })), 'temporarily_unavailable')
})

test('what ends while it is asked about is refused, whatever the answer', async () => {
  let isHeld = true
  const { decider } = site(() => {
    isHeld = false
    return decision(kept)
  })
  const holder = { ...caller, holds: () => isHeld }
  assert.equal(await outcome(decider.decide(holder, { action: 'read' })), 'invalid_token')
})

test('an agent of another issuer cannot ask here', () => {
  const agent = { issuer: 'https://other.example' } as Agent
  assert.throws(() => site(() => decision(kept), { agent }), RangeError)
})
