// How grants are used: what nobody has used for a while, and who used one with which scopes and tools.
import { z } from 'zod'
import { operation, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { findGrant, grantShown, showGrant } from './grants.ts'

const daySeconds = 86_400
const mostDays = 3650

const unused = operation({
  id: 'grants.unused',
  event: readEvent,
  method: 'GET',
  path: '/grants/unused',
  summary: 'List grants that count now and that nobody has used for so many days',
  params: wire.noParams,
  query: z.strictObject({
    ...wire.paging,
    days: z
      .string()
      .regex(/^[1-9]\d{0,3}$/, `is not a number of days from 1 to ${mostDays}`)
      .transform(Number)
      .pipe(z.number().max(mostDays))
      .optional()
      .meta({ description: 'Since how many days; 30 unless told' }),
  }),
  body: null,
  status: 200,
  answer: wire.listOf(
    grantShown.extend({ last_used_at: wire.shownInstant.nullable() }).meta({ id: 'UnusedGrant' }),
  ),
  async decide(ctx, deps, { query }) {
    const at = ctx.now - (query.days ?? 30) * daySeconds
    const page = await deps.store.usage.unused(ctx, wire.pageOf(query), { at, now: ctx.now })
    return {
      about: { facts: { days: query.days ?? 30 } },
      answer: wire.shownPage(page, ({ lastUsedAt, ...grant }) => ({
        ...showGrant(grant, ctx.now),
        last_used_at: wire.rfc3339OrNull(lastUsedAt),
      })),
    }
  },
})

const mostRows = 200

const usage = operation({
  id: 'grants.usage',
  event: readEvent,
  method: 'GET',
  path: '/grants/{id}/usage',
  summary:
    'See who used a grant, with which scopes and tools, the newest use first, 200 uses at most; counts lag by some seconds',
  params: z.strictObject({ id: wire.id('grt') }),
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: z
    .strictObject({
      items: z.array(
        z.strictObject({
          scope: z.string(),
          tool: z.string(),
          caller: z.string(),
          count: z.number(),
          first_used_at: wire.shownInstant,
          last_used_at: wire.shownInstant,
        }),
      ),
      is_cut: z.boolean().meta({ description: 'Whether there are older uses that are not shown' }),
    })
    .meta({ id: 'GrantUsage' }),
  async decide(ctx, deps, input) {
    const grant = await findGrant(ctx, deps, input.params.id)
    const rows = await deps.store.usage.of(ctx, grant.id, mostRows + 1)
    return {
      about: { agent: grant.agent, facts: { grant: grant.id } },
      answer: {
        items: rows.slice(0, mostRows).map(({ scope, tool, caller, count, firstAt, lastAt }) => ({
          scope,
          tool,
          caller,
          count,
          first_used_at: wire.rfc3339(firstAt),
          last_used_at: wire.rfc3339(lastAt),
        })),
        is_cut: rows.length > mostRows,
      },
    }
  },
})

export const grantUsageOperations = [unused, usage]
