// writ group: groups of people that policies speak of, and who belongs to them.
import type { AdminClient, Answer } from '@writ/sdk/admin'
import { isId } from '@writ/sdk/protocol/identifier'
import type { Command } from 'commander'
import { CommandFailure, command, family, type Terminal } from '../command.ts'
import { personId } from '../names.ts'
import { acting, given, type Paging, paged, printPages } from '../session.ts'
import { confirm, destructive, type Sure } from '../terminal/confirm.ts'
import { type Column, instant, type Printer, state } from '../terminal/print.ts'

type Group = Answer<'groups.get'>

export function groupCommand(terminal: Terminal): Command {
  return family('group', 'create, see and delete groups of people, and say who belongs to them')
    .addCommand(createCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(showCommand(terminal))
    .addCommand(membersCommand(terminal))
    .addCommand(addCommand(terminal))
    .addCommand(removeCommand(terminal))
    .addCommand(deleteCommand(terminal))
}

function createCommand(terminal: Terminal): Command {
  interface Options {
    readonly name: string
    readonly description?: string
  }
  return command('create', 'create a group')
    .requiredOption('--name <name>', 'its name')
    .option('--description <text>', 'who is meant')
    .action(
      acting<Options>(terminal, async ({ admin, options, print }) => {
        const { name, description } = options
        const group = await admin.call('groups.create', { body: { name, ...given({ description }) } })
        show(print, group)
        print.hint(`in policies it is Writ::Group::"${group.id}"`)
      }),
    )
}

const columns: readonly Column<Group>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'name', of: ({ name }) => name, most: 40 },
  { head: 'created', of: group => instant(group.created_at) },
]

function listCommand(terminal: Terminal): Command {
  return paged(command('list', 'list groups in the order of their creation')).action(
    acting<Paging>(terminal, async session => {
      const ask = (query: object) => session.admin.call('groups.list', { query })
      await printPages(session, ask, columns, 'no groups; writ group create makes one')
    }),
  )
}

function show(print: Printer, group: Group): void {
  print.object(group, {
    id: group.id,
    name: group.name,
    ...(group.description === '' ? {} : { description: group.description }),
    created: instant(group.created_at),
  })
}

/** A group's id, from its id or its name. */
async function groupId(admin: AdminClient, named: string): Promise<string> {
  if (isId('grp', named)) return named
  const { items } = await admin.call('groups.list', { query: { name: named } })
  if (items[0] === undefined)
    throw new CommandFailure(
      `there is no group ${JSON.stringify(named)}; writ group list shows those there are`,
    )
  return items[0].id
}

function showCommand(terminal: Terminal): Command {
  return command('show', 'show a group')
    .argument('<group>', 'its id or name')
    .action(
      acting(terminal, async ({ admin, args: [named = ''], print }) => {
        show(print, await admin.call('groups.get', { params: { id: await groupId(admin, named) } }))
      }),
    )
}

type Member = Answer<'groups.members'>['items'][number]

const memberColumns: readonly Column<Member>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'login', of: ({ login }) => login, most: 40 },
  { head: 'name', of: ({ name }) => name, most: 40 },
  { head: 'status', of: ({ status }) => state(status) },
]

function membersCommand(terminal: Terminal): Command {
  return paged(
    command('members', 'list who belongs to a group').argument('<group>', 'its id or name'),
  ).action(
    acting<Paging>(terminal, async session => {
      const params = { id: await groupId(session.admin, session.args[0] ?? '') }
      const ask = (query: object) => session.admin.call('groups.members', { params, query })
      await printPages(session, ask, memberColumns, 'nobody belongs to it; writ group add takes somebody in')
    }),
  )
}

function addCommand(terminal: Terminal): Command {
  return command('add', 'take a person into a group')
    .argument('<group>', 'its id or name')
    .argument('<person>', 'their id or login')
    .action(
      acting(terminal, async ({ admin, args: [group = '', named = ''], print }) => {
        const id = await groupId(admin, group)
        const person = await personId(admin, named)
        const { login, groups } = await admin.call('groups.add', { params: { id }, body: { person } })
        print.object({ login, groups }, { login, groups: groups.join(' ') })
      }),
    )
}

function removeCommand(terminal: Terminal): Command {
  return command('remove', 'take a person out of a group')
    .argument('<group>', 'its id or name')
    .argument('<person>', 'their id or login')
    .action(
      acting(terminal, async ({ admin, args: [group = '', named = ''], print }) => {
        const id = await groupId(admin, group)
        const person = await personId(admin, named)
        const { login, groups } = await admin.call('groups.remove', { params: { id, person } })
        print.object({ login, groups }, { login, groups: groups.join(' ') })
      }),
    )
}

function deleteCommand(terminal: Terminal): Command {
  const made = command('delete', 'delete a group that nobody belongs to')
  return destructive(made.argument('<group>', 'its id or name')).action(
    acting<Sure>(terminal, async ({ admin, args: [named = ''], options, print }) => {
      const id = await groupId(admin, named)
      await confirm(terminal, options, `Delete the group ${named} for ever?`)
      await admin.call('groups.delete', { params: { id } })
      print.object({ id, deleted: true }, { deleted: id })
    }),
  )
}
