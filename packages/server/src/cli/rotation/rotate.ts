// writ rotate: begins rotations, of one key or of everything; an emergency cuts at once and lists what it could reach.
import type { Answer } from '@writ/sdk/admin'
import { isFault } from '@writ/sdk/protocol/fault'
import { prefixOf } from '@writ/sdk/protocol/identifier'
import type { Command } from 'commander'
import { CommandFailure, command, exitCodes, type Terminal } from '../command.ts'
import { rotatedAs } from '../names.ts'
import { ownInstance, replaceOperatorKey } from '../operator/own-key.ts'
import { acting, given, type Session } from '../session.ts'
import { confirm, destructive, type Sure } from '../terminal/confirm.ts'
import { ago } from '../terminal/instants.ts'
import { type Column, instant } from '../terminal/print.ts'
import { columns, type RotationKind, show } from './status.ts'

type Rotation = Answer<'rotations.get'>
type Batch = Answer<'rotations.batch'>
type BlastRadius = Answer<'rotations.blast-radius'>

interface Options extends Sure {
  readonly all?: true
  readonly emergency?: true
  readonly since?: string
  readonly alg?: string
}

/** In this order: what others are wrapped in first, so that nothing is rewrapped twice. */
const everyKind: readonly RotationKind[] = [
  'root_key',
  'tenant_key',
  'issuer_key',
  'client_secret',
  'secret',
  'instance_key',
]
const words: Readonly<Record<string, RotationKind>> = {
  issuer: 'issuer_key',
  tenant: 'tenant_key',
  root: 'root_key',
}
const ofPrefix: Readonly<Record<string, RotationKind>> = {
  ins: 'instance_key',
  sec: 'secret',
  cli: 'client_secret',
}

export function rotateCommand(terminal: Terminal): Command {
  const made = command('rotate', 'rotate one key or secret, or everything')
    .argument(
      '[target]',
      'issuer, tenant, root; the id of an instance or client; the id or name of an agent or secret',
    )
    .option('--all', 'rotate every key and secret that can be')
    .option('--emergency', 'cut the old version at once, whoever still uses it, and list its blast radius')
    .option('--since <instant>', 'from when the blast radius lists deeds, such as 2h (default 24h)', ago)
    .option('--alg <name>', 'of the issuer key: the algorithm of its successor')
    .option('--reason <why>', 'why; kept in the audit log')
  return destructive(made).action(
    acting<Options>(terminal, async session => {
      const { args, options } = session
      const [target] = args
      if ((target === undefined) === (options.all === undefined)) {
        throw new CommandFailure('name what to rotate, or say --all; see writ rotate --help', exitCodes.usage)
      }
      if (options.all && options.emergency) {
        throw new CommandFailure(
          'an emergency cuts one thing: name it; see writ rotate --help',
          exitCodes.usage,
        )
      }
      await (target === undefined ? rotateAll(session) : rotateOne(session, target))
    }),
  )
}

async function rotateOne(session: Session<Options>, target: string): Promise<void> {
  const { admin, options, terminal, print } = session
  const bodies = await bodiesOf(session, target)
  if (options.emergency) await confirm(terminal, options, `Cut the old key of ${target} now, for good?`)
  const begun: Rotation[] = []
  for (const body of bodies) begun.push(await admin.call('rotations.create', { body }))
  const [only] = begun
  if (only === undefined) throw new CommandFailure(`${target} has no instance whose key could be rotated`)
  if (options.emergency) return showRadius(session, begun)
  if (begun.length === 1) show(print, only)
  else print.table({ items: begun }, columns, 'nothing was begun')
  print.hint(`follow it with "writ rotation status ${begun.length === 1 ? only.id : ''} --watch"`)
}

