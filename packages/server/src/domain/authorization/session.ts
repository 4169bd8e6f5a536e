// Sessions: one run of an agent's instance, with the task it works on. What is known of it comes from its issuer alone.
import type { AgentId, InstanceId, SessionId } from '@writ/sdk/protocol/identifier'

export interface Session {
  readonly id: SessionId
  readonly agent: AgentId
  readonly instance: InstanceId
  /** The task or conversation, as the instance named it when it began: a label, never evidence. OIDC-A `agent_context_id`. */
  readonly task: string | null
  /** RFC 7638 thumbprint of the key that began it. */
  readonly key: string
  readonly peer: string | null
  readonly createdAt: number
  /** From this instant on it is over, whatever else is said. */
  readonly expiresAt: number
  readonly endedAt: number | null
  readonly endReason: string | null
}

export function isSessionLive(session: Session, now: number): boolean {
  return session.endedAt === null && now < session.expiresAt
}
