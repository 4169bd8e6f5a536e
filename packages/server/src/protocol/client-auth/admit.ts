// Whether a proven client may act now: its own state and that of the key it used, judged by time and record alone.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../../context.ts'
import { isAgentLive, isKeyLive } from '../../domain/agent.ts'
import type { Proven } from './method.ts'

/**
 * Throws `invalid_client` unless agent or client is live and so is the key. The sentence is the one of a wrong
 * signature: a thief of a revoked key learns nothing (RFC 6749 §5.2).
 */
export function admit(ctx: Ctx, proven: Proven): void {
  const { agent, client, key } = proven
  const refuse = (kind: string) =>
    new Fault('invalid_client', 'The client could not be authenticated.', {
      kind,
      client: proven.id,
      kid: key.kid,
    })
  if (agent !== undefined && !isAgentLive(agent, ctx.now))
    throw refuse(`agent_${agent.status === 'active' ? 'expired' : agent.status}`)
  if (client !== undefined && client.status !== 'active') throw refuse(`client_${client.status}`)
  if (agent === undefined && client === undefined) throw refuse('no_such_client')
  if (!isKeyLive(key, ctx.now)) throw refuse(`key_${key.state === 'active' ? 'outside_window' : key.state}`)
}

/** What the proven client's standing rests on: the subjects whose end ends it. */
export function standingOf(proven: Proven): string[] {
  const subjects = [proven.id, `key:${proven.key.thumbprint}`]
  if (proven.key.instance !== null) subjects.push(proven.key.instance)
  return subjects
}
