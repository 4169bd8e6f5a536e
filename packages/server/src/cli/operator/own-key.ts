// Replaces the key in the operator file: self-service, like every instance.
import { CommandFailure, dataOf } from '../command.ts'
import type { Session } from '../session.ts'
import { rotatingAgent } from './connect.ts'
import { operatorKeystore } from './keystore.ts'
import { carefulFetch } from './network.ts'

/**
 * The old key vouches for the new one, and works until it is drained. Answers the kid of the new one; from here on the
 * session's own agent still acts with the old key.
 */
export async function replaceOperatorKey(
  { issuer, options, terminal }: Session<unknown>,
  instance: string,
): Promise<string> {
  const data = dataOf(options, terminal)
  const rotating = await rotatingAgent(operatorKeystore(data, instance), issuer, {
    fetch: carefulFetch({ data, issuer }),
  })
  await rotating.rotateKey()
  const kid = rotating.key().thumbprint
  rotating.close()
  return kid
}

/** The instance whose key is in the operator file. */
export async function ownInstance({ admin, agent, clientId }: Session<unknown>): Promise<string> {
  const { instance } = await admin.call('keys.get', {
    params: { id: clientId, kid: agent.key().thumbprint },
  })
  if (!instance)
    throw new CommandFailure('the key in the operator file belongs to no instance; it cannot rotate itself')
  return instance
}
