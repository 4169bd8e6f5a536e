// The audit log by filters, and one entry by its id. Entries are shown exactly as they are hashed.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import { operation, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'

const text = z.string().nullable()

export const eventShown = z
  .strictObject({
    id: wire.id('evt'),
    index: z.int().meta({ description: 'Position in the log, from 0' }),
    time: wire.shownInstant,
    type: z.string(),
    outcome: z.enum(['allowed', 'refused', 'failed']),
    reason: text,
    agent: text.meta({ description: 'The agent that it is about; who did it is in the chain' }),
    instance: text,
    key: text.meta({ description: 'Thumbprint of the key that proved the caller' }),
    person: text,
    chain: z.array(
      z.strictObject({ sub: z.string(), kind: z.enum(['person', 'agent', 'instance', 'client']) }),
    ),
    resource: text,
    action: text,
    decision: z.record(z.string(), z.unknown()).nullable(),
    request_id: z.string(),
    trace_id: text,
    peer: text,
  })
  .meta({ id: 'Event' })

type Shown = z.input<typeof eventShown>

const name = z.string().min(1).max(128).optional()
/** RFC 3339, to the millisecond. */
const instantMs = z.iso
  .datetime({ offset: true, error: 'is not an RFC 3339 instant' })
  .max(40)
  .transform(given => Date.parse(given))
  .optional()

const list = operation({
  id: 'events.list',
  event: readEvent,
  method: 'GET',
  path: '/events',
  summary: 'Read the audit log in its order',
  params: wire.noParams,
  query: z.strictObject({
    agent: name,
    person: name,
    type: name,
    request_id: name,
    since: instantMs,
    until: instantMs,
    limit: wire.paging.limit,
    after: z
      .string()
      .regex(/^(?:0|[1-9]\d{0,14})$/, 'is not an index of the log')
      .transform(Number)
      .optional()
      .meta({ description: 'The `next` of the page before: an index of the log' }),
  }),
  body: null,
  status: 200,
  answer: wire.listOf(eventShown),
  async decide(ctx, deps, { query }) {
    const { agent, person, type, request_id: requestId, since: sinceMs, until: untilMs } = query
    const { limit } = wire.pageOf({ limit: query.limit })
    const filter = wire.given({ agent, person, type, requestId, sinceMs, untilMs })
    const found = await deps.store.log.find(ctx, filter, query.after ?? -1, limit + 1)
    const page = found.slice(0, limit)
    const last = page.at(-1)
    return {
      about: { facts: { filters: Object.keys(filter).sort() } },
      answer: {
        items: page.map(entry => JSON.parse(entry.text) as Shown),
        next: found.length > limit && last !== undefined ? String(last.index) : null,
      },
    }
  },
})

const get = operation({
  id: 'events.get',
  event: readEvent,
  method: 'GET',
  path: '/events/{id}',
  summary: 'See one entry of the audit log',
  params: z.strictObject({ id: wire.id('evt') }),
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: eventShown,
  async decide(ctx, deps, { params }) {
    const entry = await deps.store.log.entry(ctx, params.id)
    if (entry === undefined) throw new Fault('not_found', 'There is no such entry.', { kind: 'no_entry' })
    return { about: {}, answer: JSON.parse(entry.text) as Shown }
  },
})

export const eventOperations = [list, get]
