// Who used a version of something that rotates, and when: what its drain is judged by.
import { sql } from 'kysely'
import type { Uses } from '../store.ts'
import type { Db } from './dialect.ts'
import type { Batch, Batches } from './engine/engine.ts'
import { isStorable } from './records/record.ts'

/** What is written of a use: `first` and `last` in epoch seconds, `origin` that of the last. */
export type UseRow = readonly [
  tenant: string,
  version: string,
  caller: string,
  first: number,
  last: number,
  origin: string | null,
  until: number | null,
]

/** Two uses of one version by one caller as one row, in whatever order they came; an end is never taken back. */
export function mergeUse(known: UseRow | undefined, use: UseRow): UseRow {
  if (known === undefined) return use
  const [tenant, version, caller, first, last, origin, until] = use
  const isNewer = last >= known[4]
  const longest = Math.max(known[6] ?? -1, until ?? -1)
  return [
    tenant,
    version,
    caller,
    Math.min(first, known[3]),
    isNewer ? last : known[4],
    isNewer ? origin : known[5],
    longest < 0 ? null : longest,
  ]
}

/** Takes `UseRow`s. A use that is written late takes nothing back of a later one. */
export const useWriterOf = ({ batch }: Batches): Batch =>
  batch(
    'use',
    {
      tenant: 'text',
      subject: 'text',
      caller: 'text',
      first: 'int',
      last: 'int',
      origin: 'text',
      until: 'int',
    },
    input => sql`
    insert into uses (tenant, subject, caller, first_used_at, last_used_at, last_used_from, until)
    select tenant, subject, caller, first, last, origin, until from ${input} where true
    on conflict (tenant, subject, caller) do update set
      first_used_at = case when excluded.first_used_at < uses.first_used_at
        then excluded.first_used_at else uses.first_used_at end,
      last_used_at = case when excluded.last_used_at > uses.last_used_at
        then excluded.last_used_at else uses.last_used_at end,
      last_used_from = case when excluded.last_used_at >= uses.last_used_at
        then excluded.last_used_from else uses.last_used_from end,
      until = case when uses.until is null or uses.until < excluded.until then excluded.until else uses.until end`,
  )

export const usesOver = (db: Db): Uses => ({
  async of(scope, version, limit) {
    if (!isStorable(version)) return []
    const rows = await db
      .selectFrom('uses')
      .select(['caller', 'first_used_at', 'last_used_at', 'last_used_from', 'until'])
      .where('tenant', '=', scope.tenant)
      .where('subject', '=', version)
      .orderBy('last_used_at', 'desc')
      .limit(limit)
      .execute()
    return rows.map(row => ({
      caller: row.caller,
      from: row.last_used_from,
      firstUsedAt: row.first_used_at,
      lastUsedAt: row.last_used_at,
      until: row.until,
    }))
  },
})
