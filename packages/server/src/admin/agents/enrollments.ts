// Letting an instance enrol: a single-use token of minutes; and the instances that came of it.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import { isAgentLive } from '../../domain/agent.ts'
import { enrollmentKey, enrollmentPrefix, invitationOf } from '../../domain/enrollment.ts'
import { mustReach } from '../ceiling.ts'
import { operation, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { findAgent } from './agents.ts'

const params = z.strictObject({ id: wire.id('agt') })

const create = operation({
  id: 'enrollments.create',
  event: 'enrollment.created',
  method: 'POST',
  path: '/agents/{id}/enrollments',
  summary: 'Make a single-use token by which one new instance enrols with its own key',
  params,
  query: wire.noQuery,
  body: wire.noBody,
  status: 201,
  answer: z
    .strictObject({ token: z.string(), expires_at: wire.shownInstant, enroll_uri: z.url() })
    .meta({ id: 'Enrollment' }),
  secret: true,
  async decide(ctx, deps, input, caller) {
    const agent = await findAgent(ctx, deps, input.params.id)
    await mustReach(ctx, deps, caller, agent)
    if (!isAgentLive(agent, ctx.now)) {
      throw new Fault('conflict', 'Only an active agent can have new instances.', {
        kind: 'not_live',
        status: agent.status,
      })
    }
    const token = enrollmentPrefix + Buffer.from(deps.randomBytes(32)).toString('base64url')
    const expiresAt = ctx.now + deps.settings.enrollmentSeconds
    const enrollUri = `${ctx.issuer}/enroll`
    return {
      change: {
        creates: [{ kind: 'enrollment', key: enrollmentKey(token), value: invitationOf(agent), expiresAt }],
      },
      restsOn: [agent.id],
      about: {
        agent: agent.id,
        facts: { enrollment: enrollmentKey(token), expires_at: wire.rfc3339(expiresAt) },
      },
      answer: { token, expires_at: wire.rfc3339(expiresAt), enroll_uri: enrollUri },
      location: enrollUri,
    }
  },
})

const instanceShown = z
  .strictObject({
    id: wire.id('ins'),
    agent: wire.id('agt'),
    origin: z
      .enum(['enrolled', 'registered'])
      .meta({ description: 'By a token of its own, or by an administrator' }),
    created_at: wire.shownInstant,
  })
  .meta({ id: 'Instance' })

const instances = operation({
  id: 'instances.list',
  event: readEvent,
  method: 'GET',
  path: '/agents/{id}/instances',
  summary: 'List the instances of an agent, in the order in which they came',
  params,
  query: z.strictObject(wire.paging),
  body: null,
  status: 200,
  answer: wire.listOf(instanceShown),
  async decide(ctx, deps, { params: { id }, query }) {
    const agent = await findAgent(ctx, deps, id)
    const page = await deps.store.agents.instances(ctx, wire.pageOf(query), { agent: agent.id })
    return {
      about: { agent: agent.id },
      answer: wire.shownPage(page, instance => ({
        id: instance.id,
        agent: instance.agent,
        origin: instance.enrollment === null ? ('registered' as const) : ('enrolled' as const),
        created_at: wire.rfc3339(instance.createdAt),
      })),
    }
  },
})

export const enrollmentOperations = [create, instances]