async function bodiesOf({ admin, options }: Session<Options>, target: string) {
  const { reason, emergency, alg } = options
  const common = given({ reason, emergency, alg })
  const word = Object.hasOwn(words, target) ? words[target] : undefined
  if (word !== undefined) return [{ kind: word, ...common }]
  const kind = ofPrefix[prefixOf(target) ?? '']
  if (kind !== undefined) return [{ kind, target, ...common }]
  const named = await rotatedAs(admin, target)
  if (named.kind === 'secret') return [{ kind: 'secret' as const, target: named.id, ...common }]
  const bodies = []
  for await (const key of admin.pages('keys.list', { params: { id: named.id }, query: { limit: 200 } })) {
    if (key.state !== 'active' || key.instance === null) continue
    bodies.push({ kind: 'instance_key' as const, target: key.instance, ...common })
  }
  return bodies
}

async function rotateAll(session: Session<Options>): Promise<void> {
  const { admin, options, print, terminal } = session
  const skipped: Batch['skipped'][number][] = []
  const items: Rotation[] = []
  let batch: string | undefined
  for (const kind of everyKind) {
    for (let after: string | undefined; ; ) {
      const body = { kind, ...given({ reason: options.reason, batch, after }) }
      const page = await admin.call('rotations.batch', { body })
      batch = page.batch
      items.push(...page.items)
      skipped.push(...page.skipped)
      if (terminal.stdout.isTTY && page.items.length > 0) print.hint(`${kind}: ${page.items.length} begun`)
      if (page.next === null) break
      after = page.next
    }
  }
  // Whoever asks others to rotate answers for the key in its own hand.
  const own = await ownInstance(session)
  if (items.some(({ target }) => target === own)) await replaceOperatorKey(session, own)
  if (options.json) return print.object({ batch, items, skipped }, {})
  const counts = Map.groupBy(items, ({ kind }) => kind)
  for (const [kind, begun] of counts) print.line(`${String(begun.length).padStart(6)}  ${kind}`)
  for (const { target, because } of skipped) print.hint(`${target} was left out: ${because}`)
  if (items.length === 0) throw new CommandFailure('nothing could be rotated')
  print.hint(`follow them with "writ rotation status --batch ${batch} --watch"`)
}

const deedColumns: readonly Column<BlastRadius['deeds'][number]>[] = [
  { head: 'time', of: ({ time }) => instant(time) },
  { head: 'type', of: ({ type }) => type },
  { head: 'outcome', of: ({ outcome }) => outcome },
  { head: 'resource', of: ({ resource }) => resource, most: 48 },
  { head: 'action', of: ({ action }) => action, most: 32 },
  { head: 'id', of: ({ id }) => id },
]

/** Further pages are for whoever reads on: the first says how bad it is. */
async function showRadius(
  { admin, options, print }: Session<Options>,
  begun: readonly Rotation[],
): Promise<void> {
  const shown: { rotation: Rotation; blast_radius: BlastRadius }[] = []
  for (const rotation of begun) {
    const query = given({ since: options.since, limit: 200 })
    const blast_radius = await admin
      .call('rotations.blast-radius', { params: { id: rotation.id }, query })
      .catch((error: unknown) => {
        // The key is cut; whoever may not read the log is not told what was done with it.
        if (isFault(error) && error.code === 'insufficient_scope') return undefined
        throw error
      })
    if (blast_radius !== undefined) shown.push({ rotation, blast_radius })
  }
  if (options.json) return print.object({ items: shown }, {})
  for (const { rotation, blast_radius } of shown) {
    show(print, rotation)
    print.line('')
    print.line('It could reach:')
    for (const { kind, name, detail } of blast_radius.reach) print.line(`  ${kind} ${name}  ${detail}`)
    if (blast_radius.reach.length === 0) print.line('  nothing')
    print.line('')
    print.line('Its holders did since then:')
    print.table({ items: blast_radius.deeds }, deedColumns, 'nothing that the log knows of')
    if (blast_radius.next !== null) print.hint('there is more in the log: writ events list')
  }
}
