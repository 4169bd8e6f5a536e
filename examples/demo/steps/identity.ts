// Steps 1 to 3: an agent without access, its first call refused and then granted, and a second instance beside it.
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { InsufficientScopeError, SdkHttpError } from '@modelcontextprotocol/client'
import { Agent } from '@writ/sdk/agent'
import { expectEqual, expectFault, expectTrue } from '../check.ts'
import { connect, type McpConnection } from '../mcp.ts'
import { type Say, short } from '../narrator.ts'
import type { Stage } from '../stage.ts'

export interface Hired {
  readonly id: string
  readonly agent: Agent
  /** Where its key is. */
  readonly directory: string
}

export async function hire({ admin, wire, folder }: Stage, say: Say): Promise<Hired> {
  await admin.call('people.create', { body: { login: 'ada', name: 'Ada' } })
  const { id, purpose } = await admin.call('agents.create', {
    body: { name: 'reporter', owner: 'ada', purpose: 'Compiles the weekly report' },
  })
  const { items: grants } = await admin.call('grants.list', { query: { agent: id } })
  expectEqual('a new agent has no grant', grants, [])
  say.fact('agent', id)
  say.fact('', `"${purpose}", owned by ada, ${grants.length} grants`)

  const { token, enroll_uri: place } = await admin.call('enrollments.create', { params: { id } })
  const enrollment = `${place}#${token}`
  const directory = join(folder, 'instance-1')
  const agent = await Agent.load({ directory, enrollment, fetch: wire.fetch })
  say.fact('instance', `${agent.instance}`)
  say.fact('', 'enrolled with a single-use token and its own new key')

  const elsewhere = join(folder, 'nobody')
  const again = Agent.load({ directory: elsewhere, enrollment, fetch: wire.fetch })
  const refusal = await expectFault('a second use of the token is refused', 'invalid_enrollment', again)
  say.fact('token again', `refused: ${refusal.code}`)

  const file = join(directory, 'keystore.json')
  const mode = (statSync(file).mode & 0o777).toString(8)
  if (process.platform !== 'win32') expectEqual('only its user may read the key', mode, '600')
  const [, secret = ''] = /"d":\s*"([\w-]{40,})"/.exec(readFileSync(file, 'utf8')) ?? []
  expectTrue('the key file holds the private key', secret !== '', 'none')
  expectTrue('the private key was never sent', !wire.has(secret), 'it was')
  say.fact('key', `${short(agent.key().thumbprint)} mode ${mode}, in none of ${wire.count()} requests so far`)
  return { id, agent, directory }
}

export async function grant(stage: Stage, { id, agent }: Hired, say: Say): Promise<McpConnection> {
  const { admin, mcp, api, wire } = stage
  const server = await connect(mcp, agent.fetchFor())
  const echo = (): Promise<string> => server.call('echo', { message: 'good morning' })

  const refused = await echo().catch((error: unknown) => error)
  const { status, answerHeaders } = wire.last(mcp)
  const challenge = answerHeaders.get('www-authenticate') ?? ''
  expectTrue('the first call is refused', refused instanceof InsufficientScopeError, refused)
  expectEqual('it is refused with 403', status, 403)
  expectTrue('the challenge says why', challenge.includes('error="insufficient_scope"'), challenge)
  expectTrue('the challenge names the scope', challenge.includes('scope="echo:call"'), challenge)
  expectEqual('the client has understood', refused.requiredScope, 'echo:call')
  say.fact('call echo', `${status} insufficient_scope, scope="${refused.requiredScope}"`)

  const unlisted = await server.call('get-env', {}).catch((error: unknown) => error)
  expectTrue('a tool outside the table is refused', unlisted instanceof SdkHttpError, unlisted)
  expectEqual('it is refused with 403', unlisted.status, 403)
  say.fact('call get-env', `${unlisted.status}: the server has it, the proxy does not list it`)

  const reason = 'The weekly report'
  await admin.call('grants.create', { body: { agent: id, resource: mcp, scopes: ['echo:call'], reason } })
  say.fact('grant', 'echo:call')
  expectEqual('the same call works', await echo(), 'Echo: good morning')
  say.fact('call echo', '200 "Echo: good morning"')

  await admin.call('grants.create', { body: { agent: id, resource: mcp, scopes: ['sum:call'], reason } })
  await admin.call('grants.create', { body: { agent: id, resource: api, scopes: ['reports:read'], reason } })
  say.fact('grants', 'sum:call and reports:read, for what follows')
  return server
}

interface Introduced {
  readonly agent: string
  readonly instance: string
  readonly key: string
  readonly content: unknown
}

export async function second({ admin, mcp, folder, program }: Stage, first: Hired, say: Say): Promise<void> {
  const { id } = first
  const { token, enroll_uri: place } = await admin.call('enrollments.create', { params: { id } })
  const environment = {
    WRIT_ENROLLMENT: `${place}#${token}`,
    WRIT_AGENT_DIRECTORY: join(folder, 'instance-2'),
  }
  const args = [mcp, 'from the second']
  const { code, stdout } = await program('mcp-agent', 'mcp-agent/main.ts', { args, environment })
  expectEqual('the second instance ends well', code, 0)
  const other = JSON.parse(stdout) as Introduced
  expectEqual('its call works', other.content, [{ type: 'text', text: 'Echo: from the second' }])
  expectEqual('it is the same agent', other.agent, id)

  const pairs = [
    [first.agent.instance, first.agent.key().thumbprint] as const,
    [other.instance, other.key] as const,
  ]
  say.fact('processes', 'two of one agent, and both call echo')
  for (const [instance, key] of pairs) say.fact('', `${instance}  key ${short(key)}`)
  expectTrue('the instances differ', other.instance !== first.agent.instance, other.instance)
  expectTrue('the keys differ', other.key !== first.agent.key().thumbprint, other.key)

  const { items: keys } = await admin.call('keys.list', { params: { id } })
  const registered = keys.map(({ instance, thumbprint }) => `${instance} ${thumbprint}`)
  expectEqual('each has one key of its own', registered.sort(), pairs.map(pair => pair.join(' ')).sort())
  const issued = new Map<string, string>()
  for await (const event of admin.pages('events.list', { query: { agent: id, type: 'token.issued' } })) {
    if (event.instance !== null && event.key !== null) issued.set(event.instance, event.key)
  }
  expectEqual('the record tells them apart', issued, new Map(pairs as readonly (readonly [string, string])[]))
  say.fact('the record', 'names the instance and key that each token went to')
}
