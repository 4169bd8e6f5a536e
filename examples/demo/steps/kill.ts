// Step 6: the agent is retired while it works; how long until each place that can refuse does refuse.
import { setTimeout as pause } from 'node:timers/promises'
import { Agent } from '@writ/sdk/agent'
import { isFault } from '@writ/sdk/protocol/fault'
import { expectEqual, expectTrue } from '../check.ts'
import { introspector } from '../introspection.ts'
import { connect } from '../mcp.ts'
import type { Say } from '../narrator.ts'
import type { Stage } from '../stage.ts'
import type { Hired } from './identity.ts'

/** What one place answers to the agent now; `cut` where the order came while it was answering. */
type Answer = 'admitted' | 'refused' | 'cut'
type Ask = () => Promise<Answer>

const boundMs = 2000

export async function kill(stage: Stage, { id, directory }: Hired, say: Say): Promise<void> {
  // A process of the agent that was started just now: none of its tokens is near its own end.
  const agent = await Agent.load({ directory, fetch: stage.wire.fetch })
  const stream = { endedAtMs: 0 }
  const points = await openPoints(stage, agent, directory, stream)
  for (const [name, ask] of Object.entries(points))
    expectEqual(`${name} admits the agent`, await ask(), 'admitted')
  expectEqual('its event stream is open', stream.endedAtMs, 0)

  const polls = Object.entries(points).map(async ([name, ask]) => [name, await refusalOf(ask)] as const)
  await pause(100)
  const beganAtMs = performance.now()
  await stage.admin.call('agents.retire', { params: { id }, body: { reason: 'It acts strangely' } })
  const acknowledgedAtMs = performance.now()
  say.fact('retired', `by the operator, acknowledged after ${ms(acknowledgedAtMs - beganAtMs)}`)

  const refusedAt: (readonly [string, number])[] = await Promise.all(polls)
  while (stream.endedAtMs === 0 && performance.now() < beganAtMs + boundMs) await pause(5)
  expectTrue('its open event stream is cut', stream.endedAtMs > 0, 'it is still open')
  refusedAt.push(['open stream', stream.endedAtMs])
  for (const [name, atMs] of refusedAt) say.fact(name, `refuses ${ms(atMs - beganAtMs)} after the order`)
  const slowest = Math.max(...refusedAt.map(([, atMs]) => atMs)) - beganAtMs
  expectTrue(`all refuse within ${boundMs} ms`, slowest <= boundMs, `${slowest} ms`)
  for (const [name, ask] of Object.entries(points)) {
    // By now the agent may have nothing left to show: its tokens are refused, and it gets no others.
    const answer = await ask().catch(error => (isStopped(error) ? 'refused' : Promise.reject(error)))
    expectEqual(`${name} stays closed`, answer, 'refused')
  }
  say.fact('everywhere', `${ms(slowest)} (the promise is ${boundMs} ms)`)
  agent.close()
}

const isStopped = (error: unknown): boolean => isFault(error) && error.code === 'invalid_client'

const ms = (duration: number): string => `${Math.max(0, Math.round(duration))} ms`

async function refusalOf(ask: Ask): Promise<number> {
  while ((await ask()) !== 'refused') await pause(3)
  return performance.now()
}

async function openPoints(
  stage: Stage,
  agent: Agent,
  directory: string,
  stream: { endedAtMs: number },
): Promise<Readonly<Record<string, Ask>>> {
  const { mcp, api, wire } = stage
  const proven = agent.fetchFor()
  const server = await connect(mcp, async (input, init) => {
    const answer = await proven(input, init)
    return init?.method === 'GET' ? watched(answer, stream) : answer
  })
  await server.call('echo', { message: 'still here' })
  const { headers, body = '' } = wire.last(mcp)
  const { authorization: _token, dpop: _proof, ...again } = headers
  const { accessToken } = await agent.token({ resource: api })
  const introspect = await introspector(stage)
  return {
    'token endpoint': async () => {
      // A process without the tokens that the agent has in hand, so that it asks for one anew.
      const fresh = await Agent.load({ directory, fetch: wire.fetch })
      const token = fresh.token({ resource: api }).finally(fresh.close)
      return token.then(
        () => 'admitted',
        error => {
          if (isStopped(error)) return 'refused'
          throw error
        },
      )
    },
    introspection: async () => ((await introspect(accessToken.reveal())) ? 'admitted' : 'refused'),
    'MCP proxy': () =>
      answerOf(agent.fetch(mcp, { method: 'POST', headers: again, body, resource: mcp, scope: 'echo:call' })),
    API: () => answerOf(agent.fetch(`${api}/reports`, { scope: 'reports:read' })),
  }
}

/** An admission counts only with the whole answer, a refusal only as 401. */
async function answerOf(sent: Promise<Response>): Promise<Answer> {
  try {
    const answer = await sent
    await answer.text()
    expectTrue('the answer is 200 or 401', answer.status === 200 || answer.status === 401, answer.status)
    return answer.status === 200 ? 'admitted' : 'refused'
  } catch (error) {
    // What `fetch` and `text` throw where the connection ended in the middle.
    if (error instanceof TypeError) return 'cut'
    throw error
  }
}

/** The same answer; notes when its stream ends. */
function watched(answer: Response, stream: { endedAtMs: number }): Response {
  if (!answer.ok || answer.body === null) return answer
  const [mine, theirs] = answer.body.tee()
  const ended = (): void => {
    stream.endedAtMs = performance.now()
  }
  mine.pipeTo(new WritableStream()).then(ended, ended)
  return new Response(theirs, answer)
}
