// writ agent: create agents, see them, change what is said about them, stop them, and let instances enrol.
import type { Answer } from '@writ/sdk/admin'
import type { Command } from 'commander'
import { command, family, several, type Terminal } from '../command.ts'
import { agentId } from '../names.ts'
import { acting, given, type Paging, paged, printPages } from '../session.ts'
import { confirm, destructive, type Sure } from '../terminal/confirm.ts'
import { ahead, never } from '../terminal/instants.ts'
import { type Column, instant, type Printer, state } from '../terminal/print.ts'
import { readPublicJwk } from '../terminal/reading.ts'

type Agent = Answer<'agents.get'>

export function agentCommand(terminal: Terminal): Command {
  return family('agent', 'create, see, change and stop agents, and let instances enrol')
    .addCommand(createCommand(terminal))
    .addCommand(listCommand(terminal))
    .addCommand(showCommand(terminal))
    .addCommand(updateCommand(terminal))
    .addCommand(moveCommand(terminal, 'suspend', 'stop an agent at once; every token of it is dead'))
    .addCommand(
      moveCommand(terminal, 'resume', 'let a suspended agent obtain tokens again; the old ones stay dead'),
    )
    .addCommand(retireCommand(terminal))
    .addCommand(enrollCommand(terminal))
}

interface Described {
  readonly name?: string
  readonly owner?: string
  readonly purpose?: string
  readonly kind?: string
  readonly model?: string
  readonly provider?: string
  readonly softwareVersion?: string
  readonly label?: readonly string[]
  readonly expiresAt?: string
}

function described(made: Command): Command {
  return made
    .option(
      '--kind <kind>',
      'assistant, retrieval, coding, domain_specific, autonomous, supervised, or vendor:type',
    )
    .option('--model <model>', 'the model it runs on')
    .option('--provider <provider>', 'who provides the model')
    .option('--software-version <version>', 'the version of its software')
    .option('--label <name=value>', 'a label; may be repeated', several)
    .option(
      '--expires-at <instant>',
      'when it ends by itself: an instant, a time such as 90d, or never',
      ahead,
    )
}

function bodyOf(options: Described) {
  const { label, softwareVersion: version } = options
  const expires_at = options.expiresAt === never ? null : options.expiresAt
  const { name, owner, purpose, kind, model, provider } = options
  const labels = label && Object.fromEntries(label.map(halves))
  return given({ name, owner, purpose, kind, model, provider, version, labels, expires_at })
}

