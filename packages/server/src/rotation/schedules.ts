// Keeps the schedules: when each is due, and the beginning of what is. Under a lease, fenced, one successor whoever races.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { Cron } from 'croner'
import type { Ctx } from '../context.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import type { Change, Fence, Versioned } from '../domain/change.ts'
import { type Schedule, spread } from '../domain/schedule.ts'
import { decideBeginning, type EngineDeps, entryOf, kindNamed } from './engine.ts'
import type { Ask } from './kind.ts'

/** Schedules begun in one run; the next run takes the next. */
const schedulesPerRun = 50
/** Pages of targets that one run begins for a schedule of every target. */
const pagesPerRun = 20

/**
 * The next instant, in epoch seconds, strictly after `now`. A schedule that was missed, by an outage or a clock, begins
 * one rotation and not one for each time that went by. Throws `invalid_value` for an expression that is none, or never
 * comes.
 */
export function nextAt(
  {
    cron,
    maxAgeSeconds,
    jitterSeconds,
    id,
  }: Pick<Schedule, 'cron' | 'maxAgeSeconds' | 'jitterSeconds' | 'id'>,
  now: number,
): number {
  const put = spread(id, jitterSeconds)
  if (cron === null) return now + (maxAgeSeconds ?? 0) + put
  const next = parse(cron).nextRun(new Date(now * 1000))
  if (next === null) throw wrongCron()
  return Math.floor(next.getTime() / 1000) + put
}

function parse(cron: string): Cron {
  if (cron.trim().split(/\s+/).length !== 5) throw wrongCron()
  try {
    return new Cron(cron, { timezone: 'UTC', paused: true })
  } catch (error) {
    if (error instanceof Error) throw wrongCron()
    throw error
  }
}

function wrongCron(): Fault {
  return new Fault(
    'invalid_value',
    'The member cron must be five fields, such as `0 3 * * 1`, that come true some day.',
    { kind: 'cron' },
  )
}

/** Begins what is due; answers how many schedules it served. */
export async function serveSchedules(ctx: Ctx, deps: EngineDeps, fence: Fence | undefined): Promise<number> {
  const due = await deps.kindDeps.store.schedules.due(ctx, ctx.now, schedulesPerRun)
  let served = 0
  for (const schedule of due) {
    if (deps.kindDeps.signal.aborted) break
    if (await serve(ctx, deps, schedule, fence)) served += 1
  }
  return served
}

async function serve(
  ctx: Ctx,
  deps: EngineDeps,
  { version, ...schedule }: Versioned<Schedule>,
  fence: Fence | undefined,
): Promise<boolean> {
  const part = schedule.target === '*' ? await partOf(ctx, deps, schedule) : onlyOf(schedule)
  const begun = await beginEach(ctx, deps, schedule, part.items)
  const last = begun.rotations.at(-1)?.id ?? schedule.lastRotation
  const next: Schedule = {
    ...schedule,
    // Where there is more, the next run goes on with it: many targets take many changes.
    nextAt: part.next === null ? nextAt(schedule, ctx.now) : ctx.now,
    goesOnAfter: part.next,
    lastAt: ctx.now,
    lastRotation: last,
  }
  // The schedule's own version: of two nodes that think it due, one begins, and the other has lost before it did.
  const puts = [...begun.puts, { put: 'schedule' as const, value: next, ifVersion: version }]
  const committed = await deps.commit(ctx, {
    ...begun.rest,
    puts,
    ...(fence && { fence }),
    entries: [servedEntry(ctx, next, begun), ...begun.entries],
  })
  return committed.kind === 'done'
}

/** A part is whole once it has so many: with one more page it is still no more than one change holds. */
const enoughTargets = 100

interface Part {
  readonly items: readonly string[]
  /** Where the next part begins; null after the last. */
  readonly next: string | null
}

const onlyOf = ({ target }: Schedule): Part => ({ items: [target], next: null })

async function partOf(ctx: Ctx, deps: EngineDeps, schedule: Schedule): Promise<Part> {
  const kind = kindNamed(deps, schedule.kind)
  const items: string[] = []
  let next = schedule.goesOnAfter ?? null
  for (let pages = 0; pages < pagesPerRun && items.length < enoughTargets; pages += 1) {
    const page: Part = await kind.targets(ctx, deps.kindDeps, next)
    items.push(...page.items)
    next = page.next
    if (next === null) break
  }
  return { items, next }
}

interface BegunEach {
  readonly rotations: readonly { readonly id: Schedule['lastRotation'] & string }[]
  readonly skipped: readonly string[]
  readonly puts: NonNullable<Change['puts']>
  readonly rest: Pick<Change, 'creates' | 'signals' | 'bases'>
  readonly entries: readonly EntryDraft[]
}

async function beginEach(
  ctx: Ctx,
  deps: EngineDeps,
  schedule: Schedule,
  targets: readonly string[],
): Promise<BegunEach> {
  const rotations: { id: Schedule['lastRotation'] & string }[] = []
  const skipped: string[] = []
  const puts: NonNullable<Change['puts']>[number][] = []
  const parts: Pick<Change, 'creates' | 'signals' | 'bases'>[] = []
  const entries: EntryDraft[] = []
  for (const target of targets) {
    const ask: Ask = { target, reason: 'scheduled', batch: null, emergency: false, alg: null }
    try {
      const { rotation, change, entries: told = [] } = await decideBeginning(ctx, deps, schedule.kind, ask)
      rotations.push(rotation)
      puts.push(...(change.puts ?? []))
      parts.push(change)
      entries.push(entryOf(ctx, 'rotation.begun', rotation, { schedule: schedule.id }), ...told)
    } catch (error) {
      // What cannot begin, such as one that is retired or being rotated already, keeps no other from its time.
      if (!isFault(error) || error.code === 'temporarily_unavailable') throw error
      skipped.push(target)
    }
  }
  return {
    rotations,
    skipped,
    puts,
    rest: {
      creates: parts.flatMap(part => part.creates ?? []),
      signals: parts.flatMap(part => part.signals ?? []),
      bases: parts.flatMap(part => part.bases ?? []),
    },
    entries,
  }
}

const mostNamed = 20

function servedEntry(ctx: Ctx, schedule: Schedule, { rotations, skipped }: BegunEach): EntryDraft {
  return {
    type: 'schedule.served',
    outcome: 'allowed',
    requestId: ctx.requestId,
    facts: {
      schedule: schedule.id,
      kind: schedule.kind,
      target: schedule.target,
      begun: rotations.length,
      skipped: skipped.slice(0, mostNamed),
      next_at: new Date(schedule.nextAt * 1000).toISOString(),
    },
  }
}
