// writ activate: asks that what an agent is eligible for is opened for a while.
import { isId } from '@writ/sdk/protocol/identifier'
import type { Command } from 'commander'
import { CommandFailure, command, exitCodes, type Terminal } from '../command.ts'
import { acting, given } from '../session.ts'
import { show } from './approval.ts'
import { type Detail, detailsIn, scopesIn } from './details.ts'
import { openFor } from './limits.ts'

interface Options {
  readonly reason: string
  readonly for: number
  readonly scope?: string[]
  readonly authorizationDetails?: Detail[]
  readonly breakGlass?: true
}

export function activateCommand(terminal: Terminal): Command {
  return command('activate', 'ask that rights an agent is eligible for are opened for a while')
    .argument('<eligibility>', 'its id')
    .requiredOption('--reason <why>', 'why now; shown to whoever approves, and kept in the audit log')
    .requiredOption('--for <time>', 'how long, such as 10m', openFor)
    .option('--scope <scopes>', 'only these scopes of it; may be repeated', scopesIn)
    .option('--authorization-details <json>', 'only this of it: RFC 9396 details, as a JSON array', detailsIn)
    .option('--break-glass', 'open it now, unapproved; somebody else has to review it afterwards')
    .action(
      acting<Options>(terminal, async ({ admin, args: [eligibility = ''], options, print }) => {
        const { reason, scope: scopes, authorizationDetails, breakGlass } = options
        if (!isId('elg', eligibility))
          throw new CommandFailure(
            `${JSON.stringify(eligibility)} is not the id of an eligibility; writ eligibility list shows those there are`,
            exitCodes.usage,
          )
        const members = given({
          scopes,
          authorization_details: authorizationDetails,
          break_glass: breakGlass,
        })
        const body = { eligibility, reason, seconds: options.for, ...members }
        const asked = await admin.call('activations.create', { body })
        show(print, asked)
        if (asked.state === 'pending')
          print.hint(`somebody else opens it with "writ approval approve ${asked.id}"`)
        if (asked.unreviewed)
          print.hint(
            `somebody else reviews it with "writ approval review ${asked.id} --justified --note TEXT"`,
          )
      }),
    )
}
