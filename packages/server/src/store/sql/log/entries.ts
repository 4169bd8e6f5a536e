// The audit log: entries as leaves, hash tiles, and the one newest checkpoint.
import { sql } from 'kysely'
import type { Log, StoredEntry } from '../../store.ts'
import type { Db } from '../dialect.ts'
import { type Batch, type Batches, type Engine, type Steps, step } from '../engine/engine.ts'
import { indexIn } from './event-id.ts'
import { findEntries } from './find.ts'

export interface LogWriter {
  /** (tenant, index, id, timeMs, type, agent, person, request, hash, text) */
  readonly append: Batch
  /** (tenant, index, id) → the entry's index, where it is that entry. */
  readonly has: Batch
  /** (tenant, size, note) → the tenant, when `size` is larger than before. */
  readonly checkpoint: Batch
  /** (tenant, level, index, hashes) */
  readonly tile: Batch
}

export const logWriterOf = ({ batch, insert }: Batches): LogWriter => ({
  append: insert('append', 'entries', {
    tenant: 'text',
    index: 'int',
    id: 'text',
    time_ms: 'int',
    type: 'text',
    agent: 'text',
    person: 'text',
    request: 'text',
    hash: 'bytes',
    text: 'text',
  }),
  has: batch(
    'has-entry',
    { tenant: 'text', index: 'int', id: 'text' },
    input => sql`
    select entries."index" from ${input} join entries
    on entries.tenant = input.tenant and entries."index" = input."index" where entries.id = input.id`,
  ),
  checkpoint: batch(
    'checkpoint',
    { tenant: 'text', size: 'int', note: 'text' },
    input => sql`
    insert into checkpoints (tenant, size, note) select tenant, size, note from ${input} where true
    on conflict (tenant) do update set size = excluded.size, note = excluded.note
    where checkpoints.size < excluded.size returning tenant`,
  ),
  tile: batch(
    'tile',
    { tenant: 'text', level: 'int', index: 'int', hashes: 'bytes' },
    input => sql`
    insert into tiles (tenant, level, "index", hashes) select tenant, level, "index", hashes from ${input} where true
    on conflict do nothing`,
  ),
})

const bytesOf = (stored: Uint8Array): Uint8Array =>
  new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength)

interface EntryRow {
  readonly index: number
  readonly text: string
}

const toEntry = ({ index, text }: EntryRow): StoredEntry => ({ index, text })

export function logOver(db: Db, engine: Engine, write: LogWriter): Log {
  const entries = () => db.selectFrom('entries').select(['index', 'text'])
  return {
    async size(scope) {
      const row = await db
        .selectFrom('heads')
        .select('size')
        .where('tenant', '=', scope.tenant)
        .executeTakeFirst()
      return row?.size ?? 0
    },
    async entry(scope, id): Promise<StoredEntry | undefined> {
      const index = indexIn(id)
      if (index === undefined) return undefined
      const row = await entries()
        .where('tenant', '=', scope.tenant)
        .where('index', '=', index)
        .where('id', '=', id)
        .executeTakeFirst()
      return row === undefined ? undefined : toEntry(row)
    },
    async range(scope, from, to) {
      const rows = await entries()
        .where('tenant', '=', scope.tenant)
        .where('index', '>=', from)
        .where('index', '<', to)
        .orderBy('index')
        .execute()
      return rows.map(toEntry)
    },
    async hashes(scope, from, to) {
      const rows = await db
        .selectFrom('entries')
        .select('hash')
        .where('tenant', '=', scope.tenant)
        .where('index', '>=', from)
        .where('index', '<', to)
        .orderBy('index')
        .execute()
      return bytesOf(Buffer.concat(rows.map(row => row.hash)))
    },
    find: (scope, filter, after, limit) => findEntries(db, scope, filter, { after, limit }),
    async tile(scope, level, index) {
      const row = await db
        .selectFrom('tiles')
        .select('hashes')
        .where('tenant', '=', scope.tenant)
        .where('level', '=', level)
        .where('index', '=', index)
        .executeTakeFirst()
      return row === undefined ? undefined : bytesOf(row.hashes)
    },
    async checkpoint(scope) {
      const row = await db
        .selectFrom('checkpoints')
        .select(['size', 'note'])
        .where('tenant', '=', scope.tenant)
        .executeTakeFirst()
      return row === undefined ? undefined : { size: row.size, note: row.note }
    },
    publish: (scope, size, note, tiles) =>
      engine.transact(function* publish(): Steps<boolean> {
        // INVARIANT: the row of the checkpoint only ever grows, and is written before any tile of its tree.
        const [grown] = yield [step(write.checkpoint, [[scope.tenant, size, note]])]
        if (grown?.length !== 1) return { result: false }
        const rows = tiles.map(tile => [scope.tenant, tile.level, tile.index, tile.hashes])
        return { result: true, last: [step(write.tile, rows)] }
      }),
  }
}
