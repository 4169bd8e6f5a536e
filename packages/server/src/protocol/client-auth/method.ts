// What a client authentication method yields: a proven client, and from then on a request with a name.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../../context.ts'
import type { Agent, Key } from '../../domain/agent.ts'
import type { Claim } from '../../domain/change.ts'
import type { Client } from '../../domain/client.ts'
import type { CallerFacts } from '../../store/store.ts'
import type { Deps } from '../deps.ts'
import type { Evidence } from '../evidence.ts'

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

/** From here on the request has a name: it counts against its caller, and what becomes of it is an audit entry. */
export function known(ctx: Ctx, deps: Pick<Deps, 'mayProceed'>, proven: Proven): Proven {
  ctx.note({ caller: proven.id })
  if (!deps.mayProceed(proven.id, ctx.nowMs)) {
    throw new Fault('rate_limited', 'Too many requests of this client; slow down.', { kind: 'caller' })
  }
  return proven
}
