// Eligibilities: codec and reads.
import type { Eligibilities } from '../../authorization.ts'
import type { Db } from '../dialect.ts'
import { type Codec, findRecord, listRecords } from './record.ts'

export const eligibilityCodec: Codec<'eligibility'> = {
  kind: 'eligibility',
  table: 'eligibilities',
  id: 'id',
  members: {
    id: true,
    agent: true,
    resource: true,
    scopes: true,
    authorizationDetails: true,
    condition: true,
    budgets: true,
    maxSeconds: true,
    approval: true,
    approvers: true,
    breakGlass: true,
    reason: true,
    expiresAt: true,
    createdAt: true,
    createdBy: true,
    revokedAt: true,
  },
  columns: { agent: 'text', resource: 'text' },
  fixed: ['agent', 'resource'],
  idOf: ({ id }) => id,
  subjectOf: eligibility => eligibility.id,
  valuesOf: eligibility => [eligibility.agent, eligibility.resource],
}

export const eligibilitiesOver = (db: Db): Eligibilities => ({
  get: (scope, id) => findRecord(db, eligibilityCodec, scope, { is: id }),
  list: (scope, page, { agent, resource }) =>
    listRecords(db, eligibilityCodec, scope, { page, where: { agent, resource } }),
})
