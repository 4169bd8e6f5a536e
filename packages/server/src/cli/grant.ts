// writ grant: the rights of agents, each with a reason. An agent with no grant can do nothing.
import type { Answer } from '@writ/sdk/admin'
import { canonicalResource } from '@writ/sdk/protocol/uri'
import type { Command } from 'commander'
import { type Detail, detailsIn, scopesIn, shownDetails } from './activation/details.ts'
import { type BudgetGiven, budgetLines, budgetsIn } from './activation/limits.ts'
import { CommandFailure, command, exitCodes, family, type Terminal, wholeNumber } from './command.ts'
import { agentId } from './names.ts'
import { acting, given, type Paging, paged, printPages } from './session.ts'
import { confirm, destructive, type Sure } from './terminal/confirm.ts'
import { ahead, never } from './terminal/instants.ts'
import { type Column, instant, type Printer, state } from './terminal/print.ts'

type Grant = Answer<'grants.get'>

export function grantCommand(terminal: Terminal): Command {
  return family('grant', 'give, see and take back rights')
    .addCommand(createCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(showCommand(terminal))
    .addCommand(deleteCommand(terminal))
    .addCommand(unusedCommand(terminal))
    .addCommand(usageCommand(terminal))
}

function createCommand(terminal: Terminal): Command {
  interface Options {
    readonly agent: string
    readonly resource: string
    readonly scope?: string[]
    readonly authorizationDetails?: Detail[]
    readonly reason: string
    readonly expiresAt?: string
    readonly budget?: readonly BudgetGiven[]
    readonly condition?: string
  }
  return command('create', 'give an agent the right to ask for scopes of a resource')
    .requiredOption('--agent <agent>', 'its id or name')
    .requiredOption('--resource <uri>', 'the identifier of the resource')
    .option('--scope <scopes>', 'scopes, separated by spaces; may be repeated', scopesIn)
    .option(
      '--authorization-details <json>',
      'RFC 9396 details, as a JSON array: with scopes, both must cover what is done',
      detailsIn,
    )
    .requiredOption('--reason <why>', 'why; kept in the audit log')
    .option(
      '--expires-at <instant>',
      'when it ends by itself: an instant, or a time such as 8h (default: never)',
      ahead,
    )
    .option(
      '--budget <budget>',
      'what may be spent: calls=3/10s, rows=1000/1d, EUR=5000/30d; may be repeated',
      budgetsIn,
    )
    .option('--condition <cedar>', 'what must hold at each call, such as "context.risk < 50"')
    .action(
      acting<Options>(terminal, async ({ admin, options, print }) => {
        const { resource, scope: scopes, authorizationDetails, reason, expiresAt, ...limits } = options
        const { budget: budgets, condition } = limits
        const expires_at = expiresAt === never ? null : expiresAt
        if (scopes === undefined && authorizationDetails === undefined)
          throw new CommandFailure('--scope is missing, or --authorization-details', exitCodes.usage)
        const agent = await agentId(admin, options.agent)
        const reach = given({ scopes, authorization_details: authorizationDetails })
        const body = { agent, resource, reason, ...reach, ...given({ expires_at, budgets, condition }) }
        show(print, await admin.call('grants.create', { body }))
      }),
    )
}

function show(print: Printer, grant: Grant): void {
  print.object(grant, {
    id: grant.id,
    status: state(grant.status),
    agent: grant.agent,
    resource: grant.resource,
    scopes: grant.scopes.join(' '),
    ...given({ details: shownDetails(grant.authorization_details) }),
    ...(grant.condition === null ? {} : { condition: grant.condition }),
    ...budgetLines(grant.budgets),
    reason: grant.reason,
    created: instant(grant.created_at),
    by: grant.created_by,
    expires: instant(grant.expires_at) ?? 'never',
    ...(grant.revoked_at === null ? {} : { revoked: instant(grant.revoked_at) }),
  })
}

const columns: readonly Column<Grant>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'agent', of: ({ agent }) => agent },
  { head: 'resource', of: ({ resource }) => resource, most: 48 },
  { head: 'scopes', of: ({ scopes }) => scopes.join(' '), most: 48 },
  { head: 'status', of: ({ status }) => state(status) },
  { head: 'expires', of: grant => instant(grant.expires_at) ?? 'never' },
]

