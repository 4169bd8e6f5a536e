// writ session: runs of instances, seen and ended.
import type { Answer } from '@writ/sdk/admin'
import type { Command } from 'commander'
import { command, family, type Terminal } from '../command.ts'
import { agentId } from '../names.ts'
import { acting, given, type Paging, paged, printPages } from '../session.ts'
import { type Column, instant, state } from '../terminal/print.ts'

type Run = Answer<'sessions.get'>

export function sessionCommand(terminal: Terminal): Command {
  return family('session', 'see and end sessions of agents')
    .addCommand(listCommand(terminal))
    .addCommand(endCommand(terminal))
}

const columns: readonly Column<Run>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'agent', of: ({ agent }) => agent },
  { head: 'task', of: ({ task }) => task ?? '-', most: 40 },
  { head: 'status', of: ({ status }) => state(status) },
  { head: 'began', of: ({ created_at }) => instant(created_at) },
]

function listCommand(terminal: Terminal): Command {
  return paged(command('list', 'list sessions in the order in which they began'))
    .option('--agent <agent>', 'only those of this agent (id or name)')
    .action(
      acting<Paging & { readonly agent?: string }>(terminal, async session => {
        const { agent: named } = session.options
        const agent = named === undefined ? undefined : await agentId(session.admin, named)
        const ask = (query: object) =>
          session.admin.call('sessions.list', { query: { ...given({ agent }), ...query } })
        await printPages(session, ask, columns, 'no session has begun')
      }),
    )
}

function endCommand(terminal: Terminal): Command {
  return command('end', 'end a session at once, with every token of it')
    .argument('<session>', 'its id')
    .requiredOption('--reason <why>', 'why; kept in the audit log')
    .action(
      acting<{ readonly reason: string }>(terminal, async ({ admin, args: [id = ''], options, print }) => {
        const ended = await admin.call('sessions.end', { params: { id }, body: { reason: options.reason } })
        print.object(ended, { id: ended.id, status: state(ended.status), reason: ended.end_reason })
      }),
    )
}
