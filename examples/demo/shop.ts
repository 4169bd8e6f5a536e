// The parts of the chapter about decisions: the authority, one API in two processes of its own, and an agent that calls it.
import { join } from 'node:path'
import { Agent } from '@writ/sdk/agent'
import { Unmet } from './check.ts'
import type { Narrator } from './narrator.ts'
import type { Processes } from './processes.ts'
import { type Authority, openAuthority } from './stage.ts'

export interface Shop extends Authority {
  /** Two enforcement points: their addresses, which are their resource identifiers. */
  readonly north: string
  readonly south: string
  readonly agent: Agent
  /** Calls the API, and answers `200` or the status with the code of the refusal. */
  call(method: string, path: string, scope: string): Promise<string>
  /** Runs a command as an operator types it, and answers what it printed. Throws where it fails. */
  typed(...args: string[]): Promise<string>
}

const scopes = ['orders:read', 'orders:refund', 'orders:ship'] as const

export async function openShop(folder: string, processes: Processes, narrator: Narrator): Promise<Shop> {
  const authority = await openAuthority(folder, processes, { clockSkewSeconds: 0 })
  const { admin, issuer, wire } = authority
  const typed = operatorOn(authority)
  await admin.call('people.create', { body: { login: 'ada' } })
  const [gate, clerk] = [await hired(authority, 'gate'), await hired(authority, 'clerk')]
  const api = `${issuer}/api/v1`
  await admin.call('grants.create', {
    body: {
      agent: gate,
      resource: api,
      scopes: ['writ:decisions:evaluate'],
      reason: 'Asks before it answers',
    },
  })
  const [north, south] = await Promise.all(
    ['north', 'south'].map(async name => {
      const directory = join(folder, name)
      const environment = {
        WRIT_ENROLLMENT: await enrolmentOf(authority, gate),
        WRIT_AGENT_DIRECTORY: directory,
      }
      return authority.start(`decided-api ${name}`, 'decided-api/main.ts', { environment })
    }),
  )
  if (north === undefined || south === undefined) throw new Error('both were started')
  for (const [name, identifier] of Object.entries({ north, south })) {
    const body = { identifier, name, scopes: scopes.map(scope => ({ name: scope, description: scope })) }
    await admin.call('resources.create', { body })
  }
  await admin.call('grants.create', {
    body: { agent: clerk, resource: north, scopes: ['orders:read'], reason: 'Keeps the list' },
  })
  const enrollment = await enrolmentOf(authority, clerk)
  const agent = await Agent.load({ directory: join(folder, 'clerk'), enrollment, fetch: wire.fetch })

  narrator.fact('authority', `${issuer}  writ serve, SQLite`)
  narrator.fact('API', `${north}  examples/decided-api`)
  narrator.fact('', `${south}  the same, a second process`)
  narrator.fact('agent', 'clerk, with a grant of orders:read')
  const call = async (method: string, path: string, scope: string): Promise<string> => {
    const answer = await agent.fetch(`${north}${path}`, { method, scope, resource: north })
    const body = (await answer.json()) as { readonly error?: string }
    return body.error === undefined ? `${answer.status}` : `${answer.status} ${body.error}`
  }
  return { ...authority, north, south, agent, call, typed }
}

/** The id of an agent that was just created. */
async function hired({ admin }: Authority, name: string): Promise<string> {
  const { id } = await admin.call('agents.create', {
    body: { name, owner: 'ada', purpose: `The ${name} of the shop` },
  })
  return id
}

async function enrolmentOf({ admin }: Authority, id: string): Promise<string> {
  const { token, enroll_uri: place } = await admin.call('enrollments.create', { params: { id } })
  return `${place}#${token}`
}

function operatorOn({ writ }: Authority): Shop['typed'] {
  return async (...args) => {
    const { code, stdout, stderr } = await writ(...args)
    if (code !== 0) throw new Unmet(`writ ${args.join(' ')}`, 'that it succeeds', `${code}: ${stderr}`)
    return stdout
  }
}

/** The member of what a command printed with `--json`. */
export function memberOf(json: string, name: string): unknown {
  return (JSON.parse(json) as Readonly<Record<string, unknown>>)[name]
}
