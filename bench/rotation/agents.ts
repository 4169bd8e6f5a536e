// Two hundred agents at work: each calls an API with proven tokens, and some log in to a database with what the vault holds.
import { setTimeout as pause } from 'node:timers/promises'
import type { AdminClient } from '@writ/sdk/admin'
import { Agent, memoryKeystore } from '@writ/sdk/agent'
import pg from 'pg'

export interface Workers {
  readonly agents: readonly Agent[]
  /** Begins the load. */
  start(): void
  stop(): Promise<Worked>
}

export interface Worked {
  readonly calls: number
  readonly logins: number
  readonly failures: readonly string[]
  /** The longest that one call took, in milliseconds. */
  readonly longestMs: number
}

export interface Work {
  readonly admin: AdminClient
  readonly owner: string
  readonly api: string
  readonly issuer: string
  readonly agents: number
  /** Names of secrets; the first agents have one each. */
  readonly secrets: readonly string[]
}

const callPauseMs = 250
const loginPauseMs = 1000
const atOnce = 10

/** Creates, enrols and grants; nobody works yet. */
export async function hire(work: Work): Promise<Workers> {
  const agents: Agent[] = []
  for (let at = 0; at < work.agents; at += atOnce) {
    const some = Array.from({ length: Math.min(atOnce, work.agents - at) }, (_, next) => at + next)
    agents.push(...(await Promise.all(some.map(which => hireOne(work, which)))))
  }
  const tally = { calls: 0, logins: 0, longestMs: 0, failures: [] as string[] }
  let isStopped = false
  const running: Promise<void>[] = []
  const repeat = async (what: string, everyMs: number, act: () => Promise<void>): Promise<void> => {
    await pause(Math.random() * everyMs)
    while (!isStopped) {
      const beganMs = performance.now()
      await act().catch(error => tally.failures.push(`${what}: ${error}`))
      tally.longestMs = Math.max(tally.longestMs, performance.now() - beganMs)
      await pause(everyMs)
    }
  }
  return {
    agents,
    start() {
      for (const [at, agent] of agents.entries()) {
        running.push(repeat('call', callPauseMs, () => call(agent, work.api, tally)))
        const secret = work.secrets[at]
        if (secret !== undefined) {
          running.push(repeat('login', loginPauseMs, () => login(agent, secret, tally)))
        }
      }
    },
    async stop() {
      isStopped = true
      await Promise.all(running)
      for (const agent of agents) agent.close()
      return tally
    },
  }
}

async function hireOne({ admin, owner, api, issuer, secrets }: Work, at: number): Promise<Agent> {
  const body = { name: `worker-${at}`, owner, purpose: 'bench' }
  const { id } = await admin.call('agents.create', { body })
  const right = { agent: id, reason: 'bench' }
  await admin.call('grants.create', { body: { ...right, resource: api, scopes: ['read'] } })
  const secret = secrets[at]
  if (secret !== undefined) {
    await admin.call('secrets.update', { params: { id: secret }, body: { consumers: [id] } })
    const resource = `${issuer}/vault/${secret}`
    await admin.call('grants.create', { body: { ...right, resource, scopes: ['secret:read'] } })
  }
  const { token, enroll_uri } = await admin.call('enrollments.create', { params: { id } })
  return Agent.load({ keystore: memoryKeystore(), enrollment: `${enroll_uri}#${token}` })
}

async function call(agent: Agent, api: string, tally: { calls: number }): Promise<void> {
  tally.calls += 1
  const answer = await agent.fetch(`${api}/work`, { scope: 'read' })
  await answer.arrayBuffer()
  if (answer.status !== 200) throw new Error(`the API answered ${answer.status}`)
}

/** Reads the credential as often as it is told to, and works with it as a consumer does. */
async function login(agent: Agent, secret: string, tally: { logins: number }): Promise<void> {
  tally.logins += 1
  const { value } = await agent.secret(secret)
  const client = new pg.Client({ connectionString: value.reveal() })
  await client.connect()
  try {
    await client.query('select 1')
  } finally {
    await client.end()
  }
}
