// What people call things: an agent by its name, a resource by its identifier, a person by their login.
import type { AdminClient, Answer } from '@writ/sdk/admin'
import { isFault } from '@writ/sdk/protocol/fault'
import { isId } from '@writ/sdk/protocol/identifier'
import { CommandFailure } from './command.ts'

/** An agent's id, from its id or its name. A name that several agents bear is refused: the wrong one could be meant. */
export async function agentId(admin: AdminClient, named: string): Promise<string> {
  if (isId('agt', named)) return named
  const found = await agentsCalled(admin, named)
  if (found.length === 0) throw unknown('agent', named, 'writ agent list')
  return only('agents', named, found).id
}

/**
 * What is rotated under a name: agents have them, and secrets. One name of two of them is refused: the wrong one could
 * be cut. What has been retired is only meant where nothing else bears the name.
 */
export async function rotatedAs(
  admin: AdminClient,
  named: string,
): Promise<{ readonly kind: 'agent' | 'secret'; readonly id: string }> {
  if (isId('agt', named)) return { kind: 'agent', id: named }
  const [agents, secret] = await Promise.all([agentsCalled(admin, named), secretCalled(admin, named)])
  const bearers = [
    ...agents.map(({ id, status }) => ({ kind: 'agent' as const, id, status })),
    ...(secret === undefined ? [] : [{ kind: 'secret' as const, id: secret.id, status: secret.status }]),
  ]
  if (bearers.length === 0)
    throw unknown('agent or secret', named, '"writ agent list" and "writ secret list"')
  const what = secret === undefined ? 'agents' : 'agents and secrets'
  return only(what, named, notRetired(bearers))
}

async function agentsCalled(admin: AdminClient, named: string): Promise<readonly Answer<'agents.get'>[]> {
  return notRetired(await all(admin.pages('agents.list', { query: { name: named, limit: 200 } })))
}

async function secretCalled(admin: AdminClient, named: string): Promise<Answer<'secrets.get'> | undefined> {
  try {
    return await admin.call('secrets.get', { params: { id: named } })
  } catch (error) {
    // Not every name of an agent could be that of a secret.
    if (isFault(error) && (error.code === 'not_found' || error.code === 'invalid_value')) return undefined
    throw error
  }
}

interface Bearer {
  readonly id: string
  readonly status: string
}

/** The living, or all where none is. */
function notRetired<T extends Bearer>(bearers: readonly T[]): readonly T[] {
  const living = bearers.filter(({ status }) => status !== 'retired')
  return living.length > 0 ? living : bearers
}

function only<T extends Bearer>(what: string, named: string, bearers: readonly T[]): T {
  const [found, ...others] = bearers
  if (found !== undefined && others.length === 0) return found
  const ids = bearers.map(({ id }) => id)
  throw new CommandFailure(
    `several ${what} are called ${JSON.stringify(named)}: say which by its id, of ${ids.join(', ')}`,
  )
}

/** Who may approve: an agent by its id or its name, a person by their id. */
export async function approverId(admin: AdminClient, named: string): Promise<string> {
  return isId('usr', named) ? named : agentId(admin, named)
}

/** Whose risk is told: an agent by its id or its name, an instance, a session or a person by the id. */
export async function riskyId(admin: AdminClient, named: string): Promise<string> {
  const isNamed = !(['ins', 'ses', 'usr'] as const).some(prefix => isId(prefix, named))
  return isNamed ? agentId(admin, named) : named
}

/** A resource's id, from its id or its identifier. */
export async function resourceId(admin: AdminClient, named: string): Promise<string> {
  if (isId('res', named)) return named
  const { items } = await admin.call('resources.list', { query: { identifier: named } })
  if (items[0] === undefined) throw unknown('resource', named, 'writ resource list')
  return items[0].id
}

/** A person's id, from their id or their login. */
export async function personId(admin: AdminClient, named: string): Promise<string> {
  if (isId('usr', named)) return named
  const { items } = await admin.call('people.list', { query: { login: named } })
  if (items[0] === undefined) throw unknown('person', named, 'writ person list')
  return items[0].id
}

function unknown(what: string, named: string, list: string): CommandFailure {
  return new CommandFailure(
    `there is no ${what} ${JSON.stringify(named)}; ${list} ${list.includes(' and ') ? 'show' : 'shows'} those there are`,
  )
}

async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of pages) items.push(item)
  return items
}
