// Approvals: codec and reads.
import { sql } from 'kysely'
import { dueAtOf, isUnreviewed } from '../../../domain/authorization/approval.ts'
import type { Approvals } from '../../authorization.ts'
import type { Db } from '../dialect.ts'
import { type Codec, findRecord, listRecords, parseRecord } from './record.ts'

export const approvalCodec: Codec<'approval'> = {
  kind: 'approval',
  table: 'approvals',
  id: 'id',
  members: {
    id: true,
    kind: true,
    asked: true,
    reason: true,
    breakGlass: true,
    requestedBy: true,
    state: true,
    decidedBy: true,
    decisionReason: true,
    approved: true,
    approvedUntil: true,
    grant: true,
    review: true,
    callback: true,
    expiresAt: true,
    createdAt: true,
    stateAt: true,
  },
  columns: { agent: 'text', kind: 'text', state: 'text', due_at: 'int', unreviewed: 'int' },
  fixed: ['agent', 'kind'],
  idOf: ({ id }) => id,
  subjectOf: approval => approval.id,
  valuesOf: approval => [
    approval.asked.agent,
    approval.kind,
    approval.state,
    dueAtOf(approval),
    isUnreviewed(approval) ? 1 : 0,
  ],
}

export const approvalsOver = (db: Db): Approvals => ({
  get: (scope, id) => findRecord(db, approvalCodec, scope, { is: id }),
  list: (scope, page, { agent, state, kind, unreviewed }) =>
    listRecords(db, approvalCodec, scope, {
      page,
      where: { agent, state, kind },
      and: unreviewed ? sql<boolean>`unreviewed = 1` : undefined,
    }),
  async due({ tenant }, now, limit) {
    const rows = await db
      .selectFrom('approvals')
      .select(['version', 'body'])
      .where('tenant', '=', tenant)
      .where('due_at', '<=', now)
      .orderBy('due_at')
      .limit(limit)
      .execute()
    return rows.map(row => parseRecord<'approval'>(row))
  },
})
