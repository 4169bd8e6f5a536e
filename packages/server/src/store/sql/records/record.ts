// Versioned records in general: how one is written, read and listed. What differs per aggregate is its codec.

import { Fault } from '@writ/sdk/protocol/fault'
import { type RawBuilder, sql } from 'kysely'
import type { RecordKind, Records, Versioned } from '../../../domain/change.ts'
import type { Page, PageRequest, Scope } from '../../store.ts'
import type { Db } from '../dialect.ts'
import type { Batch, Batches, ColumnType, Scalar } from '../engine/engine.ts'

/** One aggregate: its table, the columns beside the body, and the members that the body keeps. */
export interface Codec<K extends RecordKind = RecordKind> {
  readonly kind: K
  readonly table: string
  /** The column of the record's own id. */
  readonly id: string
  /** Every member of the record; anything else on a value handed in is not stored. */
  readonly members: { readonly [M in keyof Records[K]]-?: true }
  readonly columns: Readonly<Record<string, ColumnType>>
  /** Columns of `columns` that keep their first value for ever: a key never changes hands. */
  readonly fixed: readonly string[]
  idOf(value: Records[K]): string
  /** Whose facts change when the record does: the subject of the signal that every put carries. */
  subjectOf(value: Records[K]): string
  /** The values of `columns`, in their order. */
  valuesOf(value: Records[K]): readonly Scalar[]
}

/** The statements that write one kind of record. */
export interface RecordWriter {
  readonly codec: Codec
  readonly insert: Batch
  readonly update: Batch
  /** Two steps: the tombstone, then the row itself. */
  readonly entomb: Batch
  readonly remove: Batch
}

/** Text longer than this is refused in a body. */
export const bodyLimit = 256 * 1024

export function bodyOf(codec: Codec, value: Records[RecordKind]): string {
  const kept: Record<string, unknown> = {}
  for (const member in codec.members) kept[member] = value[member as keyof typeof value]
  return JSON.stringify(kept)
}

export function writerOf(batches: Batches, codec: Codec): RecordWriter {
  const table = sql.table(codec.table)
  const id = sql.ref(codec.id)
  const columns = Object.keys(codec.columns)
  const more = (items: readonly RawBuilder<unknown>[]): RawBuilder<unknown> =>
    items.length === 0 ? sql`` : sql`, ${sql.join(items)}`
  const input = { tenant: 'text', id: 'text', body: 'text', ...codec.columns } as const
  const same = (columnName: string, from = columnName) =>
    sql` and ${sql.ref(`${codec.table}.${columnName}`)} = ${sql.ref(`input.${from}`)}`
  const exact = (version: string) =>
    sql`${sql.ref(`${codec.table}.tenant`)} = input.tenant${same(codec.id, 'id')}${same('version', version)}`
  return {
    codec,
    // An id that was removed once stays taken.
    insert: batches.batch(
      `insert-${codec.kind}`,
      { ...input, ordinal: 'int' },
      from => sql`
      insert into ${table} (tenant, ${id}, ordinal, version, body${more(columns.map(name => sql.ref(name)))})
      select tenant, id, ordinal, 1, body${more(columns.map(name => sql.ref(name)))} from ${from}
      where not exists (select 1 from tombstones
        where tombstones.tenant = input.tenant and tombstones.kind = ${sql.lit(codec.kind)} and tombstones.id = input.id)
      on conflict do nothing returning version`,
    ),
    update: batches.batch(
      `update-${codec.kind}`,
      { ...input, if_version: 'int' },
      from => sql`
      update ${table} set version = version + 1, body = input.body${more(
        columns.map(name => sql`${sql.ref(name)} = ${sql.ref(`input.${name}`)}`),
      )} from ${from} where ${exact('if_version')}${sql.join(
        codec.fixed.map(name => same(name)),
        sql``,
      )}
      returning ${sql.ref(`${codec.table}.version`)}`,
    ),
    entomb: batches.batch(
      `entomb-${codec.kind}`,
      { tenant: 'text', id: 'text', if_version: 'int' },
      from => sql`
      insert into tombstones (tenant, kind, id, ordinal)
      select ${sql.ref(`${codec.table}.tenant`)}, ${sql.lit(codec.kind)}, ${sql.ref(`${codec.table}.${codec.id}`)},
        ${sql.ref(`${codec.table}.ordinal`)} from ${table}, ${from} where ${exact('if_version')}
      on conflict do nothing returning id`,
    ),
    remove: batches.batch(
      `remove-${codec.kind}`,
      { tenant: 'text', id: 'text', if_version: 'int' },
      from => sql`
      delete from ${table} where (tenant, ${id}, version) in (select tenant, id, if_version from ${from})`,
    ),
  }
}

