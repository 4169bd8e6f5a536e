// A halted tool is not called, whoever holds what token: also behind a guard that asks nobody about its calls.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { parseMessage, type StreamMessage, subjectDigest, toolSubject } from '@writ/sdk/protocol/revocation'
import { type McpGuard, type McpOptions, mcpGuard } from '@writ/sdk/resource/mcp'
import type { Surroundings } from '@writ/server'
import { expect, newAgent } from '../harness/agent.ts'
import { type Authority, authority } from '../harness/authority.ts'
import { until } from '../harness/deadline.ts'
import type { Party } from '../harness/party.ts'
import { serve } from './serve.ts'

const resource = 'https://tools.example/mcp'
const scopes = ['burn:call', 'echo:call']

/** What an authority under test and one in a process of its own have in common. */
type Home = Pick<Authority, 'issuer' | 'operator' | 'party' | 'fetch'>

const post = async ({ operator }: Home, path: string, body: unknown, status = 201) =>
  expect(await operator.manage('POST', path, body), status)

async function registered(home: Home): Promise<Party> {
  const described = scopes.map(name => ({ name, description: name }))
  await post(home, '/resources', { identifier: resource, name: 'Tools', scopes: described })
  const agent = await newAgent(home as Authority)
  await post(home, '/grants', { agent: agent.clientId, resource, scopes, reason: 'test' })
  return agent
}

const halt = async (home: Home, tool: string): Promise<string> =>
  (await post(home, '/halts', { kind: 'tool', target: `${resource}#${tool}`, reason: 'misused' })).id

const lift = (home: Home, id: string) => post(home, `/halts/${id}/lift`, { reason: 'mended' }, 200)

async function guarded(
  t: Pick<TestContext, 'after'>,
  home: Home,
  options: Partial<McpOptions> = {},
): Promise<McpGuard> {
  const guard = mcpGuard({
    issuer: home.issuer,
    resource,
    tools: { burn: 'burn:call', echo: 'echo:call' },
    fetch: ((url: string, init?: RequestInit) => home.fetch(url, init)) as typeof fetch,
    ...options,
  })
  t.after(() => guard.verifier.close())
  await guard.verifier.ready()
  return guard
}

interface Sent {
  readonly guard: McpGuard
  readonly agent: Party
  readonly token: string
}

/** What becomes of the call of a tool: `passed`, or status and error of the refusal. */
async function called({ guard, agent, token }: Sent, name: string): Promise<string> {
  const message = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: {} } }
  const decision = await guard.decide({
    method: 'POST',
    url: '/mcp',
    headers: new Headers({
      authorization: `DPoP ${token}`,
      dpop: agent.proof(resource, { accessToken: token }),
      'content-type': 'application/json',
    }),
    body: (async function* () {
      yield Buffer.from(JSON.stringify(message))
    })(),
  })
  if (decision.kind === 'forward') return 'passed'
  const { status, body } = decision.answer
  return `${status} ${JSON.parse(body).error?.data?.error ?? JSON.parse(body).error}`
}
const no = '403 access_denied'

/** Waits until every connected enforcement point has confirmed everything up to now. */
const confirmed = (home: Home, points = 1) =>
  until('every enforcement point has confirmed', 20, async () => {
    const { epoch, items } = expect(await home.operator.manage('GET', '/enforcement-points'), 200)
    return items.length === points && items.every((item: { epoch: number }) => item.epoch >= epoch)
  })

test('a guard that asks nobody confirms the halt of a tool only once it lets no call of it through', async t => {
  const home = await serve(t)
  const agent = await registered(home)
  const token = await agent.token(resource)
  const guard = await guarded(t, home)
  assert.equal(await called({ guard, agent, token }, 'burn'), 'passed')
  const id = await halt(home, 'burn')
  await confirmed(home)
  assert.equal(await called({ guard, agent, token }, 'burn'), no)
  assert.equal(await called({ guard, agent, token }, 'echo'), 'passed', 'nothing else is cut')
  const later = await agent.token(resource)
  assert.equal(await called({ guard, agent, token: later }, 'burn'), no, 'with a token from after the halt')

  guard.verifier.close()
  const again = await guarded(t, home)
  assert.equal(
    await called({ guard: again, agent, token: later }, 'burn'),
    no,
    'after a restart of the guard',
  )

  await lift(home, id)
  await confirmed(home)
  assert.equal(await called({ guard: again, agent, token: later }, 'burn'), 'passed')
})

