// RFC 6749 §2.3: the table of client authentication methods, and the rule that a request uses exactly one.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../../context.ts'
import type { Deps } from '../deps.ts'
import type { Evidence } from '../evidence.ts'
import { clientSecretBasic } from './client-secret-basic.ts'
import { clientSecretPost } from './client-secret-post.ts'
import { type ClientAuthMethod, known, type Proven } from './method.ts'
import { privateKeyJwt } from './private-key-jwt.ts'

export const clientAuthMethods: readonly ClientAuthMethod[] = [
  privateKeyJwt,
  clientSecretBasic,
  clientSecretPost,
]

/** Who signed the evidence. Throws `invalid_client`, or `invalid_request` where more than one method is used. */
export async function authenticateClient(ctx: Ctx, deps: Deps, evidence: Evidence): Promise<Proven> {
  const used = clientAuthMethods.filter(method => method.isUsed(evidence))
  const [method] = used
  // An Authorization header of any scheme is a way of its own, also where nobody here reads it.
  const isHeaderRead = evidence.authorization === undefined || method === clientSecretBasic
  // RFC 6749 §2.3: not more than one method in each request.
  if (used.length > 1 || (used.length === 1 && !isHeaderRead)) {
    throw new Fault('invalid_request', 'Use one way of authenticating the client, not several.', {
      kind: 'several_client_auth_methods',
    })
  }
  if (method === undefined) {
    const names = clientAuthMethods.map(({ name }) => name).join(', ')
    throw new Fault('invalid_client', `Authenticate the client in the way it is registered for: ${names}.`, {
      kind: 'no_client_authentication',
    })
  }
  return known(ctx, deps, await method.prove(ctx, deps, evidence))
}
