// Who used a version of something that rotates, and when: what its drain is judged by.
import { sql } from 'kysely'
import type { Uses } from '../store.ts'
import type { Db } from './dialect.ts'
import type { Batch, Batches } from './engine/engine.ts'
import { isStorable } from './records/record.ts'

/** (tenant, version, caller, at, origin, until) */
export const useWriterOf = ({ batch }: Batches): Batch =>
  batch(
    'use',
    { tenant: 'text', subject: 'text', caller: 'text', at: 'int', origin: 'text', until: 'int' },
    input => sql`
    insert into uses (tenant, subject, caller, first_used_at, last_used_at, last_used_from, until)
    select tenant, subject, caller, at, at, origin, until from ${input} where true
    on conflict (tenant, subject, caller) do update set last_used_at = excluded.last_used_at,
      last_used_from = excluded.last_used_from,
      until = case when uses.until is null or uses.until < excluded.until then excluded.until else uses.until end
    where uses.last_used_at <= excluded.last_used_at`,
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
