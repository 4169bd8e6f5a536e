// Asking the decision point: whatever goes wrong on the way is a refusal, and memory never answers for what is over.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
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
    halted: new Set<string>(),
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
      isHalted: tool => state.halted.has(tool),
      endOf: ({ holds }) => {
        if (!state.current) return new Fault('temporarily_unavailable', 'away')
        return holds() ? undefined : new Fault('invalid_token', 'ended')
      },
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
  let epoch = 3
  const { decider, state, end } = site(() =>
    decision({ decision: true, context: { cache: { until: null, epoch, subjects: ['s'] } } }),
  )
  const ask = () => decider.decide(caller, { action: 'read' })
  assert.equal((await ask()).fromMemory, false)
  assert.equal((await ask()).fromMemory, true)
  assert.equal((await ask()).fromMemory, true)
  assert.equal(state.asked.length, 1)
  end('other', 9)
  assert.equal((await ask()).fromMemory, true)
  end('s', 9)
  epoch = 9
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

test('a yes that was overtaken by an end of what it rests on is asked for again, and believed only where it stands', async () => {
  let epoch = 3
  const { decider, state, end } = site(() => {
    end('s', epoch + 1)
    const cache = { until: null, epoch, subjects: ['s'] }
    epoch += 1
    return state.asked.length < 3 ? decision({ decision: true, context: { cache } }) : decision(kept)
  })
  state.generation += 1
  assert.equal(await outcome(decider.decide(caller, { action: 'read' })), 'temporarily_unavailable')
  assert.equal(state.asked.length, 3, 'not for ever')
  const other = site(() => {
    if (other.state.asked.length > 1) return decision({ decision: false })
    other.end('s', 4)
    return decision(kept)
  })
  assert.equal(await outcome(other.decider.decide(caller, { action: 'read' })), 'access_denied')
})

test('the halt of a tool holds whatever the decision point says, and only for the tool', async () => {
  const { decider, state } = site(() => {
    state.halted.add('burn')
    return decision(kept)
  })
  const call = (type: string, id: string) =>
    outcome(decider.decide(caller, { action: 'call', object: { type, id } }))
  assert.equal(await call('tool', 'burn'), 'access_denied', 'halted while it was asked about')
  assert.equal(await call('tool', 'echo'), 'allowed')
  assert.equal(await call('account', 'burn'), 'allowed')
  state.halted.clear()
  state.asked.length = 0
  assert.equal(await call('tool', 'echo'), 'allowed')
  assert.equal(state.asked.length, 0)
  state.halted.add('echo')
  assert.equal(await call('tool', 'echo'), 'access_denied', 'not even from memory')
})

test('what is asked is what stands in memory: later changes of the arguments and members that hide change nothing', async () => {
  const { decider, state } = site(() => decision(kept))
  const amounts = [5, 50]
  const shifting = {
    get amount() {
      return amounts.shift() ?? 500
    },
  }
  await decider.decide(caller, { action: 'pay', arguments: shifting })
  const sent = () => state.asked.map(({ context }) => (context as { arguments: unknown }).arguments)
  assert.deepEqual(sent(), [{ amount: 5 }])
  const again = await decider.decide(caller, { action: 'pay', arguments: { amount: 5 } })
  assert.equal(again.fromMemory, true)
  const other = await decider.decide(caller, { action: 'pay', arguments: { amount: 50 } })
  assert.equal(other.fromMemory, false)
  const given = { amount: 7, lines: [1] }
  const pending = decider.decide(caller, { action: 'pay', arguments: given })
  given.amount = 700
  given.lines.push(2)
  await pending
  assert.deepEqual(sent().at(-1), { amount: 7, lines: [1] })
  assert.equal((await decider.decide(caller, { action: 'pay', arguments: given })).fromMemory, false)
  const masked = { amount: 900, toJSON: () => ({ amount: 5 }) }
  await assert.rejects(decider.decide(caller, { action: 'pay', arguments: masked }), TypeError)
  assert.ok(Object.isFrozen(await decider.decide(caller, { action: 'see' })))
})

test('what JSON does not carry exactly is neither asked nor answered', async () => {
  const { decider, state } = site(() => decision(kept))
  const hidden = [
    Number.NaN,
    Number.NEGATIVE_INFINITY,
    1n,
    new Date(0),
    new Map(),
    () => 1,
    Symbol('x'),
    new Array(1),
  ]
  for (const value of hidden)
    await assert.rejects(decider.decide(caller, { action: 'pay', arguments: { value } }), TypeError)
  assert.equal(state.asked.length, 0)
})

test('names that mean something to a language are names: __proto__ and its like are asked about as they are', async () => {
  const { decider, state } = site(() => decision(kept))
  const texts = ['{"__proto__":{"amount":1}}', '{"constructor":1}', '{"toJSON":1}', '{"amount":1}', '{}']
  for (const text of texts) {
    const { fromMemory } = await decider.decide(caller, { action: 'pay', arguments: JSON.parse(text) })
    assert.equal(fromMemory, false, text)
  }
  assert.deepEqual(
    state.asked.map(({ context }) => JSON.stringify((context as { arguments: unknown }).arguments)),
    texts,
  )
})

test('options that would let memory answer for ever, or nobody ever answer, are refused', () => {
  for (const options of [
    { longestSeconds: Number.NaN },
    { longestSeconds: -1 },
    { cached: Number.NaN },
    { cached: -1 },
    { cached: 1.5 },
    { withinSeconds: Number.NaN },
    { withinSeconds: 0 },
  ])
    assert.throws(() => site(() => decision(kept), options), RangeError, JSON.stringify(options))
})

test('an answer that comes in drops, or not at all, is a refusal after the time that is waited', async t => {
  const dripping = createServer((request, response) => {
    if (request.url === '/silent') return
    response.writeHead(200, { 'content-type': 'application/json' }).write('{"decision":true')
    const drops = setInterval(() => response.write(' '), 20)
    response.on('close', () => clearInterval(drops))
  }).listen(0, '127.0.0.1')
  t.after(() => {
    dripping.closeAllConnections()
    dripping.close()
  })
  await once(dripping, 'listening')
  const { port } = dripping.address() as AddressInfo
  for (const path of ['/dripping', '/silent']) {
    const agent = {
      issuer: 'https://writ.example',
      fetch: (_: string, init: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init),
    } as unknown as Agent
    const { decider } = site(() => decision(kept), { agent, withinSeconds: 0.2 })
    assert.equal(await outcome(decider.decide(caller, { action: 'read' })), 'temporarily_unavailable', path)
  }
})

test('an agent of another issuer cannot ask here', () => {
  const agent = { issuer: 'https://other.example' } as Agent
  assert.throws(() => site(() => decision(kept), { agent }), RangeError)
})
