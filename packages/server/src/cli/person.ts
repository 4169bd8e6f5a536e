// writ person: who can own agents and answer for them.
import type { Answer } from '@writ/sdk/admin'
import type { Command } from 'commander'
import { CommandFailure, command, exitCodes, family, type Terminal } from './command.ts'
import { personId } from './names.ts'
import { acting, given, type Paging, paged, printPages } from './session.ts'
import { confirm, destructive, type Sure } from './terminal/confirm.ts'
import { type Column, instant, type Printer, state } from './terminal/print.ts'
import { readText } from './terminal/reading.ts'

type Person = Answer<'people.get'>

export function personCommand(terminal: Terminal): Command {
  return family('person', 'create, see, change, stop and delete people')
    .addCommand(createCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(showCommand(terminal))
    .addCommand(updateCommand(terminal))
    .addCommand(moveCommand(terminal, 'suspend', 'suspend a person; no new agent can be theirs'))
    .addCommand(moveCommand(terminal, 'resume', 'let a suspended person act again'))
    .addCommand(deleteCommand(terminal))
}

interface Described {
  readonly login?: string
  readonly name?: string
  readonly passwordStdin?: true
}

function described(made: Command): Command {
  return made
    .option('--name <name>', 'their name')
    .option(
      '--password-stdin',
      'read a password from standard input: what is typed as an option, others can see',
    )
}

async function bodyOf({ login, name, passwordStdin }: Described, terminal: Terminal) {
  const password = passwordStdin ? (await readText('-', terminal)).replace(/\r?\n$/, '') : undefined
  if (password === '') throw new CommandFailure('standard input holds no password', exitCodes.usage)
  return given({ login, name, password })
}

function createCommand(terminal: Terminal): Command {
  const made = command('create', 'create a person').requiredOption('--login <login>', 'how they sign in')
  return described(made).action(
    acting<Described & { readonly login: string }>(terminal, async ({ admin, options, print }) => {
      const body = { ...(await bodyOf(options, terminal)), login: options.login }
      show(print, await admin.call('people.create', { body }))
    }),
  )
}

const columns: readonly Column<Person>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'login', of: ({ login }) => login, most: 40 },
  { head: 'name', of: ({ name }) => name, most: 40 },
  { head: 'status', of: ({ status }) => state(status) },
  { head: 'created', of: person => instant(person.created_at) },
]

function listCommand(terminal: Terminal): Command {
  return paged(command('list', 'list people in the order of their creation'))
    .option('--login <login>', 'only the one of this login')
    .action(
      acting<Paging & { readonly login?: string }>(terminal, async session => {
        const filter = given({ login: session.options.login })
        const ask = (query: object) => session.admin.call('people.list', { query: { ...filter, ...query } })
        await printPages(session, ask, columns, 'no people; writ person create makes a record of one')
      }),
    )
}

function show(print: Printer, person: Person): void {
  print.object(person, {
    id: person.id,
    login: person.login,
    name: person.name,
    status: state(person.status),
    ...(person.status_reason === null ? {} : { reason: person.status_reason }),
    password: person.has_password ? 'set' : 'none',
    created: instant(person.created_at),
  })
}

function showCommand(terminal: Terminal): Command {
  return command('show', 'show a person')
    .argument('<person>', 'their id or login')
    .action(
      acting(terminal, async ({ admin, args: [named = ''], print }) => {
        show(print, await admin.call('people.get', { params: { id: await personId(admin, named) } }))
      }),
    )
}

function updateCommand(terminal: Terminal): Command {
  const made = command('update', 'change a person')
    .argument('<person>', 'their id or login')
    .option('--login <login>', 'a new login')
  return described(made).action(
    acting<Described>(terminal, async ({ admin, args: [named = ''], options, print }) => {
      const body = await bodyOf(options, terminal)
      const id = await personId(admin, named)
      show(print, await admin.call('people.update', { params: { id }, body }))
    }),
  )
}

function moveCommand(terminal: Terminal, move: 'suspend' | 'resume', does: string): Command {
  return command(move, does)
    .argument('<person>', 'their id or login')
    .requiredOption('--reason <why>', 'why; kept in the audit log')
    .action(
      acting<{ readonly reason: string }>(terminal, async ({ admin, args: [named = ''], options, print }) => {
        const id = await personId(admin, named)
        const { reason } = options
        show(print, await admin.call(`people.${move}`, { params: { id }, body: { reason } }))
      }),
    )
}

function deleteCommand(terminal: Terminal): Command {
  const made = command('delete', 'delete a person who owns no agent that lives')
  return destructive(made.argument('<person>', 'their id or login')).action(
    acting<Sure>(terminal, async ({ admin, args: [named = ''], options, print }) => {
      const id = await personId(admin, named)
      await confirm(terminal, options, `Delete ${named} for ever?`)
      await admin.call('people.delete', { params: { id } })
      print.object({ id, deleted: true }, { deleted: id })
    }),
  )
}
