// What people call things: an agent by its name, a resource by its identifier, a person by their login.
import type { AdminClient } from '@writ/sdk/admin'
import { isId } from '@writ/sdk/protocol/identifier'
import { CommandFailure } from './command.ts'

/** An agent's id, from its id or its name. A name that several agents bear is refused: the wrong one could be meant. */
export async function agentId(admin: AdminClient, named: string): Promise<string> {
  if (isId('agt', named)) return named
  const bearers = await all(admin.pages('agents.list', { query: { name: named, limit: 200 } }))
  const living = bearers.filter(({ status }) => status !== 'retired')
  const [found, ...others] = living.length > 0 ? living : bearers
  if (found === undefined) throw unknown('agent', named, 'writ agent list')
  if (others.length === 0) return found.id
  const ids = [found, ...others].map(({ id }) => id)
  throw new CommandFailure(
    `several agents are called ${JSON.stringify(named)}: say which by its id, of ${ids.join(', ')}`,
  )
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
  return new CommandFailure(`there is no ${what} ${JSON.stringify(named)}; ${list} shows those there are`)
}

async function all<T>(pages: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of pages) items.push(item)
  return items
}
