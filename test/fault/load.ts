// Agents that obtain tokens as fast as they get them, and administrators among them, who remember all they were told.
import type { TestContext } from 'node:test'
import { generateKeyPair } from '@writ/sdk/protocol/jwk'
import { expect } from '../harness/agent.ts'
import { type Answer, assertionType, type Party } from '../harness/party.ts'
import { isAway } from './answers.ts'
import { partyAt, type Reach } from './process.ts'

/** One request that was acknowledged: what it showed must never be taken again. */
export interface Shown {
  repeatAssertion(): Promise<Answer>
  repeatProof(): Promise<Answer>
}

export interface Harvest {
  readonly tokens: readonly string[]
  /** Request ids of what administrators were told was done. */
  readonly acknowledged: readonly string[]
  readonly last: Shown | undefined
  /** How many requests were told to come again. */
  readonly away: number
  /** How many requests had no answer at all. */
  readonly lost: number
}

export interface Spell {
  /** Resolves once so many tokens were given. */
  answered(count: number): Promise<void>
  soFar(): Pick<Harvest, 'away' | 'lost'>
  stop(): Promise<Harvest>
}

export interface Load {
  /** So many agents at once, until stopped. Without an answer they try again, as clients do. */
  run(agents: number): Spell
  /** Tokens given so far, in all spells. */
  count(): number
}

/** Agents that can ask at the same time. */
const mostAgents = 4

/** Makes the agents and what they need. Whatever runs ends with the test. */
export async function startLoad(
  t: TestContext,
  reach: Reach,
  operator: Party,
  resource = 'https://load.example',
): Promise<Load> {
  const over = new AbortController()
  t.after(() => over.abort())
  const scopes = [{ name: 'read', description: 'Reads' }]
  const made = await operator.manage('POST', '/resources', { identifier: resource, name: 'Load', scopes })
  expect(made, 201)
  const agents = await Promise.all(
    Array.from({ length: mostAgents }, () => newAgent(reach, operator, resource)),
  )
  let count = 0
  return {
    run: wanted =>
      spell({
        operator,
        resource,
        agents: agents.slice(0, wanted),
        over: over.signal,
        onToken: () => void count++,
      }),
    count: () => count,
  }
}

async function newAgent(reach: Reach, operator: Party, resource: string): Promise<Party> {
  const pair = generateKeyPair('ES256')
  const { clientId: owner } = operator
  const agent = { name: 'load', owner, purpose: 'Load', jwks: { keys: [pair.verify.jwk] } }
  const { id } = expect(await operator.manage('POST', '/agents', agent), 201)
  const grant = { agent: id, resource, scopes: ['read'], reason: 'Load' }
  expect(await operator.manage('POST', '/grants', grant), 201)
  return partyAt(reach, id, pair.secret.reveal() as unknown as Record<string, unknown>)
}

interface SpellOptions {
  readonly operator: Party
  readonly resource: string
  readonly agents: readonly Party[]
  readonly over: AbortSignal
  onToken(): void
}

interface Gathering {
  readonly tokens: string[]
  readonly acknowledged: string[]
  last: Shown | undefined
  away: number
  lost: number
}

function spell({ operator, resource, agents, over, onToken }: SpellOptions): Spell {
  const ending = new AbortController()
  const harvest: Gathering = { tokens: [], acknowledged: [], last: undefined, away: 0, lost: 0 }
  const waiting = new Set<() => void>()
  const again = async (ask: () => Promise<void>): Promise<void> => {
    while (!ending.signal.aborted && !over.aborted) {
      try {
        await ask()
      } catch (error) {
        if (!isConnectionLost(error)) throw error
        harvest.lost += 1
        await new Promise(resolve => setTimeout(resolve, 20))
      }
    }
  }
  const workers = agents.map(agent =>
    again(async () => {
      const { answer, shown } = await obtain(agent, resource)
      if (isAway(answer)) harvest.away += 1
      else {
        harvest.tokens.push(expect(answer, 200).access_token)
        harvest.last = shown ?? harvest.last
        onToken()
        for (const wake of waiting) wake()
      }
    }),
  )
  const administrator = again(async () => {
    const answer = await operator.manage('POST', '/agents', {
      name: 'made under load',
      owner: operator.clientId,
      purpose: 'Load',
    })
    if (isAway(answer)) harvest.away += 1
    else {
      expect(answer, 201)
      harvest.acknowledged.push(String(answer.headers.get('x-request-id')))
    }
  })
  const running = Promise.all([...workers, administrator])
  // Whoever stops the spell hears of it; until then it is nobody's rejection.
  running.catch(() => undefined)
  return {
    answered: wanted =>
      Promise.race([
        running.then(() => undefined),
        new Promise<void>(resolve => {
          const wake = (): void => {
            if (harvest.tokens.length < wanted) return
            waiting.delete(wake)
            resolve()
          }
          waiting.add(wake)
          wake()
        }),
      ]),
    soFar: () => harvest,
    async stop() {
      ending.abort()
      await running
      return harvest
    },
  }
}

/** One token request, and the same evidence again where somebody wants to see it refused. */
async function obtain(agent: Party, resource: string): Promise<{ answer: Answer; shown: Shown | undefined }> {
  const assertion = agent.assertion()
  const dpop = agent.proof('/token', { nonce: await agent.nonce() })
  const form = (text: string) => ({
    grant_type: 'client_credentials',
    resource,
    client_assertion_type: assertionType,
    client_assertion: text,
  })
  const answer = await agent.post('/token', form(assertion), { dpop })
  // The nonce has passed: asked without, the party takes a new one.
  if (answer.body.error === 'use_dpop_nonce')
    return { answer: await agent.tokenRequest({ resource }), shown: undefined }
  return {
    answer,
    shown: {
      repeatAssertion: () => agent.tokenRequest({ resource, client_assertion: assertion }),
      repeatProof: () => agent.post('/token', form(agent.assertion()), { dpop }),
    },
  }
}

/** Nobody listened, or the answer was cut off: the client cannot know what became of its request. */
const isConnectionLost = (error: unknown): boolean =>
  error instanceof TypeError || (error as { name?: unknown } | null)?.name === 'TimeoutError'