function halves(text: string): [string, string] {
  const at = text.indexOf('=')
  return at === -1 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function createCommand(terminal: Terminal): Command {
  type Options = Described & { readonly name: string; readonly purpose: string; readonly jwk?: string }
  const made = command('create', 'create an agent; without a grant it can do nothing')
    .requiredOption('--name <name>', 'what people call it')
    .requiredOption('--purpose <purpose>', 'what it is for')
    .option('--owner <person>', 'who answers for it: the id or login of a person (default: the operator)')
    .option(
      '--jwk <file>',
      'register this public key (a JSON Web Key), instead of an enrolment; - reads standard input',
    )
  return described(made).action(
    acting<Options>(terminal, async ({ admin, options, clientId, print }) => {
      const keys =
        options.jwk === undefined ? undefined : [{ ...(await readPublicJwk(options.jwk, terminal)) }]
      const { name, purpose, owner = clientId } = options
      const jwks = keys && { keys }
      const body = { ...bodyOf(options), ...given({ jwks }), name, purpose, owner }
      const agent = await admin.call('agents.create', { body })
      showAgent(print, agent)
      print.hint(
        `it can do nothing yet; next: writ agent enroll ${agent.id}, and writ grant create --agent ${agent.id}`,
      )
    }),
  )
}

function listCommand(terminal: Terminal): Command {
  type Options = Paging & Pick<Described, 'name' | 'owner'> & { readonly status?: Agent['status'] }
  return paged(command('list', 'list agents in the order of their creation'))
    .option('--name <name>', 'only those of this name')
    .option('--owner <owner>', 'only those that this person, or the operator, answers for (an id)')
    .option('--status <status>', 'only those that are active, suspended or retired')
    .action(
      acting<Options>(terminal, async session => {
        const { name, owner, status } = session.options
        const filter = given({ name, owner, status })
        const ask = (query: object) => session.admin.call('agents.list', { query: { ...filter, ...query } })
        await printPages(session, ask, columns, 'no agents; writ agent create makes one')
      }),
    )
}

const columns: readonly Column<Agent>[] = [
  { head: 'id', of: ({ id }) => id },
  { head: 'name', of: ({ name }) => name, most: 32 },
  { head: 'status', of: ({ status }) => state(status) },
  { head: 'purpose', of: ({ purpose }) => purpose, most: 40 },
  { head: 'created', of: agent => instant(agent.created_at) },
]

function showAgent(print: Printer, agent: Agent): void {
  const labels = Object.entries(agent.labels).map(([name, value]) => `${name}=${value}`)
  print.object(agent, {
    id: agent.id,
    name: agent.name,
    status: state(agent.status),
    ...(agent.status_reason === null ? {} : { reason: agent.status_reason }),
    purpose: agent.purpose,
    owner: agent.owner,
    ...given({
      kind: agent.kind ?? undefined,
      model: agent.model ?? undefined,
      provider: agent.provider ?? undefined,
      version: agent.version ?? undefined,
      labels: labels.length === 0 ? undefined : labels.join(' '),
    }),
    created: instant(agent.created_at),
    expires: instant(agent.expires_at) ?? 'never',
  })
}

function showCommand(terminal: Terminal): Command {
  return command('show', 'show an agent')
    .argument('<agent>', 'its id or name')
    .action(
      acting(terminal, async ({ admin, args: [named = ''], print }) => {
        showAgent(print, await admin.call('agents.get', { params: { id: await agentId(admin, named) } }))
      }),
    )
}

function updateCommand(terminal: Terminal): Command {
  const made = command('update', 'change what is said about an agent; an empty text clears a member')
    .argument('<agent>', 'its id or name')
    .option('--name <name>', 'a new name')
    .option('--owner <person>', 'who answers for it from now on')
    .option('--purpose <purpose>', 'a new purpose')
  return described(made).action(
    acting<Described>(terminal, async ({ admin, args: [named = ''], options, print }) => {
      const body = Object.fromEntries(
        Object.entries(bodyOf(options)).map(([member, value]) => [member, value === '' ? null : value]),
      )
      const id = await agentId(admin, named)
      showAgent(print, await admin.call('agents.update', { params: { id }, body }))
    }),
  )
}

function moveCommand(terminal: Terminal, move: 'suspend' | 'resume', does: string): Command {
  return command(move, does)
    .argument('<agent>', 'its id or name')
    .requiredOption('--reason <why>', 'why; kept in the audit log')
    .action(
      acting<{ readonly reason: string }>(terminal, async ({ admin, args: [named = ''], options, print }) => {
        const id = await agentId(admin, named)
        const { reason } = options
        showAgent(print, await admin.call(`agents.${move}`, { params: { id }, body: { reason } }))
      }),
    )
}

function retireCommand(terminal: Terminal): Command {
  const made = command('retire', 'end an agent for ever; it stays resolvable for the audit')
    .argument('<agent>', 'its id or name')
    .requiredOption('--reason <why>', 'why; kept in the audit log')
  return destructive(made).action(
    acting<Sure & { readonly reason: string }>(
      terminal,
      async ({ admin, args: [named = ''], options, print }) => {
        const id = await agentId(admin, named)
        await confirm(terminal, options, `Retire ${named === id ? id : `${named} (${id})`} for ever?`)
        const { reason } = options
        showAgent(print, await admin.call('agents.retire', { params: { id }, body: { reason } }))
      },
    ),
  )
}

function enrollCommand(terminal: Terminal): Command {
  return command('enroll', 'make a single-use token by which one new instance enrols with a key of its own')
    .argument('<agent>', 'its id or name')
    .action(
      acting(terminal, async ({ admin, args: [named = ''], options, print, terminal: { stdout } }) => {
        const id = await agentId(admin, named)
        const enrollment = await admin.call('enrollments.create', { params: { id } })
        if (options.json) return print.object(enrollment, {})
        stdout.write(`WRIT_ENROLLMENT=${enrollment.enroll_uri}#${enrollment.token}\n`)
        print.hint(`for the environment of one instance; good once, until ${instant(enrollment.expires_at)}`)
      }),
    )
}
