// Finding entries: what stands in each complete run of them is written down once, the rest is looked at one by one.
import { type RawBuilder, sql } from 'kysely'
import type { EntryFilter, Scope, StoredEntry } from '../../store.ts'
import type { Db } from '../dialect.ts'
import { type Batch, type Batches, type Engine, type Steps, step } from '../engine/engine.ts'
import { isStorable } from '../records/record.ts'

/** Entries of a run: so many that a hundred million entries are some ten thousand runs to ask. */
const runLength = 4096
/** Entries of a bundle, the finest place that a term points to. */
const bundleLength = 256

/** What entries are found by, the rarest first, with the column that holds it. */
const fields = ['request', 'person', 'agent', 'type'] as const
type Field = (typeof fields)[number]

export interface IndexWriter {
  /** (tenant) → how many runs there are and how many are written down, locked. */
  readonly progress: Batch
  /** (tenant, run, from, to): the times of a run. */
  readonly times: Batch
  /** (tenant, run, from, to): the terms of a run, a batch for each field. */
  readonly terms: readonly Batch[]
  /** (tenant, runs) */
  readonly advance: Batch
}

const runColumns = { tenant: 'text', run: 'int', from: 'int', to: 'int' } as const

export function indexWriterOf({ batch, forUpdate }: Batches): IndexWriter {
  const within = sql`entries.tenant = input.tenant and entries."index" >= input."from" and entries."index" < input."to"`
  return {
    progress: batch(
      'runs-progress',
      { tenant: 'text' },
      input => sql`
      select size, runs from heads where tenant in (select tenant from ${input}) ${forUpdate}`,
    ),
    times: batch(
      'runs-times',
      runColumns,
      input => sql`
      insert into runs (tenant, run, min_ms, max_ms)
      select input.tenant, input.run, min(entries.time_ms), max(entries.time_ms) from ${input} join entries on ${within}
      group by input.tenant, input.run`,
    ),
    // In the order of the key, so that a run fills pages one after the other instead of touching all of them.
    terms: [...fields].sort().map(field =>
      batch(
        `runs-${field}`,
        runColumns,
        input => sql`
        insert into terms (tenant, run, field, value, bundle)
        select distinct input.tenant, input.run, ${sql.lit(field)}, ${sql.ref(`entries.${field}`)} as value,
          entries."index" / ${sql.lit(bundleLength)} as bundle
        from ${input} join entries on ${within} where ${sql.ref(`entries.${field}`)} is not null
        order by value, bundle`,
      ),
    ),
    advance: batch(
      'runs-advance',
      { tenant: 'text', runs: 'int' },
      input => sql`
      update heads set runs = input.runs from ${input} where heads.tenant = input.tenant`,
    ),
  }
}

/** Writes down the oldest complete run that is not yet; answers whether there was one. */
const indexRun = (engine: Engine, write: IndexWriter, tenant: string): Promise<boolean> =>
  engine.transact(function* index(): Steps<boolean> {
    const [[head] = []] = yield [step(write.progress, [[tenant]])]
    const run = (head?.['runs'] as number | undefined) ?? 0
    const to = (run + 1) * runLength
    if (head === undefined || (head['size'] as number) < to) return { result: false }
    const row = [tenant, run, run * runLength, to]
    return {
      result: true,
      last: [
        step(write.times, [row]),
        ...write.terms.map(terms => step(terms, [row])),
        step(write.advance, [[tenant, run + 1]]),
      ],
    }
  })

/** Writes down runs as they become complete, behind the commits that completed them. */
export interface Indexer {
  /** The tenant's log has this many entries now. */
  grown(tenant: string, size: number): void
  close(): Promise<void>
}

export function indexerOver(engine: Engine, write: IndexWriter, onError: (error: unknown) => void): Indexer {
  const known = new Map<string, number>()
  const waiting = new Set<string>()
  let working: Promise<void> | undefined
  let closed = false
  const work = async (): Promise<void> => {
    for (const tenant of waiting) {
      waiting.delete(tenant)
      try {
        do await new Promise(resolve => setImmediate(resolve))
        while (!closed && (await indexRun(engine, write, tenant)))
      } catch (error) {
        // Nothing is lost: what is not written down is looked at one by one, and the next run tries again.
        onError(error)
      }
    }
    working = undefined
  }
  return {
    grown(tenant, size) {
      const runs = Math.floor(size / runLength)
      if (closed || runs <= (known.get(tenant) ?? 0)) return
      known.set(tenant, runs)
      waiting.add(tenant)
      working ??= work()
    },
    async close() {
      closed = true
      await working
    },
  }
}

