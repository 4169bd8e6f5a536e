// writ risk: the scores that policies read at the next call.
import type { Answer } from '@writ/sdk/admin'
import type { Command } from 'commander'
import { command, family, type Terminal, wholeNumber } from '../command.ts'
import { riskyId } from '../names.ts'
import { acting, given, type Paging, paged, printPages } from '../session.ts'
import { ahead, never } from '../terminal/instants.ts'
import { type Column, instant } from '../terminal/print.ts'

type Risk = Answer<'risks.report'>

export function riskCommand(terminal: Terminal): Command {
  return family('risk', 'say how risky an agent, an instance, a session or a person is')
    .addCommand(reportCommand(terminal))
    .addCommand(listCommand(terminal))
}

const columns: readonly Column<Risk>[] = [
  { head: 'subject', of: ({ subject }) => subject },
  { head: 'score', of: ({ score }) => String(score) },
  { head: 'reason', of: ({ reason }) => reason, most: 48 },
  { head: 'expires', of: ({ expires_at }) => instant(expires_at) ?? 'never' },
]

function reportCommand(terminal: Terminal): Command {
  interface Options {
    readonly reason: string
    readonly expiresAt?: string
  }
  return command('report', 'set the score of a subject; policies see it from the next call on')
    .argument('<subject>', 'an agent (id or name), or the id of an instance, a session or a person')
    .argument('<score>', 'from 0 (none) to 100', wholeNumber(0, 100))
    .requiredOption('--reason <why>', 'why; kept in the audit log')
    .option('--expires-at <instant>', 'when it is 0 again: an instant, or a time such as 8h', ahead)
    .action(
      acting<Options>(terminal, async ({ admin, args: [named = '', score = ''], options, print }) => {
        const subject = await riskyId(admin, named)
        const { reason, expiresAt } = options
        const expires_at = expiresAt === never ? null : expiresAt
        const body = { subject, score: Number(score), reason, ...given({ expires_at }) }
        const risk = await admin.call('risks.report', { body })
        print.object(risk, {
          subject: risk.subject,
          score: String(risk.score),
          reason: risk.reason,
          expires: instant(risk.expires_at) ?? 'never',
        })
      }),
    )
}

function listCommand(terminal: Terminal): Command {
  return paged(command('list', 'list the scores that were reported')).action(
    acting<Paging>(terminal, async session => {
      const ask = (query: object) => session.admin.call('risks.list', { query })
      await printPages(session, ask, columns, 'no score was reported')
    }),
  )
}
