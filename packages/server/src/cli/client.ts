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
type ClientSecret = Answer<'client-secrets.revoke'>

export function clientCommand(terminal: Terminal): Command {
  return family('client', 'register, see, change, stop and delete other OAuth clients')
    .addCommand(createCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(showCommand(terminal))
    .addCommand(updateCommand(terminal))
    .addCommand(moveCommand(terminal, 'suspend', 'stop a client at once'))
    .addCommand(moveCommand(terminal, 'resume', 'let a suspended client act again'))
    .addCommand(deleteCommand(terminal))
    .addCommand(secretCommand(terminal))
}

interface Described {
  readonly name?: string
  readonly redirectUri?: readonly string[]
  readonly jwk?: string
  readonly authMethod?: string
  readonly from?: string
}

function described(made: Command): Command {
  return made
    .option('--name <name>', 'what people call it')
    .option('--redirect-uri <uri>', 'where its answers may go; may be repeated', several)
    .option('--jwk <file>', 'its public key, a JSON Web Key; without key and secret it is a public client')
    .option('--auth-method <method>', 'how it authenticates: client_secret_basic or _post gives it a secret')
    .option('--from <file>', 'a JSON file with the members of RFC 7591; options win; - reads standard input')
}

async function bodyOf({ name, redirectUri, jwk, authMethod, from }: Described, terminal: Terminal) {
  const members = from === undefined ? {} : await readObject(from, terminal)
  const jwks = jwk === undefined ? undefined : { keys: [{ ...(await readPublicJwk(jwk, terminal)) }] }
  const method = {
    token_endpoint_auth_method: authMethod as Client['token_endpoint_auth_method'] | undefined,
  }
  return { ...members, ...given({ client_name: name, redirect_uris: redirectUri, jwks, ...method }) }
}

function createCommand(terminal: Terminal): Command {
  return described(command('create', 'register another OAuth client')).action(
    acting<Described>(terminal, async ({ admin, options, print }) => {
      const body = await bodyOf(options, terminal)
      mustHave(body, { client_name: '--name' })
      const made = await admin.call('clients.create', { body: body as Input<'clients.create'>['body'] })
      print.object(made, {
        ...shown(made),
        ...(made.client_secret === undefined ? {} : { 'client secret': made.client_secret }),
        'manages itself at': made.registration_client_uri,
        'registration token': made.registration_access_token,
      })
      print.hint('what proves the client is shown this once; give it to the client alone')
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
  print.object(client, shown(client))
}

function shown(client: Client) {
  return {
    id: client.id,
    name: client.client_name,
    status: state(client.status),
    ...(client.status_reason === null ? {} : { reason: client.status_reason }),
    'authenticates by': client.token_endpoint_auth_method,
    'redirects to': client.redirect_uris?.join(' '),
    created: instant(client.created_at),
  }
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

function secretCommand(terminal: Terminal): Command {
  return family('secret', 'see, replace and revoke the secrets of a client that still has one')
    .addCommand(secretListCommand(terminal))
    .addCommand(secretRotateCommand(terminal))
    .addCommand(secretRevokeCommand(terminal))
}

const secretColumns: readonly Column<ClientSecret>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'state', of: secret => state(secret.state) },
  { head: 'created', of: secret => instant(secret.created_at) },
  { head: 'last used', of: secret => instant(secret.last_used_at) ?? 'never' },
  { head: 'from', of: secret => secret.last_used_from },
]

function secretListCommand(terminal: Terminal): Command {
  return paged(command('list', 'list the secrets of a client with their states and last use'))
    .argument('<client>', 'its id')
    .action(
      acting<Paging>(terminal, async session => {
        const [id = ''] = session.args
        const none = `no secrets yet; writ client secret rotate ${id} makes the first`
        const ask = (query: object) => session.admin.call('client-secrets.list', { params: { id }, query })
        await printPages(session, ask, secretColumns, none)
      }),
    )
}

function secretRotateCommand(terminal: Terminal): Command {
  return command('rotate', 'make the next secret; the former works until nobody has used it for a while')
    .argument('<client>', 'its id')
    .option('--reason <why>', 'why; kept in the audit log')
    .action(
      acting<{ readonly reason?: string }>(terminal, async ({ admin, args: [id = ''], options, print }) => {
        const body = given({ reason: options.reason })
        const made = await admin.call('client-secrets.create', { params: { id }, body })
        print.object(made, {
          id: made.id,
          client: made.client_id,
          'client secret': made.client_secret,
          rotation: made.rotation,
        })
        print.hint(
          made.rotation === null
            ? 'shown this once; give it to the client alone'
            : `shown this once; who still uses the former: writ rotation status ${made.rotation}`,
        )
      }),
    )
}

function secretRevokeCommand(terminal: Terminal): Command {
  const made = command('revoke', 'revoke a secret at once; whoever still uses it fails')
    .argument('<client>', 'its id')
    .argument('<secret>', 'its id, as writ client secret list shows it')
    .requiredOption('--reason <why>', 'why; kept in the audit log')
  return destructive(made).action(
    acting<Sure & { readonly reason: string }>(terminal, async ({ admin, args, options, print }) => {
      const [id = '', sid = ''] = args
      await confirm(terminal, options, `Revoke the secret ${sid} for ever?`)
      const { reason } = options
      const secret = await admin.call('client-secrets.revoke', { params: { id, sid }, body: { reason } })
      print.object(secret, {
        id: secret.id,
        client: secret.client,
        state: state(secret.state),
        'last used': instant(secret.last_used_at) ?? 'never',
      })
    }),
  )
}
