// writ events: the audit log as it reads, and as it grows.
import { setTimeout as pause } from 'node:timers/promises'
import type { Answer } from '@writ/sdk/admin'
import { type Command, InvalidArgumentError } from 'commander'
import { command, family, type Terminal } from '../command.ts'
import { acting, given, type Paging, paged, printPages, type Session } from '../session.ts'
import { ago } from '../terminal/instants.ts'
import { type Column, instant, type Printer, printable, state } from '../terminal/print.ts'

type Event = Answer<'events.get'>

export function eventsCommand(terminal: Terminal): Command {
  return family('events', 'read the audit log')
    .addCommand(listCommand(terminal))
    .addCommand(showCommand(terminal))
    .addCommand(followCommand(terminal))
}

interface Filter {
  readonly agent?: string
  readonly person?: string
  readonly type?: string
  readonly requestId?: string
}

function filtered(made: Command): Command {
  return made
    .option('--agent <id>', 'only entries about this agent')
    .option('--person <id>', 'only entries about this person')
    .option('--type <type>', 'only entries of this type, such as token.issued')
    .option('--request-id <id>', 'only what this request left (x-request-id of its answer)')
}

function queryOf({ agent, person, type, requestId: request_id }: Filter) {
  return given({ agent, person, type, request_id })
}

const columns: readonly Column<Event>[] = [
  { head: 'index', of: ({ index }) => index },
  { head: 'time', of: ({ time }) => instant(time) },
  { head: 'type', of: ({ type }) => type },
  { head: 'outcome', of: ({ outcome }) => state(outcome) },
  { head: 'by', of: ({ chain }) => chain[0]?.sub },
  { head: 'about', of: ({ agent, person, resource }) => agent ?? person ?? resource, most: 48 },
  { head: 'id', of: ({ id }) => id },
]

function listCommand(terminal: Terminal): Command {
  type Options = Paging & Filter & { readonly since?: string; readonly until?: string }
  const made = filtered(paged(command('list', 'list entries in the order of the log, the oldest first')))
  return made
    .option('--since <instant>', 'from an instant on, or from a time ago such as 2h', ago)
    .option('--until <instant>', 'before an instant, or a time ago', ago)
    .action(
      acting<Options>(terminal, async session => {
        const { since, until } = session.options
        const filter = { ...queryOf(session.options), ...given({ since, until }) }
        const ask = (query: object) => session.admin.call('events.list', { query: { ...filter, ...query } })
        await printPages(session, ask, columns, 'no entries')
      }),
    )
}

function showCommand(terminal: Terminal): Command {
  return command('show', 'show one entry')
    .argument('<event>', 'its id')
    .action(
      acting(terminal, async ({ admin, args: [id = ''], print }) => {
        const event = await admin.call('events.get', { params: { id } })
        print.object(event, fieldsOf(event))
        print.hint(`writ why ${id} shows the path to it`)
      }),
    )
}

function fieldsOf(event: Event) {
  return {
    id: event.id,
    index: event.index,
    time: instant(event.time),
    type: event.type,
    outcome: state(event.outcome),
    ...given({ reason: event.reason ?? undefined }),
    by: event.chain.map(({ sub, kind }) => `${kind} ${sub}`).join(', '),
    agent: event.agent,
    instance: event.instance,
    key: event.key,
    person: event.person,
    resource: event.resource,
    action: event.action,
    decision: event.decision === null ? null : JSON.stringify(event.decision),
    request: event.request_id,
    peer: event.peer,
  }
}

function followCommand(terminal: Terminal): Command {
  type Options = Filter & { readonly since?: string; readonly every: number }
  const made = filtered(
    command('follow', 'print entries as they come, until interrupted; with --json one a line'),
  )
  return made
    .option('--since <instant>', 'begin at an instant, or a time ago such as 2h (default: now)', ago)
    .option('--every <seconds>', 'how often to ask', betweenPolls, 1)
    .action(acting<Options>(terminal, follow))
}

function betweenPolls(text: string): number {
  const value = Number(text)
  if (/^\d+(?:\.\d+)?$/.test(text) && value >= 0.1 && value <= 3600) return value
  throw new InvalidArgumentError('must be seconds from 0.1 to 3600.')
}

const interrupts = ['SIGINT', 'SIGTERM'] as const

/** Every look is itself an entry of the log, which is left out: a log that prints its being printed never ends. */
async function follow(
  session: Session<Filter & { readonly since?: string; readonly every: number }>,
): Promise<void> {
  const { admin, options, print } = session
  const { since = new Date().toISOString(), every } = options
  const ended = new AbortController()
  const end = (): void => ended.abort()
  for (const signal of interrupts) process.once(signal, end)
  const filter = { ...queryOf(options), since, limit: 200 }
  let after: string | undefined
  while (!ended.signal.aborted) {
    const page = await admin.call('events.list', { query: { ...filter, ...given({ after }) } })
    for (const event of page.items) if (!isOwnLook(event, session)) printLine(event, session, print)
    const last = page.items.at(-1)
    if (last !== undefined) after = String(last.index)
    if (page.next === null)
      await pause(every * 1000, undefined, { signal: ended.signal }).catch(unlessAborted)
  }
  for (const signal of interrupts) process.off(signal, end)
}

function unlessAborted(error: unknown): void {
  if ((error as Error).name !== 'AbortError') throw error
}

/** A read of the log by whoever follows it. */
function isOwnLook({ type, action, key, chain }: Event, { agent, clientId }: Session<unknown>): boolean {
  const isRead = type === 'management.read' && action === 'events.list'
  return isRead && chain.some(({ sub }) => sub === clientId) && key === agent.key().thumbprint
}

function printLine(event: Event, { options }: Session<unknown>, print: Printer): void {
  if (options.json) {
    print.line(JSON.stringify(event))
    return
  }
  const { index, time, type, outcome, reason, chain, agent, person, resource, id } = event
  const about = agent ?? person ?? resource ?? '-'
  const why = reason === null ? '' : `  ${reason}`
  print.line(
    printable(`${index}  ${time}  ${type}  ${outcome}  ${chain[0]?.sub ?? '-'}  ${about}  ${id}${why}`),
  )
}
