// Suspend, resume and retire an agent: effective everywhere within the revocation bound.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import { type AgentMove, moveAgent } from '../../domain/agent.ts'
import { mustReach } from '../ceiling.ts'
import { operation } from '../operation.ts'
import * as wire from '../wire.ts'
import { agentShown, findAgent, mustHaveVersion, mustNotLockOut, putAgent, showAgent } from './agents.ts'

const moves: Readonly<
  Record<AgentMove, { readonly event: string; readonly past: string; readonly summary: string }>
> = {
  suspend: {
    event: 'agent.suspended',
    past: 'suspended',
    summary: 'Stop an agent at once; every token of it is dead',
  },
  resume: {
    event: 'agent.resumed',
    past: 'resumed',
    summary: 'Let a suspended agent obtain tokens again; the old ones stay dead',
  },
  retire: {
    event: 'agent.retired',
    past: 'retired',
    summary: 'End an agent for ever; it stays resolvable for the audit',
  },
}

export const reasonBody = z.strictObject({ reason: wire.reason }).meta({ id: 'Reason' })

const move = (verb: AgentMove) =>
  operation({
    id: `agents.${verb}`,
    event: moves[verb].event,
    method: 'POST',
    path: `/agents/{id}/${verb}`,
    summary: moves[verb].summary,
    params: z.strictObject({ id: wire.id('agt') }),
    query: wire.noQuery,
    body: reasonBody,
    status: 200,
    answer: agentShown,
    async decide(ctx, deps, { params, body, ifVersion }, caller) {
      const agent = await findAgent(ctx, deps, params.id)
      mustHaveVersion(agent, ifVersion)
      await mustReach(ctx, deps, caller, agent)
      if (verb !== 'resume') mustNotLockOut(agent, caller)
      const { version, ...current } = agent
      const next = moveAgent(current, verb, body.reason, ctx.now)
      if (next === undefined) {
        throw new Fault('conflict', `An agent that is ${agent.status} cannot be ${moves[verb].past}.`, {
          kind: 'move',
          from: agent.status,
        })
      }
      return {
        change: {
          puts: [putAgent(agent, next)],
          signals: [{ subject: agent.id, kind: verb === 'resume' ? 'changed' : 'narrowed' }],
        },
        about: { agent: agent.id, reason: body.reason },
        answer: showAgent(next),
        version: version + 1,
      }
    },
  })

export const agentMoveOperations = [move('suspend'), move('resume'), move('retire')]
