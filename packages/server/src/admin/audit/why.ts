// Why an entry came to be: the path from person or operator to the act, what decided it, and the entries behind both.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import { explain } from '../../audit/why.ts'
import { operation, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { eventShown } from './events.ts'

const text = z.string()

const mentioned = z.strictObject({
  id: wire.id('evt'),
  index: z.int(),
  time: wire.shownInstant,
  type: text,
  outcome: text,
  reason: text.nullable(),
  by: z.array(text).meta({ description: 'Who did it, the root first: ids' }),
})

const step = z.strictObject({
  kind: z.enum(['person', 'operator', 'agent', 'instance', 'client', 'key']),
  id: text,
  name: text.nullable(),
  says: text.meta({ description: 'A sentence about it as it is now' }),
  entries: z.array(mentioned).meta({ description: 'What made it so' }),
})

const right = z.strictObject({
  id: wire.id('grt'),
  resource: text,
  scopes: z.array(text),
  reason: text,
  by: z.strictObject({ id: text, name: text.nullable() }),
  state: z.enum(['active', 'expired', 'revoked']).meta({ description: 'Now; at the entry it was active' }),
  entries: z.array(mentioned),
})

const whyShown = z
  .strictObject({
    entry: eventShown,
    path: z.array(step).meta({ description: 'From whoever answers for it to the key that proved it' }),
    decision: z.strictObject({
      outcome: text,
      rule: text.nullable(),
      says: text,
      grants: z.array(right).meta({ description: 'What the decision rests on' }),
    }),
    related: z.array(mentioned).meta({ description: 'What else the same request left in the log' }),
    checkpoint: z
      .int()
      .nullable()
      .meta({ description: 'Size of the newest checkpoint; null where none covers the entry yet' }),
  })
  .meta({ id: 'Why' })

const why = operation({
  id: 'events.why',
  event: readEvent,
  method: 'GET',
  path: '/events/{id}/why',
  summary: 'See who answers for an entry of the audit log, what decided it, and the entries behind both',
  params: z.strictObject({ id: wire.id('evt') }),
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: whyShown,
  async decide(ctx, deps, { params }) {
    const found = await explain(ctx, deps, params.id)
    if (found === undefined) throw new Fault('not_found', 'There is no such entry.', { kind: 'no_entry' })
    return { about: {}, answer: found as unknown as z.input<typeof whyShown> }
  },
})

export const whyOperations = [why]
