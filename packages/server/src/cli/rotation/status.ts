// writ rotation: rotations as they go, who still uses an old version, and what a person decides about them.
import { setTimeout as pause } from 'node:timers/promises'
import type { Answer } from '@writ/sdk/admin'
import type { Command } from 'commander'
import { CommandFailure, command, exitCodes, family, type Terminal } from '../command.ts'
import { acting, given, type Paging, paged, printPages, type Session } from '../session.ts'
import { confirm, destructive, type Sure } from '../terminal/confirm.ts'
import { type Column, instant, type Printer, state } from '../terminal/print.ts'

type Rotation = Answer<'rotations.get'>
export type RotationKind = Rotation['kind']

export function rotationCommand(terminal: Terminal): Command {
  return family('rotation', 'see and decide rotations')
    .addCommand(listCommand(terminal))
    .addCommand(statusCommand(terminal))
    .addCommand(
      decisionCommand(terminal, 'cancel', 'give a successor up that is not in use; the old version stays'),
    )
    .addCommand(decisionCommand(terminal, 'force', 'end an old version although somebody may still use it'))
    .addCommand(decisionCommand(terminal, 'retry', 'look at a rotation again now'))
}

/** `3 users`, `120 records`, `45 s`: what is left, in the unit of its proof. */
function meter({ drain, proof, state: at }: Rotation): string | null {
  if (drain === null) return at === 'retired' ? '0' : null
  const unit = {
    last_use: 'users',
    last_token: 's',
    no_records: 'records',
    live_sessions: 'sessions',
    none: '',
  }
  return `${drain.remaining} ${unit[proof]}`.trimEnd()
}

export const columns: readonly Column<Rotation>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'kind', of: ({ kind }) => kind },
  { head: 'target', of: ({ target }) => target, most: 32 },
  { head: 'state', of: rotation => state(rotation.state) },
  { head: 'left', of: meter },
  { head: 'since', of: rotation => instant(rotation.state_at) },
  { head: 'problem', of: ({ problem }) => problem, most: 60 },
]

export function show(print: Printer, rotation: Rotation): void {
  const { drain } = rotation
  print.object(rotation, {
    id: rotation.id,
    kind: rotation.kind,
    target: rotation.target,
    state: state(rotation.state),
    since: instant(rotation.state_at),
    ...(rotation.problem === null ? {} : { problem: rotation.problem }),
    owner: rotation.owner,
    reason: rotation.reason,
    from: rotation.from,
    to: rotation.to,
    'proven by': rotation.proof.replace('_', ' '),
    ...(drain === null ? {} : { left: meter(rotation), 'clear at the earliest': instant(drain.clear_at) }),
  })
  for (const user of drain?.users ?? []) {
    const from = user.from === null ? '' : ` from ${user.from}`
    print.hint(`still used by ${user.caller}${from}, last ${instant(user.last_used_at)}`)
  }
}

interface Filter {
  readonly kind?: string
  readonly target?: string
  readonly state?: string
  readonly batch?: string
}

function filtered(made: Command): Command {
  return made
    .option('--kind <kind>', 'only of this kind, such as instance_key')
    .option('--target <id>', 'only of this instance, secret or client')
    .option('--state <state>', 'only in this state, such as blocked')
    .option('--batch <name>', 'only those that one request began together')
}

const queryOf = ({ kind, target, state: at, batch }: Filter) =>
  given({ kind: kind as RotationKind | undefined, target, state: at as Rotation['state'] | undefined, batch })

function listCommand(terminal: Terminal): Command {
  return filtered(paged(command('list', 'list rotations, the oldest first'))).action(
    acting<Paging & Filter>(terminal, async session => {
      const ask = (query: object) =>
        session.admin.call('rotations.list', { query: { ...queryOf(session.options), ...query } })
      await printPages(session, ask, columns, 'no rotations')
    }),
  )
}

interface Watching extends Filter {
  readonly watch?: true
}

