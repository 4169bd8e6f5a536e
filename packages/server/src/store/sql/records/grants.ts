// Grants: codec and reads.
import { sql } from 'kysely'
import type { Grants } from '../../store.ts'
import type { Db } from '../dialect.ts'
import { type Codec, findRecord, listRecords } from './record.ts'

export const grantCodec: Codec<'grant'> = {
  kind: 'grant',
  table: 'grants',
  id: 'id',
  members: {
    id: true,
    agent: true,
    resource: true,
    scopes: true,
    authorizationDetails: true,
    condition: true,
    budgets: true,
    activation: true,
    reason: true,
    expiresAt: true,
    createdAt: true,
    createdBy: true,
    revokedAt: true,
  },
  columns: { agent: 'text', resource: 'text', expires_at: 'int', revoked_at: 'int', created_at: 'int' },
  // INVARIANT: a grant is never turned into one for somebody or something else.
  fixed: ['agent', 'resource'],
  idOf: grant => grant.id,
  subjectOf: grant => grant.agent,
  valuesOf: grant => [grant.agent, grant.resource, grant.expiresAt, grant.revokedAt, grant.createdAt],
}

export const grantsOver = (db: Db): Grants => ({
  get: (scope, id) => findRecord(db, grantCodec, scope, { is: id }),
  list: (scope, page, { agent, resource, liveAt }) =>
    listRecords(db, grantCodec, scope, {
      page,
      where: { agent, resource },
      // A grant is good strictly before its `expiresAt`.
      and:
        liveAt === undefined
          ? undefined
          : sql<boolean>`(revoked_at is null and (expires_at is null or expires_at > ${liveAt}))`,
    }),
})
