// RFC 6749 §2.3: the table of client authentication methods, and the rule that a request uses exactly one.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Agent, Key } from '../../domain/agent.ts'
import type { Claim } from '../../domain/change.ts'
import type { Client } from '../../domain/client.ts'
import type { Ctx } from '../../context.ts'
import type { CallerFacts } from '../../store/store.ts'
import type { Deps } from '../deps.ts'
import type { Evidence } from '../evidence.ts'
import { privateKeyJwt } from './private-key-jwt.ts'

/** A client whose key signed the evidence. Whether it may act now is `admit`'s question, asked with these facts. */
export interface Proven {
  readonly id: string
  readonly agent: Agent | undefined
  readonly client: Client | undefined
  readonly key: Key
  readonly facts: CallerFacts
  /** The replay marks that using this evidence leaves. */
  readonly claims: readonly Claim[]
}

export interface ClientAuthMethod {
  /** As registered: `token_endpoint_auth_methods_supported`. */
  readonly name: string
  /** Whether the request shows this kind of evidence, good or bad. */
  isUsed(evidence: Evidence): boolean
  prove(ctx: Ctx, deps: Deps, evidence: Evidence): Promise<Proven>
}

export const clientAuthMethods: readonly ClientAuthMethod[] = [privateKeyJwt]

/** Who signed the evidence. Throws `invalid_client`, or `invalid_request` where more than one method is used. */
export async function authenticateClient(ctx: Ctx, deps: Deps, evidence: Evidence): Promise<Proven> {
  const used = clientAuthMethods.filter(method => method.isUsed(evidence))
  // RFC 6749 §2.3: not more than one method in each request.
  if (used.length > 1 || (used.length === 1 && evidence.authorization !== undefined)) {
    throw new Fault('invalid_request', 'Use one way of authenticating the client, not several.', { kind: 'several_client_auth_methods' })
  }
  const [method] = used
  if (method === undefined) {
    throw new Fault('invalid_client', 'Authenticate the client with private_key_jwt.', { kind: 'no_client_authentication' })
  }
  return known(ctx, deps, await method.prove(ctx, deps, evidence))
}

/** From here on the request has a name: it counts against its caller, and what becomes of it is an audit entry. */
export function known(ctx: Ctx, deps: Pick<Deps, 'mayProceed'>, proven: Proven): Proven {
  ctx.note({ caller: proven.id })
  if (!deps.mayProceed(proven.id, ctx.nowMs)) {
    throw new Fault('rate_limited', 'Too many requests of this client; slow down.', { kind: 'caller' })
  }
  return proven
}
