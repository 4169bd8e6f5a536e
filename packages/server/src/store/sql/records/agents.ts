// Agents and their instances: codecs and reads.
import type { Agents } from '../../store.ts'
import type { Db } from '../dialect.ts'
import { type Codec, findRecord, listRecords } from './record.ts'

export const agentCodec: Codec<'agent'> = {
  kind: 'agent',
  table: 'agents',
  id: 'id',
  members: {
    id: true,
    name: true,
    owner: true,
    purpose: true,
    kind: true,
    model: true,
    provider: true,
    softwareVersion: true,
    labels: true,
    status: true,
    statusReason: true,
    statusAt: true,
    expiresAt: true,
    createdAt: true,
    updatedAt: true,
  },
  columns: { owner: 'text', status: 'text', name: 'text' },
  fixed: [],
  idOf: agent => agent.id,
  subjectOf: agent => agent.id,
  valuesOf: agent => [agent.owner, agent.status, agent.name],
}

export const instanceCodec: Codec<'instance'> = {
  kind: 'instance',
  table: 'instances',
  id: 'id',
  members: { id: true, agent: true, createdAt: true, enrollment: true },
  columns: { agent: 'text' },
  fixed: ['agent'],
  idOf: instance => instance.id,
  subjectOf: instance => instance.agent,
  valuesOf: instance => [instance.agent],
}

export const agentsOver = (db: Db): Agents => ({
  get: (scope, id) => findRecord(db, agentCodec, scope, { is: id }),
  list: (scope, page, filter) => listRecords(db, agentCodec, scope, { page, where: { ...filter } }),
  instance: (scope, id) => findRecord(db, instanceCodec, scope, { is: id }),
  instances: (scope, page, { agent }) => listRecords(db, instanceCodec, scope, { page, where: { agent } }),
})
