// People: codec and reads.
import { sql } from 'kysely'
import type { People } from '../../store.ts'
import type { Db } from '../dialect.ts'
import { type Codec, findRecord, listRecords } from './record.ts'

export const personCodec: Codec<'person'> = {
  kind: 'person',
  table: 'people',
  id: 'id',
  members: {
    id: true,
    login: true,
    loginKey: true,
    name: true,
    passwordHash: true,
    groups: true,
    status: true,
    statusReason: true,
    createdAt: true,
    updatedAt: true,
  },
  columns: { login_key: 'text', groups: 'text' },
  fixed: [],
  idOf: person => person.id,
  subjectOf: person => person.id,
  valuesOf: person => [person.loginKey, ` ${(person.groups ?? []).join(' ')} `],
}

export const peopleOver = (db: Db): People => ({
  get: (scope, id) => findRecord(db, personCodec, scope, { is: id }),
  byLogin: (scope, loginKey) => findRecord(db, personCodec, scope, { column: 'login_key', is: loginKey }),
  list: (scope, page) => listRecords(db, personCodec, scope, { page }),
  // Ids have no wildcard of LIKE in them except `_`, which stands for itself too.
  members: (scope, page, group) =>
    listRecords(db, personCodec, scope, { page, and: sql<boolean>`groups like ${`% ${group} %`}` }),
})
