// Enforcement points: what each connection to the revocation stream says to have enforced, seen from every node.
import { sql } from 'kysely'
import type { EnforcementPoints } from '../../authorization.ts'
import type { Db } from '../dialect.ts'
import { type Batches, type Engine, type Steps, step } from '../engine/engine.ts'
import { isStorable } from '../records/record.ts'

export function enforcementPointsOver(db: Db, engine: Engine, { batch }: Batches): EnforcementPoints {
  const upsert = batch(
    'enforcement-point',
    { tenant: 'text', id: 'text', label: 'text', node: 'text', epoch: 'int', seen: 'int' },
    input => sql`
    insert into enforcement_points (tenant, id, label, node, epoch, seen_ms)
    select tenant, id, label, node, epoch, seen from ${input} where true
    on conflict (tenant, id) do update set label = excluded.label, node = excluded.node,
      epoch = case when excluded.epoch > enforcement_points.epoch
        then excluded.epoch else enforcement_points.epoch end,
      seen_ms = case when excluded.seen_ms > enforcement_points.seen_ms
        then excluded.seen_ms else enforcement_points.seen_ms end`,
  )
  return {
    async report({ tenant }, { id, label, node, epoch, seenMs }) {
      if (![id, label, node].every(text => isStorable(text))) return
      await engine.transact(function* report(): Steps<void> {
        yield [step(upsert, [[tenant, id, label, node, epoch, seenMs]])]
        return { result: undefined }
      })
    },
    async forget({ tenant }, id) {
      if (!isStorable(id)) return
      await db.deleteFrom('enforcement_points').where('tenant', '=', tenant).where('id', '=', id).execute()
    },
    async list({ tenant }, sinceMs) {
      const rows = await db
        .selectFrom('enforcement_points')
        .selectAll()
        .where('tenant', '=', tenant)
        .where('seen_ms', '>=', sinceMs)
        .orderBy('id')
        .execute()
      return rows.map(({ id, label, node, epoch, seen_ms }) => ({ id, label, node, epoch, seenMs: seen_ms }))
    },
  }
}
