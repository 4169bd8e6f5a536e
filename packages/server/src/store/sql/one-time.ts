// Artefacts to take once, and answers kept for a repeated request.
import { sql } from 'kysely'
import type { OneTimes, Remembering } from '../store.ts'
import type { Db } from './dialect.ts'
import type { Batch, Batches } from './engine/engine.ts'
import { isStorable } from './records/record.ts'

export interface OnceWriter {
  /** (tenant, kind, key, now) → the keys that were taken. */
  readonly take: Batch
  /** (tenant, kind, key) → those that were taken before or just now. */
  readonly taken: Batch
  /** (tenant, kind, key, value, expiresAt) → the keys that were new. */
  readonly create: Batch
  /** (tenant, key, request, status, body, until, now) → the keys that were free. */
  readonly remember: Batch
}

export const onceWriterOf = ({ batch }: Batches): OnceWriter => ({
  // An artefact is good strictly before its `expires_at`.
  take: batch(
    'take',
    { tenant: 'text', kind: 'text', key: 'text', now: 'int' },
    input => sql`
    update one_times set taken_at = input.now from ${input}
    where one_times.tenant = input.tenant and one_times.kind = input.kind and one_times.key = input.key
      and one_times.taken_at is null and one_times.expires_at > input.now
    returning one_times.key`,
  ),
  taken: batch(
    'taken',
    { tenant: 'text', kind: 'text', key: 'text' },
    input => sql`
    select one_times.key from ${input} join one_times
    on one_times.tenant = input.tenant and one_times.kind = input.kind and one_times.key = input.key
    where one_times.taken_at is not null`,
  ),
  create: batch(
    'create-once',
    { tenant: 'text', kind: 'text', key: 'text', value: 'text', expires_at: 'int' },
    input => sql`
    insert into one_times (tenant, kind, key, value, expires_at)
    select tenant, kind, key, value, expires_at from ${input} where true
    on conflict do nothing returning key`,
  ),
  remember: batch(
    'remember',
    { tenant: 'text', key: 'text', request: 'text', status: 'int', body: 'text', until: 'int', now: 'int' },
    input => sql`
    insert into answers (tenant, key, request, status, body, until, kept_at)
    select tenant, key, request, status, body, until, now from ${input} where true
    on conflict (tenant, key) do update set request = excluded.request, status = excluded.status,
      body = excluded.body, until = excluded.until, kept_at = excluded.kept_at
    where answers.until < excluded.kept_at returning key`,
  ),
})

export const oneTimesOver = (db: Db): OneTimes => ({
  async peek(scope, kind, key, now) {
    if (!isStorable(key)) return 'absent'
    const row = await db
      .selectFrom('one_times')
      .select(['value', 'expires_at', 'taken_at'])
      .where('tenant', '=', scope.tenant)
      .where('kind', '=', kind)
      .where('key', '=', key)
      .executeTakeFirst()
    if (row === undefined) return 'absent'
    if (row.taken_at !== null) return 'spent'
    return row.expires_at > now ? { value: row.value } : 'absent'
  },
})

export const rememberingOver = (db: Db): Remembering => ({
  async recall(scope, key, now) {
    if (!isStorable(key)) return undefined
    const row = await db
      .selectFrom('answers')
      .select(['key', 'request', 'status', 'body', 'until'])
      .where('tenant', '=', scope.tenant)
      .where('key', '=', key)
      .where('until', '>=', now)
      .executeTakeFirst()
    return row === undefined ? undefined : { ...row }
  },
})
