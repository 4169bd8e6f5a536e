// writ policy: Cedar policies in versions: check a text, store it, try it beside the one in force, put it into force, take it back.
import type { AdminClient, Answer } from '@writ/sdk/admin'
import { isId } from '@writ/sdk/protocol/identifier'
import type { Command } from 'commander'
import { CommandFailure, command, family, several, type Terminal } from '../command.ts'
import { acting, given, type Paging, paged, printPages } from '../session.ts'
import { type Column, instant, type Printer, state } from '../terminal/print.ts'
import { readText } from '../terminal/reading.ts'
import { replayCommand } from './replay.ts'

type PolicySet = Answer<'policies.get'>
type Listed = Answer<'policies.list'>['items'][number]

export function policyCommand(terminal: Terminal): Command {
  return family('policy', 'check policies, store them, try them, put them into force and take them back')
    .addCommand(createCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(showCommand(terminal))
    .addCommand(validateCommand(terminal))
    .addCommand(moveCommand(terminal, 'shadow', 'evaluate a set beside the one in force, without effect'))
    .addCommand(moveCommand(terminal, 'withdraw', 'end the trial of a set'))
    .addCommand(moveCommand(terminal, 'activate', 'put a set into force, in place of the one that is'))
    .addCommand(rollbackCommand(terminal))
    .addCommand(replayCommand(terminal))
}

interface Proposed {
  readonly action?: readonly string[]
}

const proposing = (made: Command): Command =>
  made
    .argument('<file>', 'Cedar policies; - for standard input')
    .option('--action <name>', 'an action that no resource has; may be given several times', several)

function createCommand(terminal: Terminal): Command {
  interface Options extends Proposed {
    readonly note?: string
  }
  const made = command('create', 'store a set that is valid; it has no effect until it is activated')
  return proposing(made)
    .option('--note <text>', 'what it is for')
    .action(
      acting<Options>(terminal, async ({ admin, args: [file = ''], options, print }) => {
        const { note, action } = options
        const source = await readText(file, terminal)
        const set = await admin.call('policies.create', {
          body: { source, ...given({ note, actions: action && [...action] }) },
        })
        show(print, set)
        print.hint(
          `try it with "writ policy shadow ${set.number}", put it into force with "writ policy activate ${set.number}"`,
        )
      }),
    )
}

function validateCommand(terminal: Terminal): Command {
  return proposing(command('validate', 'say what is wrong with a set, without storing it')).action(
    acting<Proposed>(terminal, async ({ admin, args: [file = ''], options, print }) => {
      const source = await readText(file, terminal)
      const actions = options.action && [...options.action]
      const verdict = await admin.call('policies.validate', { body: { source, ...given({ actions }) } })
      if (verdict.valid) return print.object(verdict, { valid: 'yes' })
      print.table({ items: verdict.problems }, problemColumns, '')
      throw new CommandFailure(
        `${file === '-' ? 'standard input' : file} is not valid; correct what is named above`,
      )
    }),
  )
}

const problemColumns: readonly Column<Answer<'policies.validate'>['problems'][number]>[] = [
  { head: 'line', of: ({ line }) => (line === null ? null : String(line)) },
  { head: 'policy', of: ({ policy }) => policy },
  { head: 'problem', of: ({ say }) => say },
]

const columns: readonly Column<Listed>[] = [
  { head: 'number', of: ({ number }) => String(number) },
  { head: 'id', of: ({ id }) => id },
  { head: 'state', of: set => state(set.state) },
  { head: 'created', of: set => instant(set.created_at) },
  { head: 'activated', of: set => instant(set.activated_at) },
  { head: 'note', of: ({ note }) => note, most: 48 },
]

function listCommand(terminal: Terminal): Command {
  return paged(command('list', 'list sets in the order of their creation'))
    .option('--state <state>', 'only those: draft, shadow, active, former')
    .action(
      acting<Paging & { readonly state?: Listed['state'] }>(terminal, async session => {
        const filter = given({ state: session.options.state })
        const ask = (query: object) => session.admin.call('policies.list', { query: { ...filter, ...query } })
        await printPages(session, ask, columns, 'no policies; writ policy create stores a set of them')
      }),
    )
}

function show(print: Printer, set: PolicySet, more: Readonly<Record<string, string>> = {}): void {
  print.object(set, {
    number: String(set.number),
    id: set.id,
    state: state(set.state),
    ...(set.note === '' ? {} : { note: set.note }),
    created: instant(set.created_at),
    activated: instant(set.activated_at) ?? 'never',
    digest: set.digest,
    ...more,
  })
}

function showCommand(terminal: Terminal): Command {
  return command('show', 'show a set with its text')
    .argument('<set>', 'its number or id')
    .option('--source', 'print the text alone, as it was given')
    .action(
      acting<{ readonly source?: true }>(terminal, async ({ admin, args: [named = ''], options, print }) => {
        const set = await find(admin, named)
        if (options.source) terminal.stdout.write(set.source)
        else show(print, set, { policies: set.source.trim() })
      }),
    )
}

/** A set by its id or its number. */
async function find(admin: AdminClient, named: string): Promise<PolicySet> {
  if (isId('pol', named)) return admin.call('policies.get', { params: { id: named } })
  for await (const { id, number } of admin.pages('policies.list', { query: { limit: 200 } })) {
    if (String(number) === named) return admin.call('policies.get', { params: { id } })
  }
  throw new CommandFailure(
    `there is no policy set ${JSON.stringify(named)}; writ policy list shows those there are`,
  )
}

const reasoned = (made: Command): Command =>
  made.requiredOption('--reason <why>', 'why; kept in the audit log')

function moveCommand(terminal: Terminal, move: 'shadow' | 'withdraw' | 'activate', does: string): Command {
  return reasoned(command(move, does).argument('<set>', 'its number or id')).action(
    acting<{ readonly reason: string }>(terminal, async ({ admin, args: [named = ''], options, print }) => {
      const { id } = await find(admin, named)
      const { reason } = options
      show(print, await admin.call(`policies.${move}`, { params: { id }, body: { reason } }))
    }),
  )
}

function rollbackCommand(terminal: Terminal): Command {
  return reasoned(command('rollback', 'put the set that was in force before into force again')).action(
    acting<{ readonly reason: string }>(terminal, async ({ admin, options, print }) => {
      const { active, former } = await admin.call('policies.rollback', { body: { reason: options.reason } })
      print.object(
        { active, former },
        { 'in force': active === null ? 'none' : String(active.number), former: String(former.number) },
      )
    }),
  )
}
