// Replay: recorded decisions put to a proposed policy set, to see which answers would change before anything does.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import { type Changed, replay, type Unknown } from '../../decision/replay.ts'
import { typedId } from '../../domain/authorization/policy/schema.ts'
import type { Party } from '../../domain/authorization/question.ts'
import { sha256 } from '../../domain/hash.ts'
import { operation, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { mustBeValid, policyActions, policyRequestBytes, policyText, problemsOf } from './shown.ts'

/** Entries of one page. Each may hold many decisions, and each of them is evaluated. */
const mostEntries = 500
const usualEntries = 200

/** RFC 3339, to the millisecond. */
const instantMs = z.iso
  .datetime({ offset: true, error: 'is not an RFC 3339 instant' })
  .max(40)
  .transform(given => Date.parse(given))

const text = z.string()

const changeShown = z
  .strictObject({
    event: wire.id('evt'),
    item: z.int().nullable().meta({ description: 'Which one of a batch, from 0' }),
    request_id: text,
    time: wire.shownInstant,
    count: z.int().meta({ description: 'How often it was answered so, more than once from memory' }),
    subject: text,
    on_behalf_of: z.array(text),
    action: text,
    resource: text,
    object: text.nullable(),
    before: z.strictObject({
      decision: z.boolean(),
      rule: text,
      policies: z.array(text),
      policy_version: z.int(),
    }),
    after: z.strictObject({
      decision: z.boolean(),
      rule: text.nullable(),
      party: text.nullable().meta({ description: 'Whom the policies refuse' }),
      policies: z.array(text),
    }),
  })
  .meta({ id: 'PolicyReplayChange' })

const unknownShown = z
  .strictObject({
    event: wire.id('evt'),
    item: z.int().nullable(),
    request_id: text,
    time: wire.shownInstant,
    count: z.int(),
    subject: text,
    action: text,
    why: text.meta({ description: 'Why nobody can say what it would be' }),
  })
  .meta({ id: 'PolicyReplayUnknown' })

const answer = z
  .strictObject({
    decisions: z.int().meta({ description: 'How many decisions were looked at' }),
    changed: z.array(changeShown),
    unknown: z.array(unknownShown),
    next: text.nullable().meta({ description: 'Pass it as `after` to go on; null at the end' }),
  })
  .meta({ id: 'PolicyReplay' })

const replayed = operation({
  id: 'policies.replay',
  event: readEvent,
  method: 'POST',
  path: '/policies/replay',
  summary: 'List the recorded decisions that a policy set would answer otherwise, without storing it',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      source: policyText,
      actions: policyActions,
      since: instantMs.meta({ description: 'Decisions from this instant on' }),
      until: instantMs.optional().meta({ description: 'Decisions before this instant' }),
      limit: z
        .int()
        .min(1)
        .max(mostEntries)
        .optional()
        .meta({
          description: `How many entries of the log a page looks at; ${usualEntries} unless told`,
        }),
      after: text
        .regex(/^(?:0|[1-9]\d{0,14})$/, 'is not an index of the log')
        .optional()
        .meta({ description: 'The `next` of the page before' }),
    })
    .meta({ id: 'PolicyReplayRequest' }),
  bodyBytes: policyRequestBytes,
  status: 200,
  answer,
  async decide(ctx, deps, { body }) {
    mustBeValid(await problemsOf(ctx, deps, body))
    const { source, since, until, after } = body
    if (until !== undefined && until <= since)
      throw new Fault('invalid_value', 'The window ends before it begins: until must be later than since.', {
        kind: 'window',
      })
    const digest = sha256(source).toString('base64url')
    const { decisions, changed, unknown, next } = await replay(
      ctx,
      deps,
      { source, digest },
      {
        sinceMs: since,
        untilMs: until ?? null,
        after: after === undefined ? -1 : Number(after),
        limit: body.limit ?? usualEntries,
      },
    )
    return {
      about: { facts: { digest, decisions, changed: changed.length, unknown: unknown.length } },
      answer: {
        decisions,
        changed: changed.map(shown),
        unknown: unknown.map(unsaid),
        next: next === null ? null : String(next),
      },
    }
  },
})

function shown({ recorded, after }: Changed): z.input<typeof changeShown> {
  const { question, event, item, request, timeMs, count } = recorded
  const { operation: asked, foreign } = question
  return {
    event: event as z.input<typeof changeShown>['event'],
    item,
    request_id: request,
    time: new Date(timeMs).toISOString(),
    count,
    subject: nameOf(question.subject),
    on_behalf_of: question.chain.map(nameOf),
    action: asked.action,
    resource: asked.resource,
    object: asked.object === null ? (foreign?.type ?? null) : typedId(asked.object.type, asked.object.id),
    before: {
      decision: recorded.allowed,
      rule: recorded.rule,
      policies: [...recorded.policies],
      policy_version: recorded.policyVersion,
    },
    after: {
      decision: after.allowed,
      rule: after.rule,
      party: after.party,
      policies: [...after.policies],
    },
  }
}

function unsaid({ event, item, request, timeMs, count, subject, action, why }: Unknown) {
  return {
    event: event as z.input<typeof unknownShown>['event'],
    item,
    request_id: request,
    time: new Date(timeMs).toISOString(),
    count,
    subject: typeof subject === 'string' ? subject : nameOf(subject),
    action,
    why,
  }
}

function nameOf(party: Party): string {
  return party.kind === 'other' ? typedId(party.type, party.id) : `${party.kind}:${party.id}`
}

export const policyReplayOperations = [replayed]
