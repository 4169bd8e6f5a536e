// Protected resources: codec and reads.
import type { Resources } from '../../store.ts'
import type { Db } from '../dialect.ts'
import { type Codec, findRecord, listRecords } from './record.ts'

export const resourceCodec: Codec<'resource'> = {
  kind: 'resource',
  table: 'resources',
  id: 'id',
  members: {
    id: true,
    identifier: true,
    name: true,
    scopes: true,
    introspectionClients: true,
    bearerAllowed: true,
    actions: true,
    createdAt: true,
    updatedAt: true,
  },
  columns: { identifier: 'text' },
  fixed: [],
  idOf: resource => resource.id,
  subjectOf: resource => resource.id,
  valuesOf: resource => [resource.identifier],
}

export const resourcesOver = (db: Db): Resources => ({
  get: (scope, id) => findRecord(db, resourceCodec, scope, { is: id }),
  byIdentifier: (scope, identifier) =>
    findRecord(db, resourceCodec, scope, { column: 'identifier', is: identifier }),
  list: (scope, page) => listRecords(db, resourceCodec, scope, { page }),
})
