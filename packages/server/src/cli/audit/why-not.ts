// writ why-not: what refuses an operation now, and the smallest grant that would allow it.
import type { Answer } from '@writ/sdk/admin'
import { type Command, InvalidArgumentError } from 'commander'
import { command, type Terminal } from '../command.ts'
import { agentId, personId } from '../names.ts'
import { acting, given } from '../session.ts'
import { printable } from '../terminal/print.ts'

interface Options {
  readonly type?: string
  readonly person?: string
  readonly instance?: string
  readonly session?: string
  readonly peer?: string
  readonly argument?: Readonly<Record<string, unknown>>
}

export function whyNotCommand(terminal: Terminal): Command {
  return command(
    'why-not',
    'say what refuses an operation of an agent, and the smallest grant that would help',
  )
    .argument('<agent>', 'the name or id of the agent')
    .argument('<action>', 'the name of the action, such as call or get')
    .argument('<resource>', 'the identifier of the resource, with # and an id for something within it')
    .option('--type <type>', 'what the id after # is (default: tool)')
    .option('--person <person>', 'the person on whose behalf, by login or id')
    .option('--instance <id>', 'the instance of the agent')
    .option('--session <id>', 'the session that it belongs to')
    .option('--peer <address>', 'the address that it comes from')
    .option('--argument <name=value>', 'an argument of the call, JSON or a text; may be repeated', argument)
    .action(
      acting<Options>(terminal, async ({ admin, args, options, print }) => {
        const [named = '', action = '', resource = ''] = args
        const { argument: values, person: onBehalfOf, type, instance, session, peer } = options
        const agent = await agentId(admin, named)
        const person = onBehalfOf === undefined ? undefined : await personId(admin, onBehalfOf)
        const supposed = given({ type, instance, session, peer, person, arguments: values })
        const body = { agent, action, resource, ...supposed }
        const answer = await admin.call('decisions.why-not', { body })
        print.object(answer, shown(answer))
      }),
    )
}

/** `k=v`, gathered: a number, a truth, a list or an object where the value is one in JSON, else the text. */
function argument(
  text: string,
  before: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('must be a name, = and a value')
  return { ...before, [text.slice(0, at)]: readValue(text.slice(at + 1)) }
}

function readValue(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return text
    throw error
  }
}

function shown(answer: Answer<'decisions.why-not'>): Readonly<Record<string, string>> {
  const { decision, refused_by, party, rule, says, policy_version, smallest_grant } = answer
  if (decision) return { decision: 'allowed', says }
  return {
    decision: 'refused',
    by: `${refused_by}: ${printable(rule ?? '')}`,
    party: printable(party ?? ''),
    says: printable(says),
    policies: policy_version === 0 ? 'none in force' : `version ${policy_version}`,
    'smallest grant': smallest_grant === null ? 'no grant would change it' : JSON.stringify(smallest_grant),
  }
}
