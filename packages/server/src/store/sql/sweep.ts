// Sweeping: what is past its time goes, a bounded number of rows at once so that nobody waits for it.
import { type RawBuilder, sql } from 'kysely'
import type { Sweeping } from '../store.ts'
import type { Db } from './dialect.ts'
import { type Batch, type Batches, type Engine, type Steps, step } from './engine/engine.ts'
import type { ReplayMemory } from './replay.ts'

const rowsAtOnce = 2000

export interface SweepWriter {
  readonly lock: Batch
  /** (tenant, after, upTo, beforeMs) → the first epoch in (after, upTo] whose signal is not old, or null. */
  readonly oldest: Batch
  /** (tenant, epoch) → one row for each deleted signal. */
  readonly drop: Batch
  /** (tenant, epoch) */
  readonly mark: Batch
}

export const sweepWriterOf = ({ batch, forUpdate }: Batches): SweepWriter => ({
  lock: batch(
    'sweep-lock',
    { tenant: 'text' },
    input => sql`
    select heads.epoch, heads.swept from heads where heads.tenant in (select tenant from ${input}) ${forUpdate}`,
  ),
  // Only a prefix ever goes, so `swept` says exactly from which epoch on the signals are complete. Looked at are those
  // that may go now and no others: millions of younger ones would hold up every commit for seconds.
  oldest: batch(
    'sweep-oldest',
    { tenant: 'text', after: 'int', up_to: 'int', before_ms: 'int' },
    input => sql`
    select min(signals.epoch) as epoch from ${input} join signals on signals.tenant = input.tenant
      and signals.epoch > input.after and signals.epoch <= input.up_to
    where signals.at_ms >= input.before_ms`,
  ),
  drop: batch(
    'sweep-drop',
    { tenant: 'text', epoch: 'int' },
    input => sql`
    delete from signals where (tenant, epoch) in (select signals.tenant, signals.epoch from ${input} join signals
      on signals.tenant = input.tenant and signals.epoch <= input.epoch) returning epoch`,
  ),
  mark: batch(
    'sweep-mark',
    { tenant: 'text', epoch: 'int' },
    input => sql`
    update heads set swept = input.epoch from ${input} where heads.tenant = input.tenant and heads.swept < input.epoch`,
  ),
})

/** What is swept, and the memory of replay marks where there is one. */
export interface SweepTools {
  readonly db: Db
  readonly engine: Engine
  readonly write: SweepWriter
  readonly replays: ReplayMemory | undefined
}

export function sweepingOver({ db, engine, write, replays }: SweepTools): Sweeping {
  const sweepAll = async (build: () => RawBuilder<unknown>): Promise<number> => {
    let total = 0
    for (;;) {
      const { numAffectedRows } = await build().execute(db)
      const gone = Number(numAffectedRows ?? 0)
      total += gone
      if (gone < rowsAtOnce) return total
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  return {
    async sweep(now, { signalsBeforeMs }) {
      const marks = await sweepAll(
        () => sql`delete from replay_marks where (until, tenant, key) in
          (select until, tenant, key from replay_marks where until < ${now} limit ${rowsAtOnce})`,
      )
      // After the file, so that no mark is gone from memory while the file still has it.
      replays?.sweep(now)
      const answers = await sweepAll(
        () => sql`delete from answers where (tenant, key) in
          (select tenant, key from answers where until < ${now} limit ${rowsAtOnce})`,
      )
      const artefacts = await sweepAll(
        () => sql`delete from one_times where (tenant, kind, key) in
          (select tenant, kind, key from one_times where expires_at <= ${now} limit ${rowsAtOnce})`,
      )
      let signals = 0
      for (const { tenant } of await db.selectFrom('heads').select('tenant').execute()) {
        for (let gone = rowsAtOnce; gone === rowsAtOnce; signals += gone) {
          gone = await engine.transact(() => sweepSignals(write, tenant, signalsBeforeMs))
        }
      }
      return marks + answers + artefacts + signals
    },
  }
}

function* sweepSignals(write: SweepWriter, tenant: string, beforeMs: number): Steps<number> {
  const [[head] = []] = yield [step(write.lock, [[tenant]])]
  if (head === undefined) return { result: 0 }
  const swept = head['swept'] as number
  const upTo = Math.min(head['epoch'] as number, swept + rowsAtOnce)
  const [[first] = []] = yield [step(write.oldest, [[tenant, swept, upTo, beforeMs]])]
  const kept = first?.['epoch'] as number | null | undefined
  const old = kept == null ? upTo : kept - 1
  if (old <= swept) return { result: 0 }
  const [gone] = yield [step(write.drop, [[tenant, old]]), step(write.mark, [[tenant, old]])]
  return { result: gone?.length ?? 0 }
}
