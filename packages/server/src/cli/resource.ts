// writ resource: what agents may be let into, with the scopes that it knows.
import type { Answer, Input } from '@writ/sdk/admin'
import { type Command, InvalidArgumentError } from 'commander'
import { CommandFailure, command, exitCodes, family, several, type Terminal } from './command.ts'
import { resourceId } from './names.ts'
import { acting, given, type Paging, paged, printPages } from './session.ts'
import { confirm, destructive, type Sure } from './terminal/confirm.ts'
import { type Column, instant, type Printer } from './terminal/print.ts'
import { readObject } from './terminal/reading.ts'

type Resource = Answer<'resources.get'>
type Scope = Input<'resources.create'>['body']['scopes'][number]

export function resourceCommand(terminal: Terminal): Command {
  return family('resource', 'register, see, change and delete protected resources')
    .addCommand(createCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(showCommand(terminal))
    .addCommand(updateCommand(terminal))
    .addCommand(deleteCommand(terminal))
}

interface Described {
  readonly name?: string
  readonly scope?: readonly (readonly [string, string])[]
  readonly includes?: readonly (readonly [string, string])[]
  readonly sensitive?: readonly string[]
  readonly introspectionClient?: readonly string[]
  readonly bearerAllowed?: boolean
  readonly from?: string
}

function described(made: Command): Command {
  return made
    .option(
      '--scope <name=description>',
      'a scope and what it allows; may be repeated',
      pairs('name=description'),
    )
    .option(
      '--includes <name=scopes>',
      'a scope that stands for others, separated by commas',
      pairs('name=a,b'),
    )
    .option('--sensitive <name>', 'a scope that is given only where it is named; may be repeated', several)
    .option('--introspection-client <id>', 'who may introspect tokens for it; may be repeated', several)
    .option('--bearer-allowed', 'tokens without a key binding may be issued for it')
    .option('--no-bearer-allowed', 'every token for it is bound to a key')
    .option(
      '--from <file>',
      'a JSON file with the members of the request; options win; - reads standard input',
    )
}

/** Splits at the first equals sign, and collects. */
function pairs(form: string) {
  return (text: string, before: readonly (readonly [string, string])[] = []) => {
    const at = text.indexOf('=')
    if (at < 1 || at === text.length - 1) throw new InvalidArgumentError(`must be of the form ${form}.`)
    return [...before, [text.slice(0, at), text.slice(at + 1)] as const]
  }
}

function scopesOf({ scope, includes = [], sensitive = [] }: Described): readonly Scope[] | undefined {
  if (scope === undefined) {
    if (includes.length + sensitive.length === 0) return undefined
    throw new CommandFailure(
      '--includes and --sensitive go with --scope: name every scope again',
      exitCodes.usage,
    )
  }
  const known = new Set(scope.map(([name]) => name))
  const stray = [...includes.map(([name]) => name), ...sensitive].find(name => !known.has(name))
  if (stray !== undefined) {
    throw new CommandFailure(`no --scope ${stray}=… describes the scope ${stray}`, exitCodes.usage)
  }
  const parts = new Map(includes.map(([name, others]) => [name, others.split(',')]))
  return scope.map(([name, description]) => ({
    name,
    description,
    ...given({ includes: parts.get(name), sensitive: sensitive.includes(name) || undefined }),
  }))
}

async function bodyOf(options: Described, terminal: Terminal) {
  const from = options.from === undefined ? {} : await readObject(options.from, terminal)
  const { name, introspectionClient: introspection_clients, bearerAllowed: bearer_allowed } = options
  return { ...from, ...given({ name, scopes: scopesOf(options), introspection_clients, bearer_allowed }) }
}

function createCommand(terminal: Terminal): Command {
  type Options = Described & { readonly identifier?: string }
  const made = command('create', 'register a protected resource with its scopes')
    .option('--identifier <uri>', 'its identifier, an absolute URI: what tokens for it carry as audience')
    .option('--name <name>', 'what people call it')
  return described(made).action(
    acting<Options>(terminal, async ({ admin, options, print }) => {
      const body = { ...(await bodyOf(options, terminal)), ...given({ identifier: options.identifier }) }
      mustHave(body, { identifier: '--identifier', name: '--name', scopes: '--scope' })
      show(print, await admin.call('resources.create', { body: body as Input<'resources.create'>['body'] }))
    }),
  )
}

/** What the request needs, from options or from a file. */
export function mustHave(body: object, needed: Readonly<Record<string, string>>): void {
  const missing = Object.entries(needed).filter(([member]) => !Object.hasOwn(body, member))
  if (missing.length === 0) return
  const flags = missing.map(([, flag]) => flag).join(', ')
  throw new CommandFailure(`${flags} is missing; give it, or a file with --from`, exitCodes.usage)
}

const columns: readonly Column<Resource>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'identifier', of: ({ identifier }) => identifier },
  { head: 'name', of: ({ name }) => name, most: 32 },
  { head: 'scopes', of: ({ scopes }) => scopes.map(({ name }) => name).join(' '), most: 60 },
]

function listCommand(terminal: Terminal): Command {
  return paged(command('list', 'list protected resources in the order of their registration')).action(
    acting<Paging>(terminal, async session => {
      const ask = (query: object) => session.admin.call('resources.list', { query })
      await printPages(session, ask, columns, 'no resources; writ resource create registers one')
    }),
  )
}

function show(print: Printer, resource: Resource): void {
  const scopes = resource.scopes.map(({ name, description, includes, sensitive }) => {
    const marks = [includes.length > 0 && `includes ${includes.join(' ')}`, sensitive && 'sensitive'].filter(
      Boolean,
    )
    return `${name}: ${description}${marks.length === 0 ? '' : ` (${marks.join('; ')})`}`
  })
  print.object(resource, {
    id: resource.id,
    identifier: resource.identifier,
    name: resource.name,
    ...Object.fromEntries(scopes.map((text, at) => [at === 0 ? 'scopes' : ' '.repeat(at), text])),
    tokens: resource.bearer_allowed ? 'bound to a key, or bearer' : 'bound to a key',
    ...(resource.introspection_clients.length === 0
      ? {}
      : { introspection: resource.introspection_clients.join(' ') }),
    created: instant(resource.created_at),
  })
}

function showCommand(terminal: Terminal): Command {
  return command('show', 'show a protected resource')
    .argument('<resource>', 'its id or identifier')
    .action(
      acting(terminal, async ({ admin, args: [named = ''], print }) => {
        show(print, await admin.call('resources.get', { params: { id: await resourceId(admin, named) } }))
      }),
    )
}

function updateCommand(terminal: Terminal): Command {
  const made = command('update', 'change a protected resource; removing a scope ends the tokens for it')
    .argument('<resource>', 'its id or identifier')
    .option('--name <name>', 'a new name')
  return described(made).action(
    acting<Described>(terminal, async ({ admin, args: [named = ''], options, print }) => {
      const body = await bodyOf(options, terminal)
      const id = await resourceId(admin, named)
      show(print, await admin.call('resources.update', { params: { id }, body }))
    }),
  )
}

function deleteCommand(terminal: Terminal): Command {
  const made = command('delete', 'delete a protected resource with its grants; the tokens for it are dead')
  return destructive(made.argument('<resource>', 'its id or identifier')).action(
    acting<Sure>(terminal, async ({ admin, args: [named = ''], options, print }) => {
      const id = await resourceId(admin, named)
      await confirm(terminal, options, `Delete ${named} with every grant for it?`)
      await admin.call('resources.delete', { params: { id } })
      print.object({ id, deleted: true }, { deleted: id })
    }),
  )
}
