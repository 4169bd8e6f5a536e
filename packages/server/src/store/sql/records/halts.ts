// Halts: codec and reads.
import { sql } from 'kysely'
import { haltSubject } from '../../../domain/authorization/halt.ts'
import type { Halts } from '../../authorization.ts'
import type { Db } from '../dialect.ts'
import { type Codec, findRecord, listRecords } from './record.ts'

export const haltCodec: Codec<'halt'> = {
  kind: 'halt',
  table: 'halts',
  id: 'id',
  members: {
    id: true,
    kind: true,
    target: true,
    reason: true,
    by: true,
    createdAt: true,
    liftedAt: true,
    liftedBy: true,
  },
  columns: { target: 'text', lifted: 'int' },
  fixed: ['target'],
  idOf: ({ id }) => id,
  subjectOf: () => haltSubject,
  valuesOf: halt => [`${halt.kind}:${halt.target}`, halt.liftedAt === null ? 0 : 1],
}

export const haltsOver = (db: Db): Halts => ({
  get: (scope, id) => findRecord(db, haltCodec, scope, { is: id }),
  list: (scope, page, { live, target }) =>
    listRecords(db, haltCodec, scope, {
      page,
      where: { target },
      and: live ? sql<boolean>`lifted = 0` : undefined,
    }),
})
