// writ policy replay: the recorded decisions that a proposed set would answer otherwise.
import type { AdminClient, Answer } from '@writ/sdk/admin'
import type { Command } from 'commander'
import { command, several, type Terminal } from '../command.ts'
import { acting, given } from '../session.ts'
import { ago } from '../terminal/instants.ts'
import { type Column, instant, printable } from '../terminal/print.ts'
import { readText } from '../terminal/reading.ts'

type Page = Answer<'policies.replay'>
type Changed = Page['changed'][number]

interface Options {
  readonly since: string
  readonly until?: string
  readonly action?: readonly string[]
}

export function replayCommand(terminal: Terminal): Command {
  return command(
    'replay',
    'list the recorded decisions that a set would answer otherwise, without storing it',
  )
    .argument('<file>', 'Cedar policies; - for standard input')
    .requiredOption('--since <instant>', 'from an instant on, or from a time ago such as 7d', ago)
    .option('--until <instant>', 'before an instant, or a time ago', ago)
    .option('--action <name>', 'an action that no resource has; may be given several times', several)
    .action(
      acting<Options>(terminal, async ({ admin, args: [file = ''], options, print }) => {
        const { since, until, action } = options
        const source = await readText(file, terminal)
        const body = { source, since, ...given({ until, actions: action && [...action] }) }
        const whole = await everyPage(admin, body)
        const { decisions, changed, not_replayed } = whole
        print.table(
          { ...whole, items: changed },
          columns,
          `${counted(decisions, 'decision')} looked at, and every answer stays`,
        )
        for (const { why, decisions: left } of not_replayed)
          print.hint(`${counted(left, 'decision')} could not be replayed: ${printable(why)}`)
        if (changed.length > 0)
          print.hint(`of ${counted(decisions, 'decision')} ${changed.length} would change`)
      }),
    )
}

const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`

const columns: readonly Column<Changed>[] = [
  { head: 'time', of: ({ time }) => instant(time) },
  { head: 'subject', of: ({ subject, on_behalf_of }) => [...on_behalf_of, subject].join(' > '), most: 64 },
  { head: 'action', of: ({ action }) => action },
  {
    head: 'on',
    of: ({ resource, object }) => (object === null ? resource : `${resource} ${object}`),
    most: 64,
  },
  { head: 'before', of: ({ before }) => verdict(before.decision, before.policies, before.rule) },
  { head: 'after', of: ({ after }) => verdict(after.decision, after.policies, after.rule) },
  { head: 'request', of: ({ request_id }) => request_id },
]

/** The policies that decided; where none did, the rule that is none of the policies. */
function verdict(decision: boolean, policies: readonly string[], rule: string | null): string {
  const by = policies.length > 0 ? policies.join(', ') : rule
  return `${decision ? 'allowed' : 'refused'}${by === null ? '' : ` by ${by}`}`
}

interface Asked {
  readonly source: string
  readonly since: string
  readonly until?: string
  readonly actions?: string[]
}

/** All pages as if they were one. */
async function everyPage(
  admin: AdminClient,
  body: Asked,
): Promise<Omit<Page, 'next'> & { readonly next: null }> {
  let decisions = 0
  const changed: Changed[] = []
  const left = new Map<string, number>()
  for (let after: string | null | undefined; after !== null; ) {
    const page: Page = await admin.call('policies.replay', {
      body: { ...body, ...(after === undefined ? {} : { after }) },
    })
    decisions += page.decisions
    changed.push(...page.changed)
    for (const { why, decisions: more } of page.not_replayed) left.set(why, (left.get(why) ?? 0) + more)
    after = page.next
  }
  const not_replayed = [...left].map(([why, count]) => ({ why, decisions: count }))
  return { decisions, changed, not_replayed, next: null }
}
