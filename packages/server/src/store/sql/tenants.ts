// Tenants: each is an issuer, with the head row that all of its commits go through.

import { Fault } from '@writ/sdk/protocol/fault'
import { sql } from 'kysely'
import type { Tenant, TenantId } from '../../domain/tenant.ts'
import type { Tenants } from '../store.ts'
import type { Db } from './dialect.ts'
import { type Batch, type Batches, type Engine, type Steps, step } from './engine/engine.ts'
import { isStorable } from './records/record.ts'

export interface TenantWriter {
  /** (id, issuer, createdAt) */
  readonly add: Batch
  /** (tenant) */
  readonly head: Batch
}

export const tenantWriterOf = ({ batch }: Batches): TenantWriter => ({
  add: batch(
    'add-tenant',
    { id: 'text', issuer: 'text', created_at: 'int' },
    input => sql`
    insert into tenants (id, issuer, created_at) select id, issuer, created_at from ${input} where true
    on conflict do nothing`,
  ),
  head: batch(
    'add-head',
    { tenant: 'text' },
    input => sql`
    insert into heads (tenant, size, epoch, ordinal, swept, runs)
    select tenant, 0, 0, 0, 0, 0 from ${input} where exists (select 1 from tenants where tenants.id = input.tenant)
    on conflict do nothing`,
  ),
})

interface TenantRow {
  readonly id: string
  readonly issuer: string
  readonly created_at: number
}

const toTenant = (row: TenantRow): Tenant => ({
  id: row.id as TenantId,
  issuer: row.issuer,
  createdAt: row.created_at,
})

export function tenantsOver(db: Db, engine: Engine, write: TenantWriter): Tenants {
  const get = async (id: TenantId): Promise<Tenant | undefined> => {
    if (!isStorable(id)) return undefined
    const row = await db.selectFrom('tenants').selectAll().where('id', '=', id).executeTakeFirst()
    return row === undefined ? undefined : toTenant(row)
  }
  return {
    get,
    list: async () => (await db.selectFrom('tenants').selectAll().orderBy('id').execute()).map(toTenant),
    async ensure(tenant) {
      if (!isStorable(tenant.id, 64) || tenant.id === '' || !isStorable(tenant.issuer)) {
        throw new Fault('invalid_value', 'The tenant has an id or issuer that cannot be stored.')
      }
      const known = await get(tenant.id)
      if (known !== undefined) return known
      await engine.transact(function* add(): Steps<void> {
        yield [step(write.add, [[tenant.id, tenant.issuer, tenant.createdAt]])]
        return { result: undefined, last: [step(write.head, [[tenant.id]])] }
      })
      const made = await get(tenant.id)
      if (made !== undefined) return made
      throw new Fault('conflict', 'Another tenant has this issuer.')
    },
  }
}
