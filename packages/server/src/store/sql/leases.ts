// Leases of background loops, on the store's own clock, with a fence that grows with each new holder.
import { sql } from 'kysely'
import type { Leases } from '../store.ts'
import type { Db } from './dialect.ts'
import type { Engine } from './engine/engine.ts'

/** The clock that all nodes share; where there is but one node, its own. */
const clockMs = (engine: Engine) =>
  engine.kind === 'postgres'
    ? sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`
    : sql<number>`cast(unixepoch('subsec') * 1000 as integer)`

export function leasesOver(db: Db, engine: Engine): Leases {
  const now = clockMs(engine)
  return {
    async hold(name, holder, seconds) {
      const until = sql<number>`${now} + ${Math.ceil(seconds * 1000)}`
      // One statement decides: a second holder finds the row taken whatever happens in between.
      const row = await db
        .insertInto('leases')
        .values({ name, holder, fence: 1, until_ms: until })
        .onConflict(conflict =>
          conflict
            .column('name')
            .doUpdateSet({
              holder: sql`excluded.holder`,
              until_ms: sql`excluded.until_ms`,
              fence: sql`case when leases.holder = excluded.holder then leases.fence else leases.fence + 1 end`,
            })
            .where(
              sql<boolean>`(leases.holder = excluded.holder or leases.holder is null or leases.until_ms <= ${now})`,
            ),
        )
        .returning('fence')
        .executeTakeFirst()
      return row === undefined ? 'held' : { fence: row.fence }
    },
    async release(name, holder) {
      await db
        .updateTable('leases')
        .set({ holder: null })
        .where('name', '=', name)
        .where('holder', '=', holder)
        .execute()
    },
  }
}
