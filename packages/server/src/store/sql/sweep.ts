// Sweeping: what is past its time goes, a bounded number of rows at once so that nobody waits for it.
import { type RawBuilder, sql } from 'kysely'
import type { Sweeping } from '../store.ts'
import type { Db } from './dialect.ts'
import { type Batch, type Batches, type Engine, type Steps, step } from './engine/engine.ts'
import type { ReplayMemory } from './replay.ts'

/** Rows of one slice: a commit that meets it waits some milliseconds. */
const rowsAtOnce = 500

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

/** An enforcement point says a word every few seconds; one without for an hour went with its node. */
const silentSeconds = 3600
const goneMs = (now: number): number => (now - silentSeconds) * 1000

/** Counts of use are kept for so long after the end of their grant: who looks back a year finds them. */
const usageKeptSeconds = 400 * 86_400
/** Grants with counts that one sweep looks at; the next goes on behind them. */
const ownersAtOnce = 200

/** What is swept, and the memory of replay marks where there is one. */
export interface SweepTools {
  readonly db: Db
  readonly engine: Engine
  readonly write: SweepWriter
  readonly replays: ReplayMemory | undefined
}

/** The time for one kind of row; what is left then waits for the next sweep. */
const mostMs = 5000
/** How many times as long as a slice took the commits have to themselves before the next. */
const restFactor = 4

/**
 * Deletes slice by slice, with a rest after each: after a bulk of changes there are thousands of slices, each with as
 * many pages of the file as rows, and a server that did nothing else would answer nobody for half a minute.
 */
async function inSlices(slice: () => Promise<number>): Promise<{ rows: number; isDone: boolean }> {
  const endsAt = performance.now() + mostMs
  for (let rows = 0; ; ) {
    const startedAt = performance.now()
    const gone = await slice()
    rows += gone
    if (gone < rowsAtOnce) return { rows, isDone: true }
    const now = performance.now()
    if (now > endsAt) return { rows, isDone: false }
    await new Promise(resolve => setTimeout(resolve, restFactor * (now - startedAt)))
  }
}

const sweepAll = (db: Db, build: () => RawBuilder<unknown>) =>
  inSlices(async () => Number((await build().execute(db)).numAffectedRows ?? 0))

/**
 * Deletes the counts of grants that have long ended. Nothing tells which those are but the grants themselves, so each
 * sweep looks at some of them and remembers how far it came: none waits for a look at all of them.
 */
function usageSweeper(db: Db): (now: number) => Promise<number> {
  const start = { tenant: '', owner: '' }
  let after = start
  return async now => {
    const owners = await db
      .selectFrom('usage')
      .select(['tenant', 'owner'])
      .distinct()
      .where(sql<boolean>`(tenant, owner) > (${after.tenant}, ${after.owner})`)
      .orderBy('tenant')
      .orderBy('owner')
      .limit(ownersAtOnce)
      .execute()
    const [last, from] = [owners.at(-1), after]
    after = start
    if (last === undefined) return 0
    const { rows, isDone } = await sweepAll(
      db,
      () => sql`delete from usage where (tenant, owner, scope, tool, caller) in
          (select usage.tenant, usage.owner, usage.scope, usage.tool, usage.caller from usage
            join grants on grants.tenant = usage.tenant and grants.id = usage.owner
            where (usage.tenant, usage.owner) > (${from.tenant}, ${from.owner})
              and (usage.tenant, usage.owner) <= (${last.tenant}, ${last.owner})
              and coalesce(grants.revoked_at, grants.expires_at) <= ${now - usageKeptSeconds}
            limit ${rowsAtOnce})`,
    )
    if (!isDone) after = from
    else if (owners.length === ownersAtOnce) after = last
    return rows
  }
}

export function sweepingOver({ db, engine, write, replays }: SweepTools): Sweeping {
  const sweepUsage = usageSweeper(db)
  return {
    async sweep(now, { signalsBeforeMs }) {
      const marks = await sweepAll(
        db,
        () => sql`delete from replay_marks where (until, tenant, key) in
          (select until, tenant, key from replay_marks where until < ${now} limit ${rowsAtOnce})`,
      )
      // After the file, so that no mark is gone from memory while the file still has it.
      if (marks.isDone) replays?.sweep(now)
      const answers = await sweepAll(
        db,
        () => sql`delete from answers where (tenant, key) in
          (select tenant, key from answers where until < ${now} limit ${rowsAtOnce})`,
      )
      const artefacts = await sweepAll(
        db,
        () => sql`delete from one_times where (tenant, kind, key) in
          (select tenant, kind, key from one_times where expires_at <= ${now} limit ${rowsAtOnce})`,
      )
      // The end is looked at once more on the row itself: who spends meanwhile prolongs it.
      const budgets = await sweepAll(
        db,
        () => sql`delete from budgets where (tenant, owner, name) in
          (select tenant, owner, name from budgets where until < ${now} limit ${rowsAtOnce}) and until < ${now}`,
      )
      const points = await sweepAll(
        db,
        () => sql`delete from enforcement_points where (tenant, id) in
          (select tenant, id from enforcement_points where seen_ms < ${goneMs(now)} limit ${rowsAtOnce})
          and seen_ms < ${goneMs(now)}`,
      )
      let rows = marks.rows + answers.rows + artefacts.rows + budgets.rows + points.rows
      rows += await sweepUsage(now)
      for (const { tenant } of await db.selectFrom('heads').select('tenant').execute()) {
        const slice = () => engine.transact(() => sweepSignals(write, tenant, signalsBeforeMs))
        rows += (await inSlices(slice)).rows
      }
      return rows
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
