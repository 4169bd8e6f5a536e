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
type Unknown = Page['unknown'][number]

interface Options {
  readonly since: string
  readonly until?: string
  readonly action?: readonly string[]
  readonly unknown?: true
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
    .option('--unknown', 'list those answers too of which nobody can say what they would be')
    .action(
      acting<Options>(terminal, async ({ admin, args: [file = ''], options, print }) => {
        // Decided meanwhile would be more to replay, for as long as anybody decides.
        const { since, until = new Date().toISOString(), action } = options
        const source = await readText(file, terminal)
        const body = { source, since, until, ...given({ actions: action && [...action] }) }
        const whole = await everyPage(admin, body, seen =>
          print.hint(`${counted(seen, 'decision')} looked at …`),
        )
        const { decisions, changed, unknown } = whole
        const looked = `${counted(decisions, 'decision')} looked at`
        print.table(
          { ...whole, items: changed },
          columns,
          unknown.length === 0
            ? `${looked}, and every answer stays`
            : `${looked}, and none is known to change`,
        )
        if (options.unknown && !options.json)
          print.table({ items: unknown }, unknownColumns, 'every answer is known')
        for (const [why, those] of Map.groupBy(unknown, one => one.why))
          print.hint(`${counted(sum(those), 'answer')} cannot be known: ${printable(why)}`)
        if (unknown.length > 0 && !options.unknown) print.hint('--unknown lists them')
        if (changed.length > 0)
          print.hint(`of ${counted(decisions, 'decision')} ${sum(changed)} would change`)
      }),
    )
}

const sum = (those: readonly { readonly count: number }[]): number =>
  those.reduce((total, { count }) => total + count, 0)

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
  { head: 'times', of: ({ count }) => String(count) },
  { head: 'request', of: ({ request_id }) => request_id },
]

const unknownColumns: readonly Column<Unknown>[] = [
  { head: 'time', of: ({ time }) => instant(time) },
  { head: 'subject', of: ({ subject }) => subject, most: 64 },
  { head: 'action', of: ({ action }) => action },
  { head: 'why nobody can say', of: ({ why }) => why, most: 80 },
  { head: 'times', of: ({ count }) => String(count) },
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

/** Pages after which is told how far it got. */
const pagesPerWord = 10

/** All pages as if they were one. */
async function everyPage(
  admin: AdminClient,
  body: Asked,
  tell: (decisions: number) => void,
): Promise<Omit<Page, 'next'> & { readonly next: null }> {
  let decisions = 0
  const changed: Changed[] = []
  const unknown: Unknown[] = []
  let pages = 0
  for (let after: string | null | undefined; after !== null; ) {
    const page: Page = await admin.call('policies.replay', {
      body: { ...body, ...(after === undefined ? {} : { after }) },
    })
    decisions += page.decisions
    changed.push(...page.changed)
    unknown.push(...page.unknown)
    after = page.next
    pages += 1
    if (after !== null && pages % pagesPerWord === 0) tell(decisions)
  }
  return { decisions, changed, unknown, next: null }
}
