// writ secret: what the vault holds, who may have it, its versions and leases. A value is read from a file, never shown.
import type { Answer, Input } from '@writ/sdk/admin'
import type { Command } from 'commander'
import { CommandFailure, command, exitCodes, family, several, type Terminal, wholeNumber } from './command.ts'
import { agentId } from './names.ts'
import { acting, given, type Paging, paged, printPages, type Session } from './session.ts'
import { confirm, destructive, type Sure } from './terminal/confirm.ts'
import { ahead, never } from './terminal/instants.ts'
import { type Column, instant, type Printer, state } from './terminal/print.ts'
import { readObject, readText } from './terminal/reading.ts'

type Secret = Answer<'secrets.get'>
type Version = Answer<'secret-versions.list'>['items'][number]
type Lease = Answer<'secret-leases.list'>['items'][number]

export function secretCommand(terminal: Terminal): Command {
  return family('secret', 'put secrets into the vault, and say who may have them')
    .addCommand(createCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(showCommand(terminal))
    .addCommand(updateCommand(terminal))
    .addCommand(grantCommand(terminal))
    .addCommand(putCommand(terminal))
    .addCommand(versionsCommand(terminal))
    .addCommand(leasesCommand(terminal))
    .addCommand(revokeCommand(terminal))
    .addCommand(retireCommand(terminal))
}

interface Described {
  readonly description?: string
  readonly label?: readonly string[]
  readonly consumer?: readonly string[]
  readonly lease?: number
}

const longestLease = 86_400

function described(made: Command): Command {
  return made
    .option('--description <text>', 'what it is for')
    .option('--label <name=value>', 'may be repeated', several)
    .option('--consumer <who>', 'the id or name of an agent that may have it; may be repeated', several)
    .option('--lease <seconds>', 'how long whoever is given it may rely on it', wholeNumber(1, longestLease))
}

/** Consumers are agents by id or name, and other secrets behind `secret:`, because both have names. */
async function bodyOf({ admin }: Pick<Session<unknown>, 'admin'>, options: Described) {
  const consumers =
    options.consumer && (await Promise.all(options.consumer.map(who => consumerOf(admin, who))))
  return given({
    description: options.description,
    labels: labelsIn(options.label),
    consumers,
    lease_seconds: options.lease,
  })
}

const ofSecret = 'secret:'

function consumerOf(admin: Session<unknown>['admin'], who: string): Promise<string> {
  return who.startsWith(ofSecret) ? Promise.resolve(who.slice(ofSecret.length)) : agentId(admin, who)
}

function labelsIn(labels: readonly string[] | undefined): Record<string, string> | undefined {
  if (labels === undefined) return undefined
  return Object.fromEntries(
    labels.map(label => {
      const at = label.indexOf('=')
      if (at < 1) throw new CommandFailure('--label must be of the form name=value', exitCodes.usage)
      return [label.slice(0, at), label.slice(at + 1)]
    }),
  )
}

/** Never an argument, which everybody on the machine can read. The end of the last line is not part of it. */
async function readValue(path: string, terminal: Terminal): Promise<string> {
  const value = (await readText(path, terminal)).replace(/\r?\n$/, '')
  if (value !== '') return value
  throw new CommandFailure(`${path === '-' ? 'standard input' : path} holds no value`, exitCodes.usage)
}

function createCommand(terminal: Terminal): Command {
  type Options = Described & {
    readonly valueFile?: string
    readonly owner?: string
    readonly rotator?: string
    readonly options?: string
  }
  const made = command('create', 'put a secret into the vault, or let a rotator make it')
    .argument(
      '<name>',
      'small letters, digits, dot, dash and underscore; it stays the name of this one for ever',
    )
    .option('--value-file <file>', 'a file with the value; - reads standard input')
    .option('--owner <who>', 'who answers for it: the id or login of a person')
    .option('--rotator <kind>', 'what makes its versions, or a value for each lease, such as postgres-role')
    .option('--options <file>', 'a JSON file with the options of the rotator; - reads standard input')
  return described(made).action(
    acting<Options>(terminal, async session => {
      const { admin, args, options, print } = session
      const [name = ''] = args
      const { owner, rotator: kind } = options
      if (options.valueFile === undefined && kind === undefined) {
        throw new CommandFailure('give --value-file, or a --rotator that makes the value', exitCodes.usage)
      }
      if (options.valueFile === '-' && options.options === '-')
        throw new CommandFailure('only one of them can be standard input', exitCodes.usage)
      const value = options.valueFile === undefined ? undefined : await readValue(options.valueFile, terminal)
      const rotatorOptions = options.options === undefined ? {} : await readObject(options.options, terminal)
      const rotator = kind === undefined ? undefined : { kind, options: rotatorOptions }
      const body = { name, ...(await bodyOf(session, options)), ...given({ value, owner, rotator }) }
      show(print, await admin.call('secrets.create', { body: body as Input<'secrets.create'>['body'] }))
      print.hint(`let an agent have it with "writ secret grant ${name} AGENT --reason WHY"`)
    }),
  )
}

const columns: readonly Column<Secret>[] = [
  { head: 'name', of: ({ name }) => name },
  { head: 'state', of: ({ status }) => state(status) },
  { head: 'rotator', of: ({ rotator }) => rotator?.kind ?? 'by hand' },
  { head: 'lease', of: ({ lease_seconds: seconds }) => `${seconds} s` },
  { head: 'consumers', of: ({ consumers }) => consumers.length },
  { head: 'description', of: ({ description }) => description, most: 48 },
]

function listCommand(terminal: Terminal): Command {
  return paged(command('list', 'list secrets, without their values')).action(
    acting<Paging>(terminal, async session => {
      const ask = (query: object) => session.admin.call('secrets.list', { query })
      await printPages(session, ask, columns, 'no secrets; writ secret create puts one into the vault')
    }),
  )
}

function show(print: Printer, secret: Secret): void {
  const { rotator, labels } = secret
  const marks = Object.entries(labels).map(([name, value]) => `${name}=${value}`)
  print.object(secret, {
    id: secret.id,
    name: secret.name,
    state: state(secret.status),
    ...(secret.description === '' ? {} : { description: secret.description }),
    owner: secret.owner,
    ...(marks.length === 0 ? {} : { labels: marks.join(' ') }),
    'read at': secret.uri,
    consumers: secret.consumers.length === 0 ? 'nobody' : secret.consumers.join(' '),
    lease: `${secret.lease_seconds} s`,
    rotator: rotator?.kind ?? 'by hand',
    created: instant(secret.created_at),
  })
}

function showCommand(terminal: Terminal): Command {
  return command('show', 'show what is known of a secret, without its value')
    .argument('<secret>', 'its name or id')
    .action(
      acting(terminal, async ({ admin, args: [id = ''], print }) => {
        show(print, await admin.call('secrets.get', { params: { id } }))
      }),
    )
}

function updateCommand(terminal: Terminal): Command {
  const made = command('update', 'change a secret; --consumer names all of them anew').argument(
    '<secret>',
    'its name or id',
  )
  return described(made).action(
    acting<Described>(terminal, async session => {
      const { admin, args, options, print } = session
      const [id = ''] = args
      show(
        print,
        await admin.call('secrets.update', { params: { id }, body: await bodyOf(session, options) }),
      )
    }),
  )
}

function grantCommand(terminal: Terminal): Command {
  type Options = { readonly reason: string; readonly expiresAt?: string }
  return command('grant', 'let an agent have a secret: as a consumer of it, and by a grant')
    .argument('<secret>', 'its name or id')
    .argument('<agent>', 'its id or name')
    .requiredOption('--reason <why>', 'why; kept in the audit log')
    .option('--expires-at <instant>', 'when the grant ends by itself (default: never)', ahead)
    .action(
      acting<Options>(terminal, async ({ admin, args: [id = '', named = ''], options, print }) => {
        const agent = await agentId(admin, named)
        const secret = await admin.call('secrets.get', { params: { id } })
        if (!secret.consumers.includes(agent)) {
          const body = { consumers: [...secret.consumers, agent] }
          await admin.call('secrets.update', { params: { id }, body })
        }
        const expires_at = options.expiresAt === never ? null : options.expiresAt
        const body = {
          agent,
          resource: secret.uri,
          scopes: ['secret:read'],
          reason: options.reason,
          ...given({ expires_at }),
        }
        const grant = await admin.call('grants.create', { body })
        print.object(grant, {
          id: grant.id,
          agent,
          secret: secret.name,
          expires: instant(grant.expires_at) ?? 'never',
        })
      }),
    )
}

function putCommand(terminal: Terminal): Command {
  type Options = { readonly valueFile: string; readonly reason?: string }
  return command('put', 'give the next value of a secret; the former drains and ends')
    .argument('<secret>', 'its name or id')
    .requiredOption('--value-file <file>', 'a file with the value; - reads standard input')
    .option('--reason <why>', 'why; kept in the audit log')
    .action(
      acting<Options>(terminal, async ({ admin, args: [id = ''], options, print }) => {
        const value = await readValue(options.valueFile, terminal)
        const body = { value, ...given({ reason: options.reason }) }
        const version = await admin.call('secret-versions.create', { params: { id }, body })
        print.object(version, {
          version: version.number,
          state: state(version.state),
          rotation: version.rotation,
        })
        if (version.rotation !== null)
          print.hint(`see who still uses the former with "writ rotation status ${version.rotation} --watch"`)
      }),
    )
}

const versionColumns: readonly Column<Version>[] = [
  { head: 'version', of: ({ number }) => number },
  { head: 'state', of: version => state(version.state) },
  { head: 'since', of: version => instant(version.state_at) },
  { head: 'upstream', of: ({ handle }) => handle },
  { head: 'last used', of: version => instant(version.last_used_at) ?? 'never' },
  { head: 'by', of: version => version.last_used_by },
  { head: 'vault key', of: version => version.vault_key },
]

function versionsCommand(terminal: Terminal): Command {
  return paged(command('versions', 'list the versions of a secret and who used them last'))
    .argument('<secret>', 'its name or id')
    .action(
      acting<Paging>(terminal, async session => {
        const [id = ''] = session.args
        const ask = (query: object) => session.admin.call('secret-versions.list', { params: { id }, query })
        await printPages(session, ask, versionColumns, 'no versions yet')
      }),
    )
}

const leaseColumns: readonly Column<Lease>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'state', of: lease => state(lease.state) },
  { head: 'agent', of: ({ agent }) => agent },
  { head: 'upstream', of: ({ handle }) => handle },
  { head: 'expires', of: lease => instant(lease.expires_at) },
  { head: 'failed attempts', of: ({ attempts }) => attempts },
]

