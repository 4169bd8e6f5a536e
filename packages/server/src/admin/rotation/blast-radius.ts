// The blast radius of a rotation: what the old version could reach, and what its holders did since a given instant.
import { parseId } from '@writ/sdk/protocol/identifier'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import { blastRadius } from '../../rotation/engine.ts'
import type { StoredEntry } from '../../store/store.ts'
import { eventShown } from '../audit/events.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { find } from './rotations.ts'

type Shown = z.input<typeof eventShown>

const reachShown = z.strictObject({
  kind: z.enum(['resource', 'secret', 'token', 'consumer', 'upstream']),
  name: z.string(),
  detail: z.string(),
})

const get = operation({
  id: 'rotations.blast-radius',
  event: readEvent,
  method: 'GET',
  path: '/rotations/{id}/blast-radius',
  summary: 'See what the old version could reach, and what its holders did with it since an instant',
  params: z.strictObject({ id: wire.id('rot') }),
  query: z.strictObject({
    since: wire.instant
      .optional()
      .meta({ description: 'From when deeds are listed; a day back unless told' }),
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
  answer: z
    .strictObject({
      reach: z.array(reachShown),
      holders: z.array(z.string()),
      deeds: z.array(eventShown),
      next: z.string().nullable(),
    })
    .meta({ id: 'BlastRadius' }),
  async decide(ctx, deps, { params, query }) {
    const rotation = await find(ctx, deps, params.id)
    const { reach, holders } = await blastRadius(ctx, deps.engine, rotation)
    const { limit } = wire.pageOf({ limit: query.limit })
    const sinceMs = (query.since ?? ctx.now - daySeconds) * 1000
    const { deeds, next } = await deedsOf(ctx, deps, holders, { sinceMs, after: query.after ?? -1, limit })
    return { about: {}, answer: { reach: [...reach], holders: [...holders], deeds, next } }
  },
})

const daySeconds = 86_400
/** Entries read for one page: those of the same agent by other keys are passed over. */
const mostRead = 2000

interface Page {
  readonly sinceMs: number
  readonly after: number
  readonly limit: number
}

/** Entries of the holders in the order of the log. `next` is where to go on, also where a page found few among many. */
async function deedsOf(
  ctx: Ctx,
  deps: Reads,
  holders: readonly string[],
  { sinceMs, after, limit }: Page,
): Promise<{ deeds: Shown[]; next: string | null }> {
  const filters = await Promise.all(holders.map(holder => filterOf(ctx, deps, holder)))
  const pages = await Promise.all(
    filters.map(async filter => {
      if (filter === undefined) return []
      const found = await deps.store.log.find(ctx, { agent: filter.agent, sinceMs }, after, mostRead)
      return found.map(entry => ({ entry, filter }))
    }),
  )
  // Beyond the shortest full page nothing is known of its holder yet.
  const horizon = Math.min(
    ...pages.map(page => (page.length === mostRead ? (page.at(-1)?.entry.index ?? Infinity) : Infinity)),
  )
  const known = new Map<number, Shown>()
  for (const { entry, filter } of pages.flat()) {
    const shown = parse(entry)
    if (entry.index <= horizon && (filter.key === null || shown.key === filter.key)) {
      known.set(entry.index, shown)
    }
  }
  const deeds = [...known].sort(([a], [b]) => a - b).slice(0, limit)
  const isCut = known.size > limit
  const last = isCut ? deeds.at(-1)?.[0] : horizon
  return {
    deeds: deeds.map(([, shown]) => shown),
    next: last === undefined || last === Infinity ? null : String(last),
  }
}

const parse = (entry: StoredEntry): Shown => JSON.parse(entry.text) as Shown

/** `key:<thumbprint>` is the key of some agent; agents and clients stand in the log by their ids. */
async function filterOf(
  ctx: Ctx,
  deps: Reads,
  holder: string,
): Promise<{ readonly agent: string; readonly key: string | null } | undefined> {
  if (holder.startsWith('key:')) {
    const key = await deps.store.keys.byThumbprint(ctx, holder.slice('key:'.length))
    return key === undefined ? undefined : { agent: key.owner, key: key.thumbprint }
  }
  const id = parseId('agt', holder) ?? parseId('cli', holder)
  return id === undefined ? undefined : { agent: id, key: null }
}

export const blastRadiusOperations = [get]
