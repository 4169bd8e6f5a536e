// Everything a group of changes writes with: the batches of all tables, compiled once per store.
import { sql } from 'kysely'
import type { RecordKind } from '../../domain/change.ts'
import { type BudgetWriter, budgetWriterOf } from './counts/budgets.ts'
import type { Batch, Batches } from './engine/engine.ts'
import { type LogWriter, logWriterOf } from './log/entries.ts'
import { type IndexWriter, indexWriterOf } from './log/find.ts'
import { type OnceWriter, onceWriterOf } from './one-time.ts'
import { type Codec, type RecordWriter, writerOf } from './records/record.ts'
import { type ReplayWriter, replayWriterOf } from './replay.ts'
import { type SignalWriter, signalWriterOf } from './signals/stored.ts'
import { useWriterOf } from './uses.ts'

/** Everything a group writes with, compiled once per store. */
export interface GroupWriter {
  /** (tenant) → the head rows, locked, in the order of tenants. */
  readonly heads: Batch
  /** (tenant, size, epoch, ordinal) */
  readonly advance: Batch
  /** (name) → the fences of leases. */
  readonly fences: Batch
  /** (tenant, thumbprint, at, from) */
  readonly touch: Batch
  /** (tenant, version, caller, at, from, until) */
  readonly use: Batch
  readonly budget: BudgetWriter
  /** (tenant): tells the other nodes; undefined where there are none. */
  readonly notify: Batch | undefined
  readonly once: OnceWriter
  readonly replay: ReplayWriter
  readonly signal: SignalWriter
  readonly log: LogWriter
  readonly index: IndexWriter
  readonly records: ReadonlyMap<RecordKind, RecordWriter>
}

/** The channel on which nodes hint at new signals. */
export const channel = 'writ_signals'

export function groupWriterOf(batches: Batches, codecs: readonly Codec[], notifies: boolean): GroupWriter {
  const { batch, forUpdate, forShare } = batches
  return {
    heads: batch(
      'heads',
      { tenant: 'text' },
      input => sql`
      select tenant, size, epoch, ordinal, swept from heads where tenant in (select tenant from ${input})
      order by tenant ${forUpdate}`,
    ),
    advance: batch(
      'advance',
      { tenant: 'text', size: 'int', epoch: 'int', ordinal: 'int' },
      input => sql`
      update heads set size = input.size, epoch = input.epoch, ordinal = input.ordinal
      from ${input} where heads.tenant = input.tenant`,
    ),
    // Shared lock: a new holder waits until a write under the fence it replaces has become visible.
    fences: batch(
      'fences',
      { name: 'text' },
      input => sql`
      select name, fence from leases where name in (select name from ${input}) ${forShare}`,
    ),
    touch: batch(
      'touch',
      { tenant: 'text', thumbprint: 'text', at: 'int', origin: 'text' },
      input => sql`
      insert into key_uses (tenant, thumbprint, last_used_at, last_used_from)
      select tenant, thumbprint, at, origin from ${input} where true
      on conflict (tenant, thumbprint) do update
      set last_used_at = excluded.last_used_at, last_used_from = excluded.last_used_from
      where key_uses.last_used_at < excluded.last_used_at`,
    ),
    use: useWriterOf(batches),
    budget: budgetWriterOf(batches),
    notify: notifies
      ? batch(
          'notify',
          { tenant: 'text' },
          input => sql`select pg_notify(${sql.lit(channel)}, tenant) from ${input}`,
        )
      : undefined,
    once: onceWriterOf(batches),
    replay: replayWriterOf(batches),
    signal: signalWriterOf(batches),
    log: logWriterOf(batches),
    index: indexWriterOf(batches),
    records: new Map(codecs.map(codec => [codec.kind, writerOf(batches, codec)])),
  }
}
