// Whether a proven client may act now: its own state and that of what proved it, judged by time and record alone.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../../context.ts'
import { isAgentLive, isKeyLive } from '../../domain/agent.ts'
import { isClientSecretLive } from '../../domain/client-secret.ts'
import { type Proven, proofSubjects } from './method.ts'

/**
 * Throws `invalid_client` unless agent or client is live and so is its key or secret. The sentence is the one of a
 * wrong signature: a thief of a revoked key learns nothing (RFC 6749 §5.2).
 */
export function admit(ctx: Ctx, proven: Proven): void {
  const { agent, client } = proven
  const { key, secret } = proven.by
  const refuse = (kind: string) =>
    new Fault('invalid_client', 'The client could not be authenticated.', {
      kind,
      client: proven.id,
      ...(key === null ? { secret: secret.id } : { kid: key.kid }),
    })
  if (agent !== undefined && !isAgentLive(agent, ctx.now))
    throw refuse(`agent_${agent.status === 'active' ? 'expired' : agent.status}`)
  if (client !== undefined && client.status !== 'active') throw refuse(`client_${client.status}`)
  if (agent === undefined && client === undefined) throw refuse('no_such_client')
  // An agent has keys only; a client proves itself in the one way that it has registered (RFC 7591 §2).
  const registered = agent === undefined ? client?.tokenEndpointAuthMethod : 'private_key_jwt'
  if (proven.method !== registered) throw refuse('other_method')
  if (key !== null && !isKeyLive(key, ctx.now))
    throw refuse(`key_${key.state === 'active' ? 'outside_window' : key.state}`)
  if (key === null && !isClientSecretLive(secret, ctx.now))
    throw refuse(`secret_${secret.state === 'active' ? 'expired' : secret.state}`)
}

/** What the proven client's standing rests on: the subjects whose end ends it. */
export function standingOf(proven: Proven): string[] {
  return [proven.id, ...proofSubjects(proven.by)]
}