function statusCommand(terminal: Terminal): Command {
  const made = command('status', 'show one rotation, or those under way, with who still uses the old version')
  return filtered(made)
    .argument('[id]', 'one rotation')
    .option('--watch', 'follow until all have ended; fails where one is blocked or has failed')
    .action(
      acting<Watching>(terminal, async session => {
        if (session.options.watch) return watch(session)
        const rotations = await current(session, new Set())
        const [only] = rotations
        if (session.args[0] !== undefined && only !== undefined) return show(session.print, only)
        session.print.table({ items: rotations }, columns, 'no rotation is under way')
      }),
    )
}

const hasEnded = ({ state: at }: Rotation): boolean => at === 'retired' || at === 'failed'
/** Drains are asked for one by one: of so many, those that were begun first. */
const mostDrains = 50

/** The one that is named, or all of the filter that are under way or were seen under way. */
async function current(
  { admin, args: [id], options }: Session<Watching>,
  seen: ReadonlySet<string>,
): Promise<Rotation[]> {
  if (id !== undefined) return [await admin.call('rotations.get', { params: { id } })]
  const found: Rotation[] = []
  for (let after: string | undefined; ; ) {
    const query = { ...queryOf(options), limit: 200, ...given({ after }) }
    const page = await admin.call('rotations.list', { query })
    found.push(...page.items.filter(one => !hasEnded(one) || seen.has(one.id) || options.batch !== undefined))
    if (page.next === null) break
    after = page.next
  }
  const draining = found
    .filter(one => one.state === 'active' || one.state === 'retiring')
    .slice(0, mostDrains)
  for (const one of draining) {
    found[found.indexOf(one)] = await admin.call('rotations.get', { params: { id: one.id } })
  }
  return found
}

const watchMs = 1000

async function watch(session: Session<Watching>): Promise<void> {
  const { options, print, terminal } = session
  const seen = new Map<string, string>()
  for (;;) {
    const rotations = await current(session, new Set(seen.keys()))
    for (const rotation of rotations) {
      const now = `${rotation.state} ${meter(rotation) ?? ''}`
      if (seen.get(rotation.id) === now) continue
      seen.set(rotation.id, now)
      if (options.json) terminal.stdout.write(`${JSON.stringify(rotation)}\n`)
      else print.line(lineOf(rotation))
    }
    const stuck = rotations.filter(({ state: at }) => at === 'blocked' || at === 'failed')
    if (rotations.every(one => hasEnded(one) || one.state === 'blocked')) return told(print, rotations, stuck)
    await pause(watchMs)
  }
}

function lineOf(rotation: Rotation): string {
  const left = meter(rotation)
  const users = (rotation.drain?.users ?? []).map(({ caller, from }) =>
    from ? `${caller} (${from})` : caller,
  )
  const parts = [
    rotation.kind.padEnd(13),
    rotation.target.padEnd(30),
    rotation.state.padEnd(9),
    left === null ? '' : `left ${left}`,
    users.length === 0 ? '' : `used by ${users.slice(0, 3).join(', ')}`,
    rotation.problem ?? '',
  ]
  return parts
    .filter(part => part !== '')
    .join('  ')
    .trimEnd()
}

function told(print: Printer, all: readonly Rotation[], stuck: readonly Rotation[]): void {
  if (stuck.length > 0) {
    const [first] = stuck
    throw new CommandFailure(
      `${stuck.length} of ${all.length} did not come to an end; see "writ rotation status ${first?.id}"`,
    )
  }
  print.hint(all.length === 0 ? 'no rotation is under way' : `all ${all.length} have ended`)
}

function decisionCommand(terminal: Terminal, verb: 'cancel' | 'force' | 'retry', does: string): Command {
  type Options = Sure & { readonly reason: string }
  const made = command(verb, does)
    .argument('<id>', 'the rotation')
    .requiredOption('--reason <why>', 'why; kept in the audit log')
  return (verb === 'force' ? destructive(made) : made).action(
    acting<Options>(terminal, async ({ admin, args: [id = ''], options, print }) => {
      if (!id.startsWith('rot_')) {
        throw new CommandFailure('name the rotation by its id; see writ rotation list', exitCodes.usage)
      }
      if (verb === 'force')
        await confirm(terminal, options, 'Whoever still uses the old version fails. End it?')
      show(print, await admin.call(`rotations.${verb}`, { params: { id }, body: { reason: options.reason } }))
    }),
  )
}
