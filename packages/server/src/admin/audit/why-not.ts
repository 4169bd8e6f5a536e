// Why an agent may not do something: what refused, which rule of whose, and the smallest grant that would allow it.
import { z } from 'zod'
import { explain } from '../../decision/explain.ts'
import { operation, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'

const text = z.string()
const named = text.min(1).max(256)

const asked = z.strictObject({
  agent: wire.id('agt'),
  action: named.meta({ description: 'The name of the action, such as `call` or `get`' }),
  resource: text
    .min(1)
    .max(2048)
    .meta({ description: 'The identifier of the resource, with `#` and an id for something within it' }),
  type: named.optional().meta({ description: 'What the id after `#` is; `tool` unless told' }),
  person: wire.id('usr').optional().meta({ description: 'On whose behalf' }),
  instance: wire.id('ins').optional(),
  session: wire.id('ses').optional(),
  peer: z.union([z.ipv4(), z.ipv6()]).optional().meta({ description: 'The address it comes from' }),
  arguments: z.record(text.max(256), z.unknown()).optional().meta({ description: 'Of the call' }),
})

const smallest = z
  .strictObject({
    agent: wire.id('agt'),
    resource: text,
    scopes: z.array(text),
    authorization_details: z.array(z.record(text, z.unknown())),
  })
  .meta({ description: 'Can be given as a grant, or filed as a request, as it stands' })

const answer = z
  .strictObject({
    decision: z.boolean(),
    refused_by: text.nullable().meta({ description: 'Which kind of check refused; null where none did' }),
    party: text.nullable().meta({ description: 'Whose part of it' }),
    rule: text.nullable().meta({ description: 'A policy, a grant, a halt, a status: what exactly' }),
    says: text,
    policy_version: z.int(),
    policies: z.array(text),
    smallest_grant: smallest.nullable(),
  })
  .meta({ id: 'WhyNot' })

const whyNot = operation({
  id: 'decisions.why-not',
  event: readEvent,
  method: 'POST',
  path: '/why-not',
  summary: 'See what refuses an operation now, and the smallest grant that would allow it',
  params: wire.noParams,
  query: wire.noQuery,
  body: asked,
  status: 200,
  answer,
  async decide(ctx, deps, { body }, caller) {
    const { agent, action, resource, person, instance = null, session = null, peer = null } = body
    const type = resource.includes('#') ? (body.type ?? 'tool') : 'resource'
    const decided = await explain(
      ctx,
      deps,
      {
        subject: { type: 'agent', id: agent, properties: {} },
        action: { name: action, properties: {} },
        resource: { type, id: resource, properties: {} },
        chain: person === undefined ? [] : [{ type: 'person', id: person }],
        instance,
        arguments: body.arguments ?? {},
        context: {
          peer,
          session,
          task: null,
          authenticationAge: null,
          keyAge: null,
          approval: null,
          amounts: {},
        },
      },
      caller.id,
    )
    const { refusal, policy } = decided
    return {
      about: { agent, resource, facts: { asked: action, decision: decided.allowed } },
      answer: {
        decision: decided.allowed,
        refused_by: refusal?.by ?? null,
        party: refusal?.party ?? null,
        rule: refusal?.rule ?? null,
        says: refusal?.say ?? 'It is allowed.',
        policy_version: policy.version,
        policies: [...policy.reasons],
        smallest_grant:
          decided.smallest === null
            ? null
            : {
                agent: decided.smallest.agent,
                resource: decided.smallest.resource,
                scopes: [...decided.smallest.scopes],
                authorization_details: [...(decided.smallest.authorizationDetails ?? [])],
              },
      },
    }
  },
})

export const whyNotOperations = [whyNot]
