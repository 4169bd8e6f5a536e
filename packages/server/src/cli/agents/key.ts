// writ key: the keys of an agent; where no agent is named, those that this authority signs tokens with.
import type { Answer } from '@writ/sdk/admin'
import type { Command } from 'commander'
import { CommandFailure, command, exitCodes, family, type Terminal } from '../command.ts'
import { agentId } from '../names.ts'
import { ownInstance, replaceOperatorKey } from '../operator/own-key.ts'
import { acting, given, type Paging, paged, printPages, type Session } from '../session.ts'
import { confirm, destructive, type Sure } from '../terminal/confirm.ts'
import { ahead, never } from '../terminal/instants.ts'
import { type Column, instant, type Printer, state } from '../terminal/print.ts'
import { readPublicJwk } from '../terminal/reading.ts'

type Key = Answer<'keys.get'>
type IssuerKey = Answer<'issuer-keys.rotate'>

export function keyCommand(terminal: Terminal): Command {
  return family('key', 'see, register and revoke keys of agents; see and rotate those of this authority')
    .addCommand(listCommand(terminal))
    .addCommand(addCommand(terminal))
    .addCommand(revokeCommand(terminal))
    .addCommand(rotateCommand(terminal))
}

const agentColumns: readonly Column<Key>[] = [
  { head: 'kid', of: ({ kid }) => kid, most: 48 },
  { head: 'state', of: key => state(key.state) },
  { head: 'instance', of: ({ instance }) => instance },
  { head: 'last used', of: key => instant(key.last_used_at) ?? 'never' },
  { head: 'from', of: key => key.last_used_from },
  { head: 'expires', of: key => instant(key.expires_at) ?? 'never' },
]

const issuerColumns: readonly Column<IssuerKey>[] = [
  { head: 'kid', of: ({ kid }) => kid },
  { head: 'alg', of: ({ alg }) => alg },
  { head: 'state', of: key => state(key.state) },
  { head: 'signs from', of: key => instant(key.activates_at) },
  { head: 'ends', of: key => instant(key.retires_at) },
]

function listCommand(terminal: Terminal): Command {
  const made = command(
    'list',
    'list the keys of an agent, or without an agent those that this authority signs tokens with',
  )
  return paged(made)
    .argument('[agent]', 'its id or name')
    .action(
      acting<Paging>(terminal, async session => {
        const {
          admin,
          args: [named],
          print,
        } = session
        if (named === undefined) {
          return print.table(await admin.call('issuer-keys.list'), issuerColumns, 'no signing keys')
        }
        const id = await agentId(admin, named)
        const none = `no keys yet; writ agent enroll ${id} lets an instance in with one`
        const ask = (query: object) => admin.call('keys.list', { params: { id }, query })
        await printPages(session, ask, agentColumns, none)
      }),
    )
}

function showKey(print: Printer, key: Key): void {
  print.object(key, {
    kid: key.kid,
    state: state(key.state),
    ...(key.state_reason === null ? {} : { reason: key.state_reason }),
    thumbprint: key.thumbprint,
    instance: key.instance,
    'valid from': instant(key.not_before),
    expires: instant(key.expires_at) ?? 'never',
    'last used': instant(key.last_used_at) ?? 'never',
  })
}

function addCommand(terminal: Terminal): Command {
  type Options = { readonly jwk: string; readonly expiresAt?: string }
  return command('add', 'register a public key; it makes a new instance of the agent')
    .argument('<agent>', 'its id or name')
    .requiredOption('--jwk <file>', 'the public key as a JSON Web Key; - reads standard input')
    .option('--expires-at <instant>', 'when it ends: an instant, a time such as 30d, or never', ahead)
    .action(
      acting<Options>(terminal, async ({ admin, args: [named = ''], options, print }) => {
        const jwk = { ...(await readPublicJwk(options.jwk, terminal)) }
        const id = await agentId(admin, named)
        const expires_at = options.expiresAt === never ? null : options.expiresAt
        showKey(
          print,
          await admin.call('keys.create', { params: { id }, body: { jwk, ...given({ expires_at }) } }),
        )
      }),
    )
}

function revokeCommand(terminal: Terminal): Command {
  type Options = Sure & { readonly reason: string }
  const made = command(
    'revoke',
    'revoke a key at once, with every token that was obtained by it or is bound to it',
  )
    .argument('<agent>', 'its id or name')
    .argument('<kid>', 'the key, as writ key list shows it')
    .requiredOption('--reason <why>', 'why; kept in the audit log')
  return destructive(made).action(
    acting<Options>(terminal, async session => {
      const { admin, args, options, print } = session
      const [named = '', kid = ''] = args
      const id = await agentId(admin, named)
      if (id === session.clientId) await mustNotBeInUse(session, kid)
      await confirm(terminal, options, `Revoke the key ${kid} for ever?`)
      const { reason } = options
      showKey(print, await admin.call('keys.revoke', { params: { id, kid }, body: { reason } }))
    }),
  )
}

/** Whoever ends the key that they act with has locked themselves out, and there is no master key. */
async function mustNotBeInUse({ admin, agent, clientId: id }: Session<unknown>, kid: string): Promise<void> {
  const { thumbprint } = await admin.call('keys.get', { params: { id, kid } })
  if (thumbprint !== agent.key().thumbprint) return
  throw new CommandFailure(
    'this is the key of the operator file, without which you would be locked out; ' +
      'replace it first with "writ key rotate --operator"',
  )
}

function rotateCommand(terminal: Terminal): Command {
  return command(
    'rotate',
    'rotate the key that this authority signs tokens with, or with --operator your own',
  )
    .argument('[agent]', 'refused: agents rotate their own keys')
    .option('--operator', 'replace the key in the operator file')
    .action(
      acting<{ readonly operator?: true }>(terminal, async session => {
        const [named] = session.args
        if (named !== undefined) throw agentsRotateThemselves(named)
        await (session.options.operator ? rotateOperator(session) : rotateIssuer(session))
      }),
    )
}

function agentsRotateThemselves(named: string): CommandFailure {
  return new CommandFailure(
    `an agent rotates its own key, which nobody else has; end a key of it with "writ key revoke ${named} KID", ` +
      `or let a new instance in with "writ agent enroll ${named}"`,
    exitCodes.usage,
  )
}

async function rotateIssuer({ admin, print }: Session<unknown>): Promise<void> {
  const key = await admin.call('issuer-keys.rotate')
  print.object(key, {
    kid: key.kid,
    alg: key.alg,
    state: state(key.state),
    'signs from': instant(key.activates_at),
  })
  print.hint(
    'published already; its predecessor signs until then, and stays published until its last token has ended',
  )
}

async function rotateOperator(session: Session<unknown>): Promise<void> {
  const { admin, agent, clientId, print } = session
  const { thumbprint } = agent.key()
  const kid = await replaceOperatorKey(session, await ownInstance(session))
  showKey(print, await admin.call('keys.get', { params: { id: clientId, kid } }))
  print.hint(`the operator file holds the new key; the old one, ${thumbprint}, ends once nobody uses it`)
}
