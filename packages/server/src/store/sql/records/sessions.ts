// Sessions of agents' instances, and the risk that was told of a subject: codecs and reads.
import { riskSubject } from '../../../domain/authorization/risk.ts'
import type { Risks, Sessions } from '../../authorization.ts'
import type { Db } from '../dialect.ts'
import { type Codec, findRecord, listRecords } from './record.ts'

export const sessionCodec: Codec<'session'> = {
  kind: 'session',
  table: 'sessions',
  id: 'id',
  members: {
    id: true,
    agent: true,
    instance: true,
    task: true,
    key: true,
    peer: true,
    createdAt: true,
    expiresAt: true,
    endedAt: true,
    endReason: true,
  },
  columns: { agent: 'text', instance: 'text' },
  fixed: ['agent', 'instance'],
  idOf: ({ id }) => id,
  subjectOf: session => session.id,
  valuesOf: session => [session.agent, session.instance],
}

export const riskCodec: Codec<'risk'> = {
  kind: 'risk',
  table: 'risks',
  id: 'id',
  members: {
    id: true,
    score: true,
    reason: true,
    source: true,
    createdAt: true,
    expiresAt: true,
  },
  columns: {},
  fixed: [],
  idOf: ({ id }) => id,
  subjectOf: risk => riskSubject(risk.id),
  valuesOf: () => [],
}

export const sessionsOver = (db: Db): Sessions => ({
  get: (scope, id) => findRecord(db, sessionCodec, scope, { is: id }),
  list: (scope, page, { agent, instance }) =>
    listRecords(db, sessionCodec, scope, { page, where: { agent, instance } }),
})

export const risksOver = (db: Db): Risks => ({
  get: (scope, id) => findRecord(db, riskCodec, scope, { is: id }),
  list: (scope, page) => listRecords(db, riskCodec, scope, { page }),
})
