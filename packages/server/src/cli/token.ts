// writ token: an access token in the operator's name, for scripts and for a look at one.
import type { Command } from 'commander'
import { command, type Terminal } from './command.ts'
import { acting } from './session.ts'

interface Options {
  readonly resource?: string
  readonly scope?: string
  readonly bearer?: true
}

export function tokenCommand(terminal: Terminal): Command {
  return command('token', 'print an access token for the operator, as JSON')
    .option('--resource <uri>', 'what it is for (default: the management API)')
    .option('--scope <scopes>', 'scopes, separated by spaces (default: what the authority gives unasked)')
    .option(
      '--bearer',
      "a token without a key binding, where the resource allows that; else the key is the operator's",
    )
    .action(
      acting<Options>(terminal, async ({ agent, issuer, options, print }) => {
        const { resource = `${issuer}/api/v1`, scope, bearer } = options
        const token = await agent.token({
          resource,
          ...(scope === undefined ? {} : { scope }),
          ...(bearer ? { bearer } : {}),
        })
        const answer = {
          access_token: token.accessToken.reveal(),
          token_type: token.tokenType,
          expires_in: token.expiresAt - Math.floor(Date.now() / 1000),
          scope: token.scope,
        }
        print.line(JSON.stringify(answer, null, 2))
      }),
    )
}
