// Other OAuth clients: codec and reads.
import type { Clients } from '../../store.ts'
import type { Db } from '../dialect.ts'
import { type Codec, findRecord, listRecords } from './record.ts'

export const clientCodec: Codec<'client'> = {
  kind: 'client',
  table: 'clients',
  id: 'id',
  members: {
    id: true,
    name: true,
    tokenEndpointAuthMethod: true,
    metadata: true,
    status: true,
    statusReason: true,
    registrationHash: true,
    createdAt: true,
    updatedAt: true,
  },
  columns: {},
  fixed: [],
  idOf: client => client.id,
  subjectOf: client => client.id,
  valuesOf: () => [],
}

export const clientsOver = (db: Db): Clients => ({
  get: (scope, id) => findRecord(db, clientCodec, scope, { is: id }),
  list: (scope, page) => listRecords(db, clientCodec, scope, { page }),
})
