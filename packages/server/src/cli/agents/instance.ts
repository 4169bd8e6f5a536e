// writ instance: the running copies of an agent, each with a key of its own.
import type { Answer } from '@writ/sdk/admin'
import type { Command } from 'commander'
import { command, family, type Terminal } from '../command.ts'
import { agentId } from '../names.ts'
import { acting, type Paging, paged, printPages } from '../session.ts'
import { type Column, instant } from '../terminal/print.ts'

type Instance = Answer<'instances.list'>['items'][number]

const columns: readonly Column<Instance>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'origin', of: ({ origin }) => origin },
  { head: 'created', of: instance => instant(instance.created_at) },
]

export function instanceCommand(terminal: Terminal): Command {
  return family('instance', 'see the running instances of an agent').addCommand(
    paged(command('list', 'list the instances of an agent'))
      .argument('<agent>', 'its id or name')
      .action(
        acting<Paging>(terminal, async session => {
          const [named = ''] = session.args
          const id = await agentId(session.admin, named)
          const ask = (query: object) => session.admin.call('instances.list', { params: { id }, query })
          await printPages(session, ask, columns, `no instance yet; writ agent enroll ${id} lets one in`)
        }),
      ),
  )
}