interface Page {
  /** The index after which entries are wanted. */
  readonly after: number
  readonly limit: number
}

type Wanted = Readonly<Record<Field, string | undefined>>

const all = (conditions: readonly RawBuilder<unknown>[]) => sql.join(conditions, sql` and `)

/** What an entry must be, besides being in the place where it is looked for. */
function conditionsOf(
  scope: Scope,
  wanted: Wanted,
  { sinceMs, untilMs }: EntryFilter,
): readonly RawBuilder<unknown>[] {
  return [
    sql`entries.tenant = ${scope.tenant}`,
    ...fields.flatMap(field =>
      wanted[field] === undefined ? [] : [sql`${sql.ref(`entries.${field}`)} = ${wanted[field]}`],
    ),
    ...(sinceMs === undefined ? [] : [sql`entries.time_ms >= ${sinceMs}`]),
    ...(untilMs === undefined ? [] : [sql`entries.time_ms < ${untilMs}`]),
  ]
}

/** In index order: first from the runs that are written down, then by looking at every entry after them. */
export async function findEntries(
  db: Db,
  scope: Scope,
  filter: EntryFilter,
  { after, limit }: Page,
): Promise<readonly StoredEntry[]> {
  const { agent, person, type, requestId: request } = filter
  const wanted: Wanted = { request, person, agent, type }
  if (Object.values(wanted).some(value => value !== undefined && !isStorable(value))) return []
  const conditions = conditionsOf(scope, wanted, filter)
  const head = await db
    .selectFrom('heads')
    .select('runs')
    .where('tenant', '=', scope.tenant)
    .executeTakeFirst()
  if (head === undefined) return []
  const first = Math.max(0, after + 1)
  // Nothing to look up by: every entry is one.
  const written = conditions.length === 1 ? 0 : head.runs * runLength
  const found: StoredEntry[] = []
  if (first < written) {
    const runs = all([
      sql`runs.tenant = ${scope.tenant}`,
      sql`runs.run >= ${Math.floor(first / runLength)}`,
      sql`runs.run < ${head.runs}`,
      ...(filter.sinceMs === undefined ? [] : [sql`runs.max_ms >= ${filter.sinceMs}`]),
      ...(filter.untilMs === undefined ? [] : [sql`runs.min_ms < ${filter.untilMs}`]),
    ])
    const field = fields.find(name => wanted[name] !== undefined)
    const { terms, place, order } = field === undefined ? byRun : byTerm(field, wanted[field] as string)
    const { rows } = await sql<StoredEntry>`
      select entries."index" as "index", entries.text as text from runs ${terms} cross join entries
      where ${runs} and ${place} and entries."index" >= ${first} and ${all(conditions)}
      order by ${order} limit ${limit}`.execute(db)
    found.push(...rows)
  }
  if (found.length < limit) {
    const { rows } = await sql<StoredEntry>`
      select "index", text from entries where ${all(conditions)} and "index" >= ${Math.max(first, written)}
      order by "index" limit ${limit - found.length}`.execute(db)
    found.push(...rows)
  }
  return found.map(({ index, text }) => ({ index, text }))
}

interface Lookup {
  readonly terms: RawBuilder<unknown>
  readonly place: RawBuilder<unknown>
  readonly order: RawBuilder<unknown>
}

const length = sql.lit(runLength)
const width = sql.lit(bundleLength)

// CROSS JOIN keeps the order in which the tables are gone through, so that a page ends where its limit is reached.
const byRun: Lookup = {
  terms: sql``,
  place: sql`entries."index" >= runs.run * ${length} and entries."index" < (runs.run + 1) * ${length}`,
  order: sql`runs.run, entries."index"`,
}

const byTerm = (field: Field, value: string): Lookup => ({
  terms: sql`cross join terms`,
  place: sql`terms.tenant = runs.tenant and terms.run = runs.run and terms.field = ${field} and terms.value = ${value}
    and entries."index" >= terms.bundle * ${width} and entries."index" < (terms.bundle + 1) * ${width}`,
  order: sql`runs.run, terms.bundle, entries."index"`,
})
