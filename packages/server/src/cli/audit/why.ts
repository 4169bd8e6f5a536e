// writ why: the path of one entry from person or operator to the act, and what decided it, as a tree.
import type { Command } from 'commander'
import { CommandFailure, command, exitCodes, type GlobalOptions, type Terminal } from '../command.ts'
import { columnsOf, printable, wrapped } from '../terminal/print.ts'
import type { Reach } from './audit.ts'

interface Mention {
  readonly id: string
  readonly time: string
  readonly type: string
  readonly outcome: string
  readonly by: readonly string[]
}

interface Step {
  readonly kind: string
  readonly id: string
  readonly name: string | null
  readonly says: string
  readonly entries: readonly Mention[]
}

interface Right {
  readonly id: string
  readonly resource: string
  readonly scopes: readonly string[]
  readonly reason: string
  readonly by: { readonly id: string; readonly name: string | null }
  readonly state: string
  readonly entries: readonly Mention[]
}

/** The answer of `GET /events/{id}/why`, as far as it is printed. */
interface Why {
  readonly entry: {
    readonly id: string
    readonly index: number
    readonly time: string
    readonly type: string
    readonly outcome: string
    readonly resource: string | null
    readonly action: string | null
    readonly peer: string | null
  }
  readonly path: readonly Step[]
  readonly decision: { readonly says: string; readonly grants: readonly Right[] }
  readonly related: readonly Mention[]
  readonly checkpoint: number | null
}

export function whyCommand(terminal: Terminal, reach: Pick<Reach, 'connect'>): Command {
  return command('why', 'show the path from person to action, and what decided it')
    .argument('<event>', 'the id of an entry (evt_…), or the request id of an answer')
    .action(async (event: string, _given: unknown, used: Command) => {
      const options = used.optsWithGlobals<GlobalOptions>()
      const ask = await askerOf(reach, options)
      const id = event.startsWith('evt_') ? event : await entryOf(ask, event)
      const why = (await ask(`/events/${encodeURIComponent(id)}/why`)) as Why
      const lines = options.json ? [JSON.stringify(why)] : tree(why, columnsOf(terminal))
      terminal.stdout.write(`${lines.join('\n')}\n`)
    })
}

type Ask = (path: string) => Promise<unknown>

async function askerOf({ connect }: Pick<Reach, 'connect'>, options: GlobalOptions): Promise<Ask> {
  const authority = await connect(options)
  const resource = `${authority.issuer}/api/v1`
  return async path => {
    const answer = await authority.fetch(resource + path, { resource })
    const body: unknown = await answer.json().catch(() => undefined)
    if (answer.ok && body !== undefined) return body
    const detail = (body as { readonly detail?: unknown } | undefined)?.detail
    throw new CommandFailure(typeof detail === 'string' ? detail : `the authority answered ${answer.status}`)
  }
}

async function entryOf(ask: Ask, requestId: string): Promise<string> {
  const found = (await ask(`/events?request_id=${encodeURIComponent(requestId)}`)) as {
    readonly items: readonly Mention[]
  }
  const last = found.items.at(-1)
  if (last !== undefined) return last.id
  throw new CommandFailure(`the log has no entry of the request ${requestId}`, exitCodes.failed)
}

interface Node {
  readonly says: string
  readonly below: readonly Node[]
}

/** The lines of the tree: who answers, and below each step the one that it leads to. */
function tree({ entry, path, decision, related, checkpoint }: Why, columns: number): string[] {
  const proven = checkpoint === null ? 'not in a checkpoint yet' : `proven by the checkpoint of ${checkpoint}`
  const act: Node = {
    says: [entry.type, entry.action, entry.resource && `at ${entry.resource}`, `→ ${entry.outcome}`]
      .filter(Boolean)
      .join(' '),
    below: [
      { says: decision.says, below: decision.grants.map(rightNode) },
      ...(entry.peer === null ? [] : [{ says: `from ${entry.peer}`, below: [] }]),
    ],
  }
  const top = path.reduceRight((below, step) => stepNode(step, below), act)
  return [
    ...hung(`${entry.id}  ${entry.time}  entry ${entry.index}, ${proven}`, columns),
    '',
    ...drawn(top, columns),
    ...(related.length === 0 ? [] : ['', 'The same request also left:']),
    ...related.flatMap(other => hung(line(other), columns)),
  ]
}

function stepNode({ kind, id, name, says, entries }: Step, next: Node): Node {
  const who = name === null ? id : `${name} (${id})`
  return { says: `${kind} ${who}: ${says}`, below: [...entries.map(mentionNode), next] }
}

function rightNode({ id, resource, scopes, reason, by, state, entries }: Right): Node {
  const says = `grant ${id} (${state} now): ${scopes.join(' ')} at ${resource}`
  const given = `given by ${by.name ?? by.id}: ${reason}`
  return { says, below: [{ says: given, below: [] }, ...entries.map(mentionNode)] }
}

const line = ({ id, time, type, outcome, by: [who] }: Mention): string =>
  `${time}  ${type} ${outcome}${who === undefined ? '' : ` by ${who}`}  ${id}`
const mentionNode = (entry: Mention): Node => ({ says: line(entry), below: [] })

/** What does not fit beside its branch goes on below, further in than the branch's own text. */
function drawn({ says, below }: Node, columns: number): string[] {
  return [
    ...hung(says, columns, below.length > 0 ? '│    ' : '     '),
    ...below.flatMap((node, at) => {
      const isLast = at === below.length - 1
      const [first = '', ...rest] = drawn(node, columns - 3)
      return [`${isLast ? '└─' : '├─'} ${first}`, ...rest.map(text => `${isLast ? '   ' : '│  '}${text}`)]
    }),
  ]
}

function hung(text: string, columns: number, indent = '  '): string[] {
  const [first = '', ...rest] = wrapped(printable(text), columns, columns - indent.length)
  return [first, ...rest.map(more => indent + more)]
}
