// Groups of people: codec and reads.
import type { Groups } from '../../authorization.ts'
import type { Db } from '../dialect.ts'
import { type Codec, findRecord, listRecords } from './record.ts'

export const groupCodec: Codec<'group'> = {
  kind: 'group',
  table: 'groups',
  id: 'id',
  members: {
    id: true,
    name: true,
    description: true,
    createdAt: true,
    updatedAt: true,
  },
  columns: { name: 'text' },
  fixed: [],
  idOf: ({ id }) => id,
  subjectOf: group => group.id,
  valuesOf: group => [group.name],
}

export const groupsOver = (db: Db): Groups => ({
  get: (scope, id) => findRecord(db, groupCodec, scope, { is: id }),
  byName: (scope, name) => findRecord(db, groupCodec, scope, { column: 'name', is: name }),
  list: (scope, page) => listRecords(db, groupCodec, scope, { page }),
})
