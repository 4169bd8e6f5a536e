// Signals: reads over what ended or changed, and the statements that add to it.
import { sql } from 'kysely'
import type { SignalAt, Signals } from '../../store.ts'
import type { Db } from '../dialect.ts'
import type { Batch, Batches } from '../engine/engine.ts'
import { isStorable } from '../records/record.ts'

export interface SignalWriter {
  /** (tenant, epoch, subject, kind, atMs) */
  readonly add: Batch
  /** (tenant, subject, epoch) → the last epoch after `epoch` at which the subject was narrowed. */
  readonly narrowed: Batch
}

export const signalWriterOf = ({ batch, insert }: Batches): SignalWriter => ({
  add: insert('add-signal', 'signals', {
    tenant: 'text',
    epoch: 'int',
    subject: 'text',
    kind: 'text',
    at_ms: 'int',
  }),
  narrowed: batch(
    'narrowed',
    { tenant: 'text', subject: 'text', epoch: 'int' },
    input => sql`
    select input.tenant as tenant, input.subject as subject, max(signals.epoch) as epoch
    from ${input} join signals on signals.tenant = input.tenant and signals.subject = input.subject
      and signals.epoch > input.epoch
    where signals.kind = 'narrowed' group by input.tenant, input.subject`,
  ),
})

const columns = ['epoch', 'subject', 'kind', 'at_ms'] as const

interface SignalRow {
  readonly epoch: number
  readonly subject: string
  readonly kind: string
  readonly at_ms: number
}

const toSignal = (row: SignalRow): SignalAt => ({
  epoch: row.epoch,
  subject: row.subject,
  kind: row.kind as SignalAt['kind'],
  atMs: row.at_ms,
})

export const signalReadsOver = (db: Db): Omit<Signals, 'subscribe' | 'contactMs'> => ({
  async head(scope) {
    const row = await db
      .selectFrom('heads')
      .select('epoch')
      .where('tenant', '=', scope.tenant)
      .executeTakeFirst()
    return row?.epoch ?? 0
  },
  async after(scope, epoch, limit, kind) {
    let query = db
      .selectFrom('signals')
      .select(columns)
      .where('tenant', '=', scope.tenant)
      .where('epoch', '>', epoch)
      .orderBy('epoch')
      .limit(limit)
    if (kind !== undefined) query = query.where('kind', '=', kind)
    return (await query.execute()).map(toSignal)
  },
  async narrowedSince(scope, sinceMs) {
    const rows = await db
      .selectFrom('signals')
      .select(columns)
      .where('tenant', '=', scope.tenant)
      .where('at_ms', '>=', sinceMs)
      .where('kind', '=', 'narrowed')
      .execute()
    return rows.map(toSignal).sort((a, b) => a.epoch - b.epoch)
  },
  async isNarrowed(scope, subjects, epoch) {
    const known = subjects.filter(subject => isStorable(subject))
    const swept = await db
      .selectFrom('heads')
      .select('swept')
      .where('tenant', '=', scope.tenant)
      .executeTakeFirst()
    // What ended before the kept signals begin cannot be told any more: doubt is a yes.
    if (swept === undefined || epoch < swept.swept) return true
    if (known.length === 0) return false
    const row = await db
      .selectFrom('signals')
      .select('epoch')
      .where('tenant', '=', scope.tenant)
      .where('subject', 'in', known)
      .where('epoch', '>', epoch)
      .where('kind', '=', 'narrowed')
      .limit(1)
      .executeTakeFirst()
    return row !== undefined
  },
})
