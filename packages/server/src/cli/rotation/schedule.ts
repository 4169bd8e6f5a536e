// writ schedule: rotations that begin by themselves.
import type { Answer } from '@writ/sdk/admin'
import type { Command } from 'commander'
import { command, family, type Terminal, wholeNumber } from '../command.ts'
import { acting, given, type Paging, paged, printPages } from '../session.ts'
import { confirm, destructive, type Sure } from '../terminal/confirm.ts'
import { type Column, instant, type Printer, state } from '../terminal/print.ts'
import type { RotationKind } from './status.ts'

type Schedule = Answer<'schedules.get'>

export function scheduleCommand(terminal: Terminal): Command {
  return family('schedule', 'rotate by a cron expression or a maximum age')
    .addCommand(addCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(moveCommand(terminal, 'suspend', 'suspended'))
    .addCommand(moveCommand(terminal, 'resume', 'active'))
    .addCommand(deleteCommand(terminal))
}

const rhythm = ({ cron, max_age_seconds: age }: Schedule): string => cron ?? `every ${age} s`

const columns: readonly Column<Schedule>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'kind', of: ({ kind }) => kind },
  { head: 'target', of: ({ target }) => target },
  { head: 'rhythm', of: rhythm },
  { head: 'state', of: ({ status }) => state(status) },
  { head: 'next', of: schedule => instant(schedule.next_at) },
  { head: 'last', of: schedule => instant(schedule.last_at) ?? 'never' },
]

function show(print: Printer, schedule: Schedule): void {
  print.object(schedule, {
    id: schedule.id,
    kind: schedule.kind,
    target: schedule.target,
    rhythm: rhythm(schedule),
    jitter: `${schedule.jitter_seconds} s`,
    state: state(schedule.status),
    next: instant(schedule.next_at),
    'last rotation': schedule.last_rotation,
  })
}

function addCommand(terminal: Terminal): Command {
  type Options = {
    readonly target?: string
    readonly cron?: string
    readonly maxAge?: number
    readonly jitter?: number
  }
  return command('add', 'rotate every target of a kind, or one, from now on')
    .argument('<kind>', 'instance_key, issuer_key, tenant_key, root_key, secret')
    .option('--target <id>', 'one instance or secret; all unless told')
    .option('--cron <expression>', 'five fields in UTC, such as "0 3 * * 1"')
    .option('--max-age <seconds>', 'or after so many seconds', wholeNumber(10, 315_360_000))
    .option('--jitter <seconds>', 'put each time off by up to so much', wholeNumber(0, 2_592_000))
    .action(
      acting<Options>(terminal, async ({ admin, args: [kind = ''], options, print }) => {
        const { target, cron, maxAge: max_age_seconds, jitter: jitter_seconds } = options
        const body = {
          kind: kind as RotationKind,
          ...given({ target, cron, max_age_seconds, jitter_seconds }),
        }
        show(print, await admin.call('schedules.create', { body }))
      }),
    )
}

function listCommand(terminal: Terminal): Command {
  return paged(command('list', 'list schedules')).action(
    acting<Paging>(terminal, async session => {
      const ask = (query: object) => session.admin.call('schedules.list', { query })
      await printPages(session, ask, columns, 'no schedules; writ schedule add makes one')
    }),
  )
}

function moveCommand(terminal: Terminal, verb: string, status: Schedule['status']): Command {
  return command(verb, `${verb} a schedule`)
    .argument('<id>', 'the schedule')
    .action(
      acting(terminal, async ({ admin, args: [id = ''], print }) => {
        show(print, await admin.call('schedules.update', { params: { id }, body: { status } }))
      }),
    )
}

function deleteCommand(terminal: Terminal): Command {
  return destructive(command('delete', 'end a schedule; rotations that it began go on'))
    .argument('<id>', 'the schedule')
    .action(
      acting<Sure>(terminal, async ({ admin, args: [id = ''], options, print }) => {
        await confirm(terminal, options, `Delete the schedule ${id}?`)
        await admin.call('schedules.delete', { params: { id } })
        print.hint(`the schedule ${id} has ended`)
      }),
    )
}
