// Replay marks: on PostgreSQL a table that decides, on SQLite a memory that decides and a journal that outlives it.
import { sql } from 'kysely'
import type { Batch, Batches, Engine } from './engine/engine.ts'

export interface ReplayWriter {
  /** (tenant, key, until, now) → the keys that were fresh, marked now. PostgreSQL only. */
  readonly claim: Batch
  /** (tenant, key): takes back marks of changes that failed, in the transaction that made them. PostgreSQL only. */
  readonly unclaim: Batch
  /** (tenant, key, until, now): keeps marks that the memory let pass. SQLite only. */
  readonly keep: Batch
}

const columns = { tenant: 'text', key: 'text', until: 'int', marked_at: 'int' } as const

export const replayWriterOf = ({ batch, insert }: Batches): ReplayWriter => ({
  // A mark is remembered up to and including its `until`: it gives way only strictly after.
  claim: batch(
    'claim',
    columns,
    input => sql`
    insert into replay_marks (tenant, key, until, marked_at)
    select tenant, key, until, marked_at from ${input} where true
    on conflict (tenant, key) do update set until = excluded.until, marked_at = excluded.marked_at
    where replay_marks.until < excluded.marked_at returning tenant, key`,
  ),
  unclaim: batch(
    'unclaim',
    { tenant: 'text', key: 'text' },
    input => sql`
    delete from replay_marks where (tenant, key) in (select tenant, key from ${input})`,
  ),
  keep: insert('keep-mark', 'replay_marks', columns),
})

/** A mark as it is written: until when it is remembered, and when it was left. */
export type Mark = readonly [tenant: string, key: string, until: number, now: number]

/**
 * The marks of the one process that owns a SQLite file. Keys are hashes, so a table ordered by them would dirty a page
 * of the file for each mark; this memory decides instead, and the file keeps them in the order of their end.
 */
export interface ReplayMemory {
  isFresh(mark: Mark): boolean
  /** Takes over marks that are durable now. */
  add(marks: Iterable<Mark>): void
  sweep(now: number): void
}

/** Brings back the marks of the file; those that have passed are of no interest. */
export async function replayMemory(engine: Engine): Promise<ReplayMemory> {
  const tenants = new Map<string, Map<string, number>>()
  const put = (tenant: string, key: string, until: number): void => {
    let marks = tenants.get(tenant)
    if (marks === undefined) {
      marks = new Map()
      tenants.set(tenant, marks)
    }
    marks.set(key, until)
  }
  const { rows } = await engine.query('select tenant, key, until from replay_marks order by until', [])
  for (const row of rows) put(row['tenant'] as string, row['key'] as string, row['until'] as number)
  return {
    isFresh: ([tenant, key, , now]) => {
      const until = tenants.get(tenant)?.get(key)
      return until === undefined || until < now
    },
    add(marks) {
      for (const [tenant, key, until] of marks) put(tenant, key, until)
    },
    sweep(now) {
      for (const marks of tenants.values()) {
        for (const [key, until] of marks) if (until < now) marks.delete(key)
      }
    },
  }
}
