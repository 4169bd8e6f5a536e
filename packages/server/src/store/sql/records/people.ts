// People: codec and reads.
import { isId } from '@writ/sdk/protocol/identifier'
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
  members: async (scope, page, group) => {
    if (!isId('grp', group)) return { items: [], next: null }
    // Not `like`: it has wildcards, and SQLite's takes letters of another case for the same.
    const without = sql`replace(groups, ${` ${group} `}, '')`
    return listRecords(db, personCodec, scope, { page, and: sql<boolean>`${without} <> groups` })
  },
})