function listCommand(terminal: Terminal): Command {
  type Options = Paging & { readonly agent?: string; readonly resource?: string; readonly active?: true }
  return paged(command('list', 'list grants in the order in which they were given'))
    .option('--agent <agent>', 'only those of this agent (id or name)')
    .option('--resource <uri>', 'only those for this resource (its identifier)')
    .option('--active', 'only those that count now')
    .action(
      acting<Options>(terminal, async session => {
        const { agent: named, resource, active } = session.options
        const agent = named === undefined ? undefined : await agentId(session.admin, named)
        const status = active && ('active' as const)
        const filter = given({
          agent,
          resource: resource && (canonicalResource(resource) ?? resource),
          status,
        })
        const ask = (query: object) => session.admin.call('grants.list', { query: { ...filter, ...query } })
        await printPages(session, ask, columns, 'no grants; writ grant create gives one')
      }),
    )
}

function showCommand(terminal: Terminal): Command {
  return command('show', 'show a grant')
    .argument('<grant>', 'its id')
    .action(
      acting(terminal, async ({ admin, args: [id = ''], print }) => {
        show(print, await admin.call('grants.get', { params: { id } }))
      }),
    )
}

function deleteCommand(terminal: Terminal): Command {
  const made = command('delete', 'take a grant back at once, with every token that rests on it')
  return destructive(made.argument('<grant>', 'its id')).action(
    acting<Sure>(terminal, async ({ admin, args: [id = ''], options, print }) => {
      await confirm(terminal, options, `Take the grant ${id} back?`)
      await admin.call('grants.delete', { params: { id } })
      print.object({ id, deleted: true }, { deleted: id })
    }),
  )
}

type Unused = Answer<'grants.unused'>['items'][number]

const unusedColumns: readonly Column<Unused>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'agent', of: ({ agent }) => agent },
  { head: 'resource', of: ({ resource }) => resource, most: 48 },
  { head: 'scopes', of: ({ scopes }) => scopes.join(' '), most: 48 },
  { head: 'last used', of: ({ last_used_at }) => instant(last_used_at) ?? 'never' },
]

function unusedCommand(terminal: Terminal): Command {
  return paged(command('unused', 'list grants that count now and that nobody has used for a while'))
    .option('--days <n>', 'for how many days (default 30)', wholeNumber(1, 3650))
    .action(
      acting<Paging & { readonly days?: number }>(terminal, async session => {
        const { days } = session.options
        const filter = days === undefined ? {} : { days: String(days) }
        const ask = (query: object) =>
          session.admin.call('grants.unused', { query: { ...filter, ...query } as never })
        const none = `no grant that is older than ${days ?? 30} days has been unused for so long`
        await printPages(session, ask, unusedColumns, none)
      }),
    )
}

type Usage = Answer<'grants.usage'>['items'][number]

const usageColumns: readonly Column<Usage>[] = [
  { head: 'scope', of: ({ scope }) => scope },
  { head: 'tool', of: ({ tool }) => tool || '-' },
  { head: 'caller', of: ({ caller }) => caller },
  { head: 'count', of: ({ count }) => String(count) },
  { head: 'last used', of: ({ last_used_at }) => instant(last_used_at) },
]

function usageCommand(terminal: Terminal): Command {
  return command('usage', 'see who used a grant, with which scopes and tools')
    .argument('<grant>', 'its id')
    .action(
      acting(terminal, async ({ admin, args: [id = ''], print }) => {
        const usage = await admin.call('grants.usage', { params: { id } })
        print.table(usage, usageColumns, 'nobody has used it')
        if (usage.is_cut) print.hint(`only the newest ${usage.items.length} uses are shown`)
      }),
    )
}
