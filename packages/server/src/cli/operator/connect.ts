// Who the command line is: the operator of the data folder, and what leads to the authority it belongs to.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { type AdminClient, createAdminClient } from '@writ/sdk/admin'
import { Agent, type AgentOptions, type Keystore } from '@writ/sdk/agent'
import { isFault } from '@writ/sdk/protocol/fault'
import { isId } from '@writ/sdk/protocol/identifier'
import { importPrivate, type PrivateJwk } from '@writ/sdk/protocol/jwk'
import { Secret } from '@writ/sdk/protocol/secret'
import { operatorFile } from '../../compose/places.ts'
import { CommandFailure, dataOf, type GlobalOptions, type Terminal } from '../command.ts'
import { operatorKeystore } from './keystore.ts'
import { carefulFetch } from './network.ts'

/** The contract's `<data>/operator.json`. */
export interface OperatorRecord {
  readonly issuer: string
  readonly client_id: string
  readonly jwk: Secret<PrivateJwk>
}

export interface Connection {
  readonly issuer: string
  readonly clientId: string
  readonly agent: Agent
  readonly admin: AdminClient
  /** In the operator's name. */
  readonly fetch: Agent['fetch']
  /** For what is open to all. */
  readonly openFetch: typeof fetch
}

/**
 * In the name of the operator of the data folder, to the authority that its file names. Throws CommandFailure where
 * there is no such file, others could have read it, or another authority was asked for.
 */
export async function connect(terminal: Terminal, options: GlobalOptions): Promise<Connection> {
  const data = dataOf(options, terminal)
  const file = readOperatorFile(data)
  checkIssuer(file, options, terminal)
  const ask = carefulFetch({ data, issuer: file.issuer })
  const agent = await agentOf(data, file, { fetch: ask })
  return {
    issuer: file.issuer,
    clientId: file.client_id,
    agent,
    admin: createAdminClient(agent),
    fetch: agent.fetch,
    openFetch: ask,
  }
}

/**
 * A rotation that was cut off is finished first: whoever went on with the key in the file would keep that from draining,
 * if the authority has taken the other already.
 */
async function agentOf(data: string, file: OperatorRecord, options: AgentOptions): Promise<Agent> {
  const keystore = operatorKeystore(data)
  const { member, staged } = await keystore.read()
  if (staged !== undefined && member !== undefined) {
    const agent = await rotatingAgent(keystore, file.issuer, options)
    await agent.rotateKey()
    return agent
  }
  const { issuer, client_id } = file
  return Agent.fromCredentials({ issuer, client_id, jwk: file.jwk.reveal() }, options)
}

/** An agent that may replace its key. */
export function rotatingAgent(keystore: Keystore, issuer: string, options: AgentOptions): Promise<Agent> {
  // An enrolment in the environment is for an agent that is started from this shell, not for the operator.
  delete process.env['WRIT_ENROLLMENT']
  return Agent.load({ ...options, issuer, keystore })
}

/** Throws CommandFailure. */
function readOperatorFile(data: string): OperatorRecord {
  const path = operatorFile(data)
  if (!existsSync(path)) {
    throw new CommandFailure(
      `there is no operator file ${path}: the first start of "writ serve" writes it to its data folder; ` +
        'name that folder with --data, or start "writ serve" here',
    )
  }
  checkMode(path)
  try {
    const { issuer, client_id, jwk } = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>
    if (typeof issuer === 'string' && isId('agt', client_id)) {
      const secret = new Secret(jwk as PrivateJwk)
      importPrivate(secret)
      return { issuer, client_id, jwk: secret }
    }
  } catch (error) {
    // JSON.parse names the place of the error with the text around it, which is a key: nothing of it goes on.
    if (!(error instanceof SyntaxError || error instanceof TypeError || isFault(error))) throw error
  }
  throw new CommandFailure(
    `${path} is not an operator file as "writ serve" writes it; restore it from a backup, or name another folder with --data`,
  )
}

function checkMode(path: string): void {
  if (process.platform === 'win32') return
  const mode = statSync(path).mode & 0o777
  if ((mode & 0o077) === 0) return
  throw new CommandFailure(
    `${path} may be read by others (mode ${mode.toString(8).padStart(4, '0')}): run chmod 600 ${path}, ` +
      'and replace the key with "writ key rotate --operator" if somebody may have seen it',
  )
}

/** An operator's key of one authority is never shown to another. */
function checkIssuer({ issuer }: OperatorRecord, options: GlobalOptions, { environment }: Terminal): void {
  const asked = (options.issuer ?? environment['WRIT_ISSUER'])?.replace(/\/+$/, '')
  if (!asked || asked === issuer) return
  const by = options.issuer === undefined ? 'WRIT_ISSUER' : '--issuer'
  throw new CommandFailure(
    `${by} names ${asked}, but the operator file ${operatorFile(dataOf(options, { environment }))} belongs to ` +
      `${issuer}; name the folder of that authority with --data, or leave ${by} out`,
  )
}
