// Policy sets: codec and reads.
import { policySubject } from '../../../domain/authorization/policy/set.ts'
import type { PolicySets } from '../../authorization.ts'
import type { Db } from '../dialect.ts'
import { type Codec, findRecord, listRecords } from './record.ts'

export const policySetCodec: Codec<'policySet'> = {
  kind: 'policySet',
  table: 'policy_sets',
  id: 'id',
  members: {
    id: true,
    number: true,
    source: true,
    digest: true,
    actions: true,
    state: true,
    note: true,
    createdAt: true,
    createdBy: true,
    stateAt: true,
    activatedAt: true,
  },
  columns: { number: 'int', state: 'text' },
  fixed: ['number'],
  idOf: ({ id }) => id,
  subjectOf: () => policySubject,
  valuesOf: set => [set.number, set.state],
}

export const policySetsOver = (db: Db): PolicySets => ({
  get: (scope, id) => findRecord(db, policySetCodec, scope, { is: id }),
  list: (scope, page, { state }) => listRecords(db, policySetCodec, scope, { page, where: { state } }),
  async newest({ tenant }) {
    const row = await db
      .selectFrom('policy_sets')
      .select(({ fn }) => fn.max('number').as('number'))
      .where('tenant', '=', tenant)
      .executeTakeFirst()
    return row?.number ?? 0
  },
})
