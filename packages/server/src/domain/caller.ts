// Somebody who showed a token of ours and proved to hold its key: who, by what, with which rights, and on what it rests.
import type { AgentId, ClientId, InstanceId } from '@writ/sdk/protocol/identifier'
import type { Actor } from './audit-entry.ts'
import type { Basis, Claim } from './change.ts'

export interface Caller {
  /** The `client_id` of the token. */
  readonly id: AgentId | ClientId
  readonly agent: AgentId | null
  readonly instance: InstanceId | null
  /** RFC 7638 thumbprint of the key that authenticated the client when it obtained the token. */
  readonly key: string
  /** The session that the token belongs to, and what its instance says that it works on. */
  readonly session: string | null
  readonly task: string | null
  /** When the client authenticated: its token was issued then. */
  readonly authenticatedAt: number
  /** Leaves, as the token carries them. */
  readonly scopes: ReadonlySet<string>
  /** The replay mark of the proof: whoever acts for this caller commits it. */
  readonly claims: readonly Claim[]
  /** Everything whose end ends the token, with the epoch of the token: whoever acts for this caller commits on it. */
  readonly basis: Basis
}

/** The chain of one who acts for itself: the agent, then the running copy of it. */
export function chainOf(caller: Pick<Caller, 'id' | 'agent' | 'instance'>): readonly Actor[] {
  const root: Actor = { sub: caller.id, kind: caller.agent === null ? 'client' : 'agent' }
  return caller.instance === null ? [root] : [root, { sub: caller.instance, kind: 'instance' }]
}
