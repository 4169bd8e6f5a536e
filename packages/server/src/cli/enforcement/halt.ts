// writ halt: stop an agent, a key, a tool, the whole tenant at once, see that it has arrived everywhere, and lift it again.
import { type AdminClient, type Answer, createAdminClient } from '@writ/sdk/admin'
import type { Command } from 'commander'
import { CommandFailure, command, exitCodes, family, type Terminal } from '../command.ts'
import { agentId, personId } from '../names.ts'
import { acting, type Paging, paged, printPages, type Session } from '../session.ts'
import { confirm, destructive, type Sure } from '../terminal/confirm.ts'
import { type Column, instant, type Printer, state } from '../terminal/print.ts'
import { type Confirmed, confirmed } from './confirmation.ts'

type Halt = Answer<'halts.get'>

const kinds = ['agent', 'instance', 'key', 'grant', 'tool', 'resource', 'person', 'tenant'] as const

export function haltCommand(terminal: Terminal): Command {
  return family('halt', 'stop something at once until it is lifted, and see that it has arrived')
    .addCommand(createCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(liftCommand(terminal))
    .addCommand(pointsCommand(terminal))
}

/** Under a halt of the tenant a token for halts alone is the only one to be had. */
const haltsOnly = ({ agent, issuer }: Pick<Session<unknown>, 'agent' | 'issuer'>): AdminClient =>
  createAdminClient({
    issuer,
    fetch: (url, init) => agent.fetch(url, { ...init, scope: 'writ:halts' }),
  })

function show(print: Printer, halt: Halt, more: Readonly<Record<string, unknown>> = {}): void {
  print.object(
    { ...halt, ...more },
    {
      id: halt.id,
      status: state(halt.status),
      [halt.kind]: halt.target,
      reason: halt.reason,
      by: halt.by,
      created: instant(halt.created_at),
      ...(halt.lifted_at === null ? {} : { lifted: instant(halt.lifted_at) }),
    },
  )
}

function createCommand(terminal: Terminal): Command {
  interface Options extends Sure {
    readonly reason: string
  }
  const made = command('create', 'stop it now; nothing of it is allowed until the halt is lifted')
    .argument('<kind>', kinds.join(', '))
    .argument(
      '[target]',
      'an id, the name of an agent, the login of a person, a thumbprint, the identifier of a resource, or <identifier>#<tool>',
    )
    .requiredOption('--reason <why>', 'why; kept in the audit log')
  return destructive(made).action(
    acting<Options>(terminal, async session => {
      const { admin, options, print } = session
      const { kind, target } = await wishOf(session)
      await confirm(terminal, options, `Halt the ${kind} ${target}?`)
      const halt = await admin.call('halts.create', { body: { kind, target, reason: options.reason } })
      // Its own token has ended with the tenant.
      const asking = confirmed(kind === 'tenant' ? haltsOnly(session) : admin)
      // It is in force, whether or not anybody can say who has heard of it: its id is what lifts it.
      const seen = await asking.catch((error: unknown) => {
        if (error instanceof Error) return error
        throw error
      })
      show(print, halt, { confirmation: seen instanceof Error ? null : seen })
      print.hint(confirmationSays(seen))
    }),
  )
}

function confirmationSays(seen: Confirmed | Error): string {
  if (seen instanceof Error)
    return `it is in force; who enforces it could not be asked (${seen.message}): see writ halt points`
  return seen.points === 0
    ? 'no enforcement point is connected'
    : `${seen.confirmed} of ${seen.points} enforcement points enforce it, the last after ${seen.lastMs} ms`
}

async function wishOf({ admin, issuer, args: [kind = '', target] }: Session<unknown>) {
  const known = kinds.find(each => each === kind)
  if (known === undefined) throw new CommandFailure(`a halt is of ${kinds.join(', ')}`, exitCodes.usage)
  if (known === 'tenant') return { kind: known, target: target ?? issuer }
  if (target === undefined)
    throw new CommandFailure(`name the ${known} that is to be halted`, exitCodes.usage)
  const named: Partial<Record<Halt['kind'], typeof agentId>> = { agent: agentId, person: personId }
  return { kind: known, target: (await named[known]?.(admin, target)) ?? target }
}

const columns: readonly Column<Halt>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'kind', of: ({ kind }) => kind },
  { head: 'target', of: ({ target }) => target, most: 48 },
  { head: 'status', of: ({ status }) => state(status) },
  { head: 'created', of: ({ created_at }) => instant(created_at) },
  { head: 'reason', of: ({ reason }) => reason, most: 48 },
]

function listCommand(terminal: Terminal): Command {
  return paged(command('list', 'list halts in the order in which they were made'))
    .option('--live', 'only those that were not lifted')
    .action(
      acting<Paging & { readonly live?: true }>(terminal, async session => {
        const filter = session.options.live ? { status: 'live' as const } : {}
        const admin = haltsOnly(session)
        const ask = (query: object) => admin.call('halts.list', { query: { ...filter, ...query } })
        await printPages(session, ask, columns, 'nothing is halted')
      }),
    )
}

function liftCommand(terminal: Terminal): Command {
  return command('lift', 'let it go on; tokens that the halt ended stay dead')
    .argument('<halt>', 'its id')
    .requiredOption('--reason <why>', 'why; kept in the audit log')
    .action(
      acting<{ readonly reason: string }>(
        terminal,
        async ({ agent, issuer, args: [id = ''], options, print }) => {
          const { reason } = options
          const admin = haltsOnly({ agent, issuer })
          show(print, await admin.call('halts.lift', { params: { id }, body: { reason } }))
        },
      ),
    )
}

type Point = Answer<'enforcement-points.list'>['items'][number]

const pointColumns: readonly Column<Point>[] = [
  { head: 'label', of: ({ label }) => label, most: 48 },
  { head: 'node', of: ({ node }) => node },
  { head: 'epoch', of: ({ epoch }) => String(epoch) },
  { head: 'seen', of: ({ seen_at }) => instant(seen_at) },
]

function pointsCommand(terminal: Terminal): Command {
  return command('points', 'see which enforcement points are connected, and up to where they enforce').action(
    acting(terminal, async session => {
      const { items } = await haltsOnly(session).call('enforcement-points.list', {})
      session.print.table({ items }, pointColumns, 'no enforcement point is connected')
    }),
  )
}