function leasesCommand(terminal: Terminal): Command {
  return paged(command('leases', 'list the leases of a secret'))
    .argument('<secret>', 'its name or id')
    .action(
      acting<Paging>(terminal, async session => {
        const [id = ''] = session.args
        const ask = (query: object) => session.admin.call('secret-leases.list', { params: { id }, query })
        await printPages(session, ask, leaseColumns, 'no leases')
      }),
    )
}

function revokeCommand(terminal: Terminal): Command {
  return command('revoke', 'end a lease before its time')
    .argument('<secret>', 'its name or id')
    .argument('<lease>', 'the lease, as writ secret leases shows it')
    .requiredOption('--reason <why>', 'why; kept in the audit log')
    .action(
      acting<{ readonly reason: string }>(terminal, async session => {
        const { admin, args, options, print } = session
        const [id = '', lease = ''] = args
        const { reason } = options
        const ended = await admin.call('secret-leases.revoke', { params: { id, lease }, body: { reason } })
        print.object(ended, { id: ended.id, state: state(ended.state) })
      }),
    )
}

function retireCommand(terminal: Terminal): Command {
  type Options = Sure & { readonly reason: string }
  const made = command('retire', 'end a secret with its grants, versions and leases')
    .argument('<secret>', 'its name or id')
    .requiredOption('--reason <why>', 'why; kept in the audit log')
  return destructive(made).action(
    acting<Options>(terminal, async ({ admin, args: [id = ''], options, print }) => {
      await confirm(terminal, options, `Retire the secret ${id} for ever?`)
      show(print, await admin.call('secrets.retire', { params: { id }, body: { reason: options.reason } }))
    }),
  )
}
