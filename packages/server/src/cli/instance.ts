// writ instance: the running copies of an agent, each with a key of its own.
import type { Answer } from '@writ/sdk/admin'
import type { Command } from 'commander'
import { command, family, type Terminal } from './command.ts'
import { agentId } from './names.ts'
import { acting } from './session.ts'
import { type Column, instant } from './terminal/print.ts'

type Instance = Answer<'instances.list'>['items'][number]

const columns: readonly Column<Instance>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'origin', of: ({ origin }) => origin },
  { head: 'created', of: instance => instant(instance.created_at) },
]

export function instanceCommand(terminal: Terminal): Command {
  return family('instance', 'see the running instances of an agent').addCommand(
    command('list', 'list the instances of an agent')
      .argument('<agent>', 'its id or name')
      .action(
        acting(terminal, async ({ admin, args: [named = ''], print }) => {
          const id = await agentId(admin, named)
          const list = await admin.call('instances.list', { params: { id } })
          print.table(list, columns, `no instance yet; writ agent enroll ${id} lets one in`)
        }),
      ),
  )
}
