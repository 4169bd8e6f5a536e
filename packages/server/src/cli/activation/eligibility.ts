// writ eligibility: what an agent may have opened for a while. By itself it is no right; writ activate opens it.
import type { Answer } from '@writ/sdk/admin'
import { canonicalResource } from '@writ/sdk/protocol/uri'
import type { Command } from 'commander'
import { CommandFailure, command, exitCodes, family, several, type Terminal } from '../command.ts'
import { agentId, approverId } from '../names.ts'
import { acting, given, type Paging, paged, printPages } from '../session.ts'
import { confirm, destructive, type Sure } from '../terminal/confirm.ts'
import { ahead, never } from '../terminal/instants.ts'
import { type Column, instant, type Printer, state } from '../terminal/print.ts'
import { type Detail, detailsIn, scopesIn, shownDetails } from './details.ts'
import { type BudgetGiven, budgetLines, budgetsIn, openFor } from './limits.ts'

type Eligibility = Answer<'eligibilities.get'>

export function eligibilityCommand(terminal: Terminal): Command {
  return family('eligibility', 'say what an agent may have opened for a while, and by whose approval')
    .addCommand(createCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(showCommand(terminal))
    .addCommand(revokeCommand(terminal))
}

function createCommand(terminal: Terminal): Command {
  interface Options {
    readonly agent: string
    readonly resource: string
    readonly scope?: string[]
    readonly authorizationDetails?: Detail[]
    readonly condition?: string
    readonly budget?: readonly BudgetGiven[]
    readonly upTo: number
    readonly approval: boolean
    readonly approver?: readonly string[]
    readonly breakGlass?: true
    readonly expiresAt?: string
    readonly reason: string
  }
  return command('create', 'let an agent have rights opened for a while, when it is needed')
    .requiredOption('--agent <agent>', 'its id or name')
    .requiredOption('--resource <uri>', 'the identifier of the resource')
    .option('--scope <scopes>', 'scopes, separated by spaces; may be repeated', scopesIn)
    .option('--authorization-details <json>', 'RFC 9396 details, as a JSON array', detailsIn)
    .option('--condition <cedar>', 'a Cedar condition that must hold at each call')
    .option(
      '--budget <budget>',
      'what may be spent while it is open: calls=3/10s, rows=1000/1d, EUR=5000/30d; may be repeated',
      budgetsIn,
    )
    .requiredOption('--up-to <time>', 'the longest activation, such as 30m; a week at most', openFor)
    .option('--no-approval', 'opens at once: nobody has to approve')
    .option(
      '--approver <agent>',
      'who may approve: an agent (id or name) or the id of a person; may be repeated (default: whoever may)',
      several,
    )
    .option('--break-glass', 'may be opened unapproved in an emergency, to be reviewed afterwards')
    .option(
      '--expires-at <instant>',
      'when it ends by itself: an instant, or a time such as 90d (default: never)',
      ahead,
    )
    .requiredOption('--reason <why>', 'why; kept in the audit log')
    .action(
      acting<Options>(terminal, async ({ admin, options, print }) => {
        const {
          resource,
          scope: scopes,
          authorizationDetails,
          approver: approvers,
          condition,
          budget: budgets,
          reason,
        } = options
        if (scopes === undefined && authorizationDetails === undefined)
          throw new CommandFailure('--scope is missing, or --authorization-details', exitCodes.usage)
        if (!options.approval && approvers !== undefined)
          throw new CommandFailure('say --approver or --no-approval, not both', exitCodes.usage)
        const body = {
          agent: await agentId(admin, options.agent),
          resource,
          max_seconds: options.upTo,
          approval: options.approval ? ('required' as const) : ('none' as const),
          reason,
          ...given({
            scopes,
            authorization_details: authorizationDetails,
            condition,
            budgets: budgets && [...budgets],
            approvers: approvers && (await Promise.all(approvers.map(one => approverId(admin, one)))),
            break_glass: options.breakGlass,
            expires_at: options.expiresAt === never ? null : options.expiresAt,
          }),
        }
        const made = await admin.call('eligibilities.create', { body })
        show(print, made)
        print.hint(`open it with "writ activate ${made.id} --reason WHY --for TIME"`)
      }),
    )
}

const approvalOf = ({ approval, approvers }: Eligibility): string => {
  if (approval === 'none') return 'nobody'
  return approvers.length === 0 ? 'whoever may approve' : approvers.join(' ')
}

function show(print: Printer, eligibility: Eligibility): void {
  print.object(eligibility, {
    id: eligibility.id,
    status: state(eligibility.status),
    agent: eligibility.agent,
    resource: eligibility.resource,
    scopes: eligibility.scopes.join(' '),
    ...given({ details: shownDetails(eligibility.authorization_details) }),
    ...(eligibility.condition === null ? {} : { condition: eligibility.condition }),
    ...budgetLines(eligibility.budgets),
    'up to': `${eligibility.max_seconds} s`,
    'approved by': approvalOf(eligibility),
    'break glass': eligibility.break_glass ? 'yes' : 'no',
    reason: eligibility.reason,
    created: instant(eligibility.created_at),
    by: eligibility.created_by,
    expires: instant(eligibility.expires_at) ?? 'never',
    ...(eligibility.revoked_at === null ? {} : { revoked: instant(eligibility.revoked_at) }),
  })
}

const columns: readonly Column<Eligibility>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'agent', of: ({ agent }) => agent },
  { head: 'resource', of: ({ resource }) => resource, most: 48 },
  { head: 'scopes', of: ({ scopes }) => scopes.join(' '), most: 48 },
  { head: 'status', of: ({ status }) => state(status) },
  { head: 'approved by', of: approvalOf, most: 32 },
  { head: 'expires', of: eligibility => instant(eligibility.expires_at) ?? 'never' },
]

function listCommand(terminal: Terminal): Command {
  type Options = Paging & { readonly agent?: string; readonly resource?: string }
  return paged(command('list', 'list eligibilities in the order in which they were made'))
    .option('--agent <agent>', 'only those of this agent (id or name)')
    .option('--resource <uri>', 'only those for this resource (its identifier)')
    .action(
      acting<Options>(terminal, async session => {
        const { agent: named, resource } = session.options
        const agent = named === undefined ? undefined : await agentId(session.admin, named)
        const filter = given({ agent, resource: resource && (canonicalResource(resource) ?? resource) })
        const ask = (query: object) =>
          session.admin.call('eligibilities.list', { query: { ...filter, ...query } })
        await printPages(session, ask, columns, 'no eligibilities; writ eligibility create makes one')
      }),
    )
}

function showCommand(terminal: Terminal): Command {
  return command('show', 'show an eligibility')
    .argument('<eligibility>', 'its id')
    .action(
      acting(terminal, async ({ admin, args: [id = ''], print }) => {
        show(print, await admin.call('eligibilities.get', { params: { id } }))
      }),
    )
}

function revokeCommand(terminal: Terminal): Command {
  const made = command('revoke', 'end an eligibility at once, with everything that was opened from it')
    .argument('<eligibility>', 'its id')
    .requiredOption('--reason <why>', 'why; kept in the audit log')
  return destructive(made).action(
    acting<Sure & { readonly reason: string }>(
      terminal,
      async ({ admin, args: [id = ''], options, print }) => {
        await confirm(terminal, options, `End the eligibility ${id} and what was opened from it?`)
        const { reason } = options
        show(print, await admin.call('eligibilities.revoke', { params: { id }, body: { reason } }))
      },
    ),
  )
}
