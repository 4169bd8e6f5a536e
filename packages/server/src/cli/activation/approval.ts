// writ approval: what waits for a decision, and the decisions. Nobody decides what it asked for itself.
import type { Answer } from '@writ/sdk/admin'
import { type Command, InvalidArgumentError } from 'commander'
import { CommandFailure, command, exitCodes, family, type Terminal } from '../command.ts'
import { agentId } from '../names.ts'
import { acting, given, type Paging, paged, printPages } from '../session.ts'
import { type Column, instant, type Printer, state } from '../terminal/print.ts'
import { type Detail, detailsIn, scopesIn, shownDetails } from './details.ts'
import { openFor } from './limits.ts'

type Approval = Answer<'approvals.get'>

export function approvalCommand(terminal: Terminal): Command {
  return family('approval', 'see what waits for a decision, and decide it')
    .addCommand(listCommand(terminal))
    .addCommand(showCommand(terminal))
    .addCommand(approveCommand(terminal))
    .addCommand(reasonedCommand(terminal, 'deny', 'deny a request for good'))
    .addCommand(
      reasonedCommand(terminal, 'cancel', 'take a request back, or end at once what an approved one opened'),
    )
    .addCommand(reviewCommand(terminal))
}

const operationOf = ({ operation }: Approval): string | undefined =>
  operation === null ? undefined : [operation.action, operation.type, operation.id].filter(Boolean).join(' ')

export function show(print: Printer, approval: Approval): void {
  const { approved, review } = approval
  const lines = given({
    operation: operationOf(approval),
    details: shownDetails(approval.authorization_details),
    'approved scopes': approved === null ? undefined : approved.scopes.join(' '),
    'approved details': approved === null ? undefined : shownDetails(approved.authorization_details),
    'decided by': approval.decided_by ?? undefined,
    because: approval.decision_reason ?? undefined,
    'open until': instant(approval.approved_until) ?? undefined,
    grant: approval.grant ?? undefined,
    'broken glass': approval.break_glass ? (approval.unreviewed ? 'unreviewed' : 'reviewed') : undefined,
    review: review === null ? undefined : `${review.verdict} by ${review.by}: ${review.note}`,
  })
  print.object(approval, {
    id: approval.id,
    state: state(approval.state),
    agent: approval.agent,
    resource: approval.resource,
    scopes: approval.scopes.join(' '),
    for: `${approval.seconds} s`,
    reason: approval.reason,
    'asked by': approval.requested_by,
    ...lines,
    ...(approval.state === 'pending' ? { expires: instant(approval.expires_at) } : {}),
  })
}

const columns: readonly Column<Approval>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'state', of: approval => state(approval.unreviewed ? 'unreviewed' : approval.state) },
  { head: 'agent', of: ({ agent }) => agent },
  { head: 'resource', of: ({ resource }) => resource, most: 40 },
  { head: 'asks for', of: approval => operationOf(approval) ?? approval.scopes.join(' '), most: 40 },
  { head: 'for', of: ({ seconds }) => `${seconds} s` },
  { head: 'reason', of: ({ reason }) => reason, most: 40 },
]

const states = ['pending', 'approved', 'denied', 'expired', 'cancelled', 'failed', 'partial'] as const

function stateIn(text: string): Approval['state'] {
  const known = states.find(one => one === text)
  if (known === undefined) throw new InvalidArgumentError(`must be one of ${states.join(', ')}.`)
  return known
}

function listCommand(terminal: Terminal): Command {
  type Options = Paging & {
    readonly agent?: string
    readonly state?: Approval['state']
    readonly pending?: true
    readonly unreviewed?: true
  }
  return paged(command('list', 'list requests for approval in the order in which they came'))
    .option('--agent <agent>', 'only those for this agent (id or name)')
    .option('--state <state>', `only those in this state: ${states.join(', ')}`, stateIn)
    .option('--pending', 'only those that wait for a decision')
    .option('--unreviewed', 'only broken glass that nobody has reviewed yet')
    .action(
      acting<Options>(terminal, async session => {
        const { agent: named, pending, unreviewed } = session.options
        if (pending && session.options.state !== undefined)
          throw new CommandFailure('say --pending or --state, not both', exitCodes.usage)
        const agent = named === undefined ? undefined : await agentId(session.admin, named)
        const filter = given({
          agent,
          state: pending ? ('pending' as const) : session.options.state,
          unreviewed: unreviewed && ('true' as const),
        })
        const ask = (query: object) =>
          session.admin.call('approvals.list', { query: { ...filter, ...query } })
        await printPages(session, ask, columns, 'no requests')
      }),
    )
}

function showCommand(terminal: Terminal): Command {
  return command('show', 'show a request exactly as it would be approved')
    .argument('<approval>', 'its id')
    .action(
      acting(terminal, async ({ admin, args: [id = ''], print }) => {
        show(print, await admin.call('approvals.get', { params: { id } }))
      }),
    )
}

function approveCommand(terminal: Terminal): Command {
  interface Options {
    readonly scope?: string[]
    readonly authorizationDetails?: Detail[]
    readonly for?: number
    readonly reason?: string
  }
  return command('approve', 'approve a request, or less of it; what is approved opens at once')
    .argument('<approval>', 'its id')
    .option('--scope <scopes>', 'only these scopes of it; may be repeated', scopesIn)
    .option('--authorization-details <json>', 'only this of it: RFC 9396 details, as a JSON array', detailsIn)
    .option('--for <time>', 'for less time, such as 5m', openFor)
    .option('--reason <why>', 'why; kept in the audit log')
    .action(
      acting<Options>(terminal, async ({ admin, args: [id = ''], options, print }) => {
        const { scope: scopes, authorizationDetails, for: seconds, reason } = options
        const body = given({ scopes, authorization_details: authorizationDetails, seconds, reason })
        show(print, await admin.call('approvals.approve', { params: { id }, body }))
      }),
    )
}

function reasonedCommand(terminal: Terminal, verb: 'deny' | 'cancel', does: string): Command {
  return command(verb, does)
    .argument('<approval>', 'its id')
    .requiredOption('--reason <why>', 'why; kept in the audit log')
    .action(
      acting<{ readonly reason: string }>(
        terminal,
        async ({ admin, args: [id = ''], options: { reason }, print }) => {
          show(print, await admin.call(`approvals.${verb}`, { params: { id }, body: { reason } }))
        },
      ),
    )
}

function reviewCommand(terminal: Terminal): Command {
  interface Options {
    readonly justified?: true
    readonly unjustified?: true
    readonly note: string
  }
  return command('review', 'say afterwards whether a glass was rightly broken')
    .argument('<approval>', 'its id')
    .option('--justified', 'it was')
    .option('--unjustified', 'it was not: what is still open of it ends at once')
    .requiredOption('--note <text>', 'what was found; kept in the audit log')
    .action(
      acting<Options>(terminal, async ({ admin, args: [id = ''], options, print }) => {
        const { justified, unjustified, note } = options
        if (justified === unjustified)
          throw new CommandFailure('say --justified or --unjustified', exitCodes.usage)
        const verdict = justified ? ('justified' as const) : ('unjustified' as const)
        const body = { verdict, note }
        show(print, await admin.call('approvals.review', { params: { id }, body }))
      }),
    )
}
