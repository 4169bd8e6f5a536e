// Counts of use per grant, scope, tool and caller: added to in batches, read for "unused since".
import { sql } from 'kysely'
import type { Usage, UsageRow } from '../../authorization.ts'
import type { Db } from '../dialect.ts'
import { type Batches, type Engine, type Steps, step } from '../engine/engine.ts'
import { grantCodec } from '../records/grants.ts'
import { isStorable, listRecords } from '../records/record.ts'

const asRow = (row: {
  owner: string
  scope: string
  tool: string
  caller: string
  first_at: number
  last_at: number
  count: number
}): UsageRow => ({
  grant: row.owner,
  scope: row.scope,
  tool: row.tool,
  caller: row.caller,
  firstAt: row.first_at,
  lastAt: row.last_at,
  count: row.count,
})

/** Rows added in one transaction. */
const rowsAtOnce = 500

const adderOf = ({ batch }: Batches) =>
  batch(
    'usage-add',
    {
      tenant: 'text',
      owner: 'text',
      scope: 'text',
      tool: 'text',
      caller: 'text',
      first: 'int',
      last: 'int',
      times: 'int',
    },
    input => sql`
    insert into usage (tenant, owner, scope, tool, caller, first_at, last_at, count)
    select tenant, owner, scope, tool, caller, first, last, times from ${input}
    where exists (select 1 from grants where grants.tenant = input.tenant and grants.id = input.owner)
    on conflict (tenant, owner, scope, tool, caller) do update set
      first_at = case when excluded.first_at < usage.first_at then excluded.first_at else usage.first_at end,
      last_at = case when excluded.last_at > usage.last_at then excluded.last_at else usage.last_at end,
      count = usage.count + excluded.count`,
  )

export function usageOver(db: Db, engine: Engine, batches: Batches): Usage {
  const adder = adderOf(batches)
  return {
    async add({ tenant }, rows) {
      const storable = rows.filter(({ grant, scope, tool, caller }) =>
        [grant, scope, tool, caller].every(text => isStorable(text)),
      )
      for (let at = 0; at < storable.length; at += rowsAtOnce) {
        const some = storable
          .slice(at, at + rowsAtOnce)
          .map(row => [
            tenant,
            row.grant,
            row.scope,
            row.tool,
            row.caller,
            row.firstAt,
            row.lastAt,
            row.count,
          ])
        await engine.transact(function* add(): Steps<void> {
          yield [step(adder, some)]
          return { result: undefined }
        })
      }
    },
    async of({ tenant }, grant, limit) {
      if (!isStorable(grant)) return []
      const rows = await db
        .selectFrom('usage')
        .selectAll()
        .where('tenant', '=', tenant)
        .where('owner', '=', grant)
        .orderBy('last_at', 'desc')
        .limit(limit)
        .execute()
      return rows.map(asRow)
    },
    async unused(scope, page, { at, now }) {
      // A grant without a moment of its own is older than the column.
      const { items, next } = await listRecords(db, grantCodec, scope, {
        page,
        and: sql<boolean>`(revoked_at is null and (expires_at is null or expires_at > ${now})
          and created_at <= ${at}
          and not exists (select 1 from usage where usage.tenant = grants.tenant and usage.owner = grants.id
            and usage.last_at > ${at}))`,
      })
      const uses = await Promise.all(items.map(({ id }) => this.of(scope, id, 1)))
      return {
        items: items.map((grant, index) => ({ ...grant, lastUsedAt: uses[index]?.[0]?.lastAt ?? null })),
        next,
      }
    },
  }
}
