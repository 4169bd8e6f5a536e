// RFC 6749 §2.3: the table of client authentication methods, and the rule that a request uses exactly one.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../../context.ts'
import type { Deps } from '../deps.ts'
import type { Evidence } from '../evidence.ts'
import { type ClientAuthMethod, known, type Proven } from './method.ts'
import { privateKeyJwt } from './private-key-jwt.ts'

export const clientAuthMethods: readonly ClientAuthMethod[] = [privateKeyJwt]

/** Who signed the evidence. Throws `invalid_client`, or `invalid_request` where more than one method is used. */
export async function authenticateClient(ctx: Ctx, deps: Deps, evidence: Evidence): Promise<Proven> {
  const used = clientAuthMethods.filter(method => method.isUsed(evidence))
  // RFC 6749 §2.3: not more than one method in each request.
  if (used.length > 1 || (used.length === 1 && evidence.authorization !== undefined)) {
    throw new Fault('invalid_request', 'Use one way of authenticating the client, not several.', {
      kind: 'several_client_auth_methods',
    })
  }
  const [method] = used
  if (method === undefined) {
    throw new Fault('invalid_client', 'Authenticate the client with private_key_jwt.', {
      kind: 'no_client_authentication',
      ...triedScheme(evidence),
    })
  }
  return known(ctx, deps, await method.prove(ctx, deps, evidence))
}

// RFC 6749 §5.2: the answer to who tried the Authorization header names its scheme. RFC 9110 §5.6.2 for what one is.
function triedScheme({ authorization }: Evidence): { scheme?: string } {
  const scheme = authorization?.split(' ', 1)[0]
  return scheme !== undefined && /^[\w!#$%&'*+.^`|~-]{1,32}$/.test(scheme) ? { scheme } : {}
}