interface Stored {
  readonly version: number
  readonly body: string
}

export function parseRecord<K extends RecordKind>(row: Stored): Versioned<Records[K]> {
  return { ...JSON.parse(row.body), version: row.version }
}

function parseIfAny<K extends RecordKind>(row: Stored | undefined): Versioned<Records[K]> | undefined {
  return row === undefined ? undefined : parseRecord<K>(row)
}

/**
 * Whether a text may stand in a key: well-formed Unicode without NUL, which PostgreSQL cannot hold, and short enough
 * for an index. Anything else names nothing that is stored.
 */
export function isStorable(text: string, limit = 1024): boolean {
  return (
    text.length <= limit && !text.includes('\0') && text.isWellFormed() && Buffer.byteLength(text) <= limit
  )
}

/** Looks one record up by its id, or by another unique column. */
export async function findRecord<K extends RecordKind>(
  db: Db,
  codec: Codec<K>,
  scope: Scope,
  key: { readonly column?: string; readonly is: string },
): Promise<Versioned<Records[K]> | undefined> {
  if (!isStorable(key.is)) return undefined
  const row = await db
    .selectFrom(codec.table as 'clients')
    .select(['version', 'body'])
    .where('tenant', '=', scope.tenant)
    .where((key.column ?? codec.id) as 'id', '=', key.is)
    .executeTakeFirst()
  return parseIfAny<K>(row)
}

/** Conditions of a list: a column and what it must be. */
export type Conditions = Readonly<Record<string, string | undefined>>

const pageLimit = 1000

/** A page in the order of creation. Rows never move in it, so nothing is skipped or seen twice. */
export async function listRecords<K extends RecordKind>(
  db: Db,
  codec: Codec<K>,
  scope: Scope,
  ask: {
    readonly page: PageRequest
    readonly where?: Conditions
    readonly and?: RawBuilder<boolean> | undefined
  },
): Promise<Page<Versioned<Records[K]>>> {
  const limit = Math.max(1, Math.min(ask.page.limit, pageLimit))
  const from =
    ask.page.after === undefined ? 0 : await ordinalOf(db, codec as unknown as Codec, scope, ask.page.after)
  let query = db
    .selectFrom(codec.table as 'clients')
    .select(['version', 'body', sql.ref<string>(codec.id).as('key')])
    .where('tenant', '=', scope.tenant)
    .where('ordinal', '>', from)
    .orderBy('ordinal')
    .limit(limit + 1)
  for (const [column, is] of Object.entries(ask.where ?? {})) {
    if (is === undefined) continue
    if (!isStorable(is)) return { items: [], next: null }
    query = query.where(column as 'id', '=', is)
  }
  if (ask.and !== undefined) query = query.where(ask.and)
  const rows = await query.execute()
  const shown = rows.slice(0, limit)
  return {
    items: shown.map(row => parseRecord<K>(row)),
    next: rows.length > limit ? (shown.at(-1)?.key ?? null) : null,
  }
}

async function ordinalOf(db: Db, codec: Codec, scope: Scope, id: string): Promise<number> {
  if (isStorable(id)) {
    const row = await db
      .selectFrom(codec.table as 'clients')
      .select('ordinal')
      .where('tenant', '=', scope.tenant)
      .where(codec.id as 'id', '=', id)
      .unionAll(
        db
          .selectFrom('tombstones')
          .select('ordinal')
          .where('tenant', '=', scope.tenant)
          .where('kind', '=', codec.kind)
          .where('id', '=', id),
      )
      .executeTakeFirst()
    if (row !== undefined) return row.ordinal
  }
  throw new Fault('invalid_value', 'There is no item of this id to continue after.')
}
