// What a client authentication method yields: a proven client, and from then on a request with a name.
import { Fault } from '@writ/sdk/protocol/fault'
import { networkOf } from '../../audit/network.ts'
import type { Ctx } from '../../context.ts'
import type { Agent, Key } from '../../domain/agent.ts'
import type { Change, Claim } from '../../domain/change.ts'
import type { Client } from '../../domain/client.ts'
import { type ClientSecret, secretSubject } from '../../domain/client-secret.ts'
import type { CallerFacts } from '../../store/store.ts'
import type { Deps } from '../deps.ts'
import type { Evidence } from '../evidence.ts'

/** What proved the client: exactly one of a key that signed the evidence and a secret that stood in it. */
export type Proof =
  | { readonly key: Key; readonly secret: null }
  | { readonly key: null; readonly secret: ClientSecret }

/** A client that proved to be itself. Whether it may act now is `admit`'s question, asked with these facts. */
export interface Proven {
  readonly id: string
  /** The name of the method that proved it. */
  readonly method: string
  readonly agent: Agent | undefined
  readonly client: Client | undefined
  readonly by: Proof
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

/** The same proof in other facts of the same client; undefined where what proved it is gone from them. */
export function proofIn(facts: CallerFacts, { key, secret }: Proof): Proof | undefined {
  if (key !== null) {
    const same = facts.keys.find(({ thumbprint }) => thumbprint === key.thumbprint)
    return same && { key: same, secret: null }
  }
  const same = facts.clientSecrets.find(({ id }) => id === secret.id)
  return same && { key: null, secret: same }
}

/** The subjects whose end ends what proved the client. */
export function proofSubjects({ key, secret }: Proof): string[] {
  if (key === null) return [secretSubject(secret)]
  const subjects = [`key:${key.thumbprint}`]
  if (key.instance !== null) subjects.push(key.instance)
  return subjects
}

/**
 * The trace that using the proof leaves, by which it is known when nobody needs it any more. A client has no instances:
 * its processes are told apart by the network they come from.
 */
export function useOf(ctx: Ctx, { id, by: { key, secret } }: Proven): Pick<Change, 'touches' | 'uses'> {
  const from = ctx.peer ?? null
  if (key !== null) return { touches: [{ thumbprint: key.thumbprint, from }] }
  return { uses: [{ version: secret.id, caller: `${id}@${networkOf(ctx.peer)}`, from, until: null }] }
}
