// writ client: other OAuth clients than agents, with members as in RFC 7591.
import type { Answer, Input } from '@writ/sdk/admin'
import type { Command } from 'commander'
import { command, family, several, type Terminal } from './command.ts'
import { mustHave } from './resource.ts'
import { acting, given, type Paging, paged, printPages } from './session.ts'
import { confirm, destructive, type Sure } from './terminal/confirm.ts'
import { type Column, instant, type Printer, state } from './terminal/print.ts'
import { readObject, readPublicJwk } from './terminal/reading.ts'

type Client = Answer<'clients.get'>

export function clientCommand(terminal: Terminal): Command {
  return family('client', 'register, see, change, stop and delete other OAuth clients')
    .addCommand(createCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(showCommand(terminal))
    .addCommand(updateCommand(terminal))
    .addCommand(moveCommand(terminal, 'suspend', 'stop a client at once'))
    .addCommand(moveCommand(terminal, 'resume', 'let a suspended client act again'))
    .addCommand(deleteCommand(terminal))
}

interface Described {
  readonly name?: string
  readonly redirectUri?: readonly string[]
  readonly jwk?: string
  readonly from?: string
}

function described(made: Command): Command {
  return made
    .option('--name <name>', 'what people call it')
    .option('--redirect-uri <uri>', 'where its answers may go; may be repeated', several)
    .option('--jwk <file>', 'its public key, a JSON Web Key; without one it is a public client')
    .option('--from <file>', 'a JSON file with the members of RFC 7591; options win; - reads standard input')
}

async function bodyOf({ name, redirectUri, jwk, from }: Described, terminal: Terminal) {
  const members = from === undefined ? {} : await readObject(from, terminal)
  const jwks = jwk === undefined ? undefined : { keys: [{ ...(await readPublicJwk(jwk, terminal)) }] }
  return { ...members, ...given({ client_name: name, redirect_uris: redirectUri, jwks }) }
}

function createCommand(terminal: Terminal): Command {
  return described(command('create', 'register another OAuth client')).action(
    acting<Described>(terminal, async ({ admin, options, print }) => {
      const body = await bodyOf(options, terminal)
      mustHave(body, { client_name: '--name' })
      show(print, await admin.call('clients.create', { body: body as Input<'clients.create'>['body'] }))
    }),
  )
}

const columns: readonly Column<Client>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'name', of: client => client.client_name, most: 40 },
  { head: 'status', of: ({ status }) => state(status) },
  { head: 'authenticates by', of: client => client.token_endpoint_auth_method },
  { head: 'created', of: client => instant(client.created_at) },
]

function listCommand(terminal: Terminal): Command {
  return paged(command('list', 'list other OAuth clients in the order of their registration')).action(
    acting<Paging>(terminal, async session => {
      const ask = (query: object) => session.admin.call('clients.list', { query })
      await printPages(session, ask, columns, 'no other clients; writ client create registers one')
    }),
  )
}

function show(print: Printer, client: Client): void {
  print.object(client, {
    id: client.id,
    name: client.client_name,
    status: state(client.status),
    ...(client.status_reason === null ? {} : { reason: client.status_reason }),
    'authenticates by': client.token_endpoint_auth_method,
    'redirects to': client.redirect_uris?.join(' '),
    created: instant(client.created_at),
  })
}

function showCommand(terminal: Terminal): Command {
  return command('show', 'show another OAuth client')
    .argument('<client>', 'its id')
    .action(
      acting(terminal, async ({ admin, args: [id = ''], print }) => {
        show(print, await admin.call('clients.get', { params: { id } }))
      }),
    )
}

function updateCommand(terminal: Terminal): Command {
  const made = command('update', 'change another OAuth client; a new key replaces its keys')
  return described(made.argument('<client>', 'its id')).action(
    acting<Described>(terminal, async ({ admin, args: [id = ''], options, print }) => {
      const body = await bodyOf(options, terminal)
      show(print, await admin.call('clients.update', { params: { id }, body }))
    }),
  )
}

function moveCommand(terminal: Terminal, move: 'suspend' | 'resume', does: string): Command {
  return command(move, does)
    .argument('<client>', 'its id')
    .requiredOption('--reason <why>', 'why; kept in the audit log')
    .action(
      acting<{ readonly reason: string }>(terminal, async ({ admin, args: [id = ''], options, print }) => {
        const { reason } = options
        show(print, await admin.call(`clients.${move}`, { params: { id }, body: { reason } }))
      }),
    )
}

function deleteCommand(terminal: Terminal): Command {
  const made = command('delete', 'delete another OAuth client; its id is never used again')
  return destructive(made.argument('<client>', 'its id')).action(
    acting<Sure>(terminal, async ({ admin, args: [id = ''], options, print }) => {
      await confirm(terminal, options, `Delete the client ${id} for ever?`)
      await admin.call('clients.delete', { params: { id } })
      print.object({ id, deleted: true }, { deleted: id })
    }),
  )
}