test('the halt of a tool outlives every memory of ends, and is told to whoever comes long after', async t => {
  const home = await authority(t)
  const agent = await registered(home)
  const id = await halt(home, 'burn')
  const later = Date.now() + 86_400_000
  home.advance(86_400)
  await home.server.store.sweeping.sweep(Math.floor(later / 1000), { signalsBeforeMs: later })
  const clock = { wallMs: home.nowMs, steadyMs: () => performance.now() }
  const guard = await guarded(t, home, { clock })
  const token = await agent.token(resource)
  assert.equal(await called({ guard, agent, token }, 'burn'), no)
  assert.equal(await called({ guard, agent, token }, 'echo'), 'passed')
  // The operator's own token is over by now.
  await home.operator.manage('GET', '/halts')
  await lift(home, id)
  await confirmed(home)
  assert.equal(await called({ guard, agent, token }, 'burn'), 'passed')
})

test('halt and lift in a row: what stands last holds, on a guard that listens and on one that only polls', async t => {
  const home = await authority(t)
  const agent = await registered(home)
  const token = await agent.token(resource)
  const deaf = (async (url: string, init?: RequestInit) => {
    const isStream = new Headers(init?.headers).get('accept') === 'text/event-stream'
    return isStream ? new Response(null, { status: 503 }) : home.fetch(url, init)
  }) as typeof fetch
  const listening = await guarded(t, home)
  const polling = await guarded(t, home, { fetch: deaf })
  for (let round = 0; round < 3; round += 1) {
    const first = await halt(home, 'burn')
    const other = await halt(home, 'echo')
    await lift(home, first)
    const id = await halt(home, 'burn')
    await lift(home, other)
    await confirmed(home)
    for (const guard of [listening, polling]) {
      // A poll comes with the next heartbeat that is missed; nobody is told that a poller has anything.
      await until('it is refused', 10, async () => (await called({ guard, agent, token }, 'burn')) === no)
      await until('it passes', 10, async () => (await called({ guard, agent, token }, 'echo')) === 'passed')
    }
    await lift(home, id)
    await confirmed(home)
    assert.equal(await called({ guard: listening, agent, token }, 'burn'), 'passed')
    await until(
      'it passes again',
      10,
      async () => (await called({ guard: polling, agent, token }, 'burn')) === 'passed',
    )
  }
})

test('each answer to a poll tells all halted tools, and of their names no more than a digest', async t => {
  const home = await authority(t)
  await registered(home)
  const ask = async (after = ''): Promise<StreamMessage> => {
    const message = parseMessage(await (await home.fetch(`/revocations${after}`)).json())
    assert.ok(message !== undefined)
    return message
  }
  const burn = subjectDigest(toolSubject(resource, 'burn'))
  assert.deepEqual((await ask()).halted?.subjects, [])
  const id = await halt(home, 'burn')
  await post(home, '/halts', { kind: 'person', target: await person(home), reason: 'test' })
  for (const after of ['', '?after=1', `?after=${(await ask()).epoch}`]) {
    const { halted, epoch } = await ask(after)
    assert.deepEqual(halted?.subjects, [burn], after)
    assert.ok((halted?.epoch ?? -1) >= epoch)
  }
  await lift(home, id)
  assert.deepEqual((await ask('?after=1')).halted?.subjects, [])
})

const person = async (home: Home): Promise<string> => (await post(home, '/people', { login: 'ada' })).id

test('hundreds of listeners hear of halted tools by a few reads of the store, and only when halts change', async t => {
  let reads = 0
  const wrapStore: NonNullable<Surroundings['wrapStore']> = store => ({
    ...store,
    facts: {
      ...store.facts,
      governing(...asked) {
        reads += 1
        return store.facts.governing(...asked)
      },
    },
  })
  const home = await authority(t, { around: { wrapStore } })
  await registered(home)
  const events = { headers: { accept: 'text/event-stream' } }
  const answers = await Promise.all(Array.from({ length: 300 }, () => home.fetch('/revocations', events)))
  t.after(() => Promise.all(answers.map(({ body }) => body?.cancel())))
  await Promise.all(Array.from({ length: 300 }, () => home.fetch('/revocations')))
  const before = reads
  assert.ok(before < 30, `${before} reads for those who came`)
  const id = await halt(home, 'burn')
  await lift(home, id)
  assert.ok(reads - before < 20, `${reads - before} reads for two changes`)
})

test('no more tools are halted at once than everybody can be told of, and one that is lifted makes room', async t => {
  const home = await authority(t)
  await registered(home)
  const { max_halted_tools: most } = (await (await home.fetch('/limits')).json()) as {
    max_halted_tools: number
  }
  const ids: string[] = []
  for (let at = 0; at < most; at += 4)
    ids.push(
      ...(await Promise.all(Array.from({ length: 4 }, (_, index) => halt(home, `tool-${at + index}`)))),
    )
  const target = `${resource}#burn`
  const more = await home.operator.manage('POST', '/halts', { kind: 'tool', target, reason: 'test' })
  assert.deepEqual([more.status, more.body.code], [409, 'conflict'])
  const told = parseMessage(await (await home.fetch('/revocations')).json())
  assert.equal(told?.halted?.subjects.length, most)
  await lift(home, ids[0] as string)
  await halt(home, 'burn')
})
