// Secrets of the vault, their versions and leases, and the keys that wrap them: codecs and reads.
import { sql } from 'kysely'
import type { Secrets, VaultKeys } from '../../store.ts'
import type { Db } from '../dialect.ts'
import { type Codec, findRecord, isStorable, listRecords, parseRecord } from './record.ts'

export const secretCodec: Codec<'secret'> = {
  kind: 'secret',
  table: 'secrets',
  id: 'id',
  members: {
    id: true,
    name: true,
    description: true,
    owner: true,
    labels: true,
    consumers: true,
    leaseSeconds: true,
    rotator: true,
    resource: true,
    status: true,
    createdAt: true,
    updatedAt: true,
  },
  columns: { name: 'text', owner: 'text' },
  // INVARIANT: a name means one secret for ever; grants and tokens name it.
  fixed: ['name'],
  idOf: secret => secret.id,
  subjectOf: secret => secret.id,
  valuesOf: secret => [secret.name, secret.owner],
}

export const secretVersionCodec: Codec<'secretVersion'> = {
  kind: 'secretVersion',
  table: 'secret_versions',
  id: 'id',
  members: {
    id: true,
    secret: true,
    number: true,
    state: true,
    vaultKey: true,
    sealed: true,
    handle: true,
    rotation: true,
    createdAt: true,
    stateAt: true,
  },
  columns: { secret: 'text', number: 'int', state: 'text', vault_key: 'text' },
  fixed: ['secret', 'number'],
  idOf: version => version.id,
  // One subject for all: a batch that rewraps hundreds of them says one thing.
  subjectOf: () => 'secret-versions',
  valuesOf: version => [version.secret, version.number, version.state, version.vaultKey],
}

export const secretLeaseCodec: Codec<'secretLease'> = {
  kind: 'secretLease',
  table: 'secret_leases',
  id: 'id',
  members: {
    id: true,
    secret: true,
    agent: true,
    instance: true,
    handle: true,
    state: true,
    createdAt: true,
    expiresAt: true,
    stateAt: true,
    attempts: true,
    dueAt: true,
  },
  columns: { secret: 'text', agent: 'text', state: 'text', due_at: 'int' },
  fixed: ['secret', 'agent'],
  idOf: lease => lease.id,
  subjectOf: () => 'secret-leases',
  valuesOf: lease => [lease.secret, lease.agent, lease.state, lease.dueAt],
}

export const vaultKeyCodec: Codec<'vaultKey'> = {
  kind: 'vaultKey',
  table: 'vault_keys',
  id: 'id',
  members: {
    id: true,
    state: true,
    sealed: true,
    root: true,
    createdAt: true,
    activatesAt: true,
    stateAt: true,
  },
  columns: { state: 'text' },
  fixed: [],
  idOf: key => key.id,
  subjectOf: key => `vault-key:${key.id}`,
  valuesOf: key => [key.state],
}

export const secretsOver = (db: Db): Secrets => ({
  get: (scope, id) => findRecord(db, secretCodec, scope, { is: id }),
  byName: (scope, name) => findRecord(db, secretCodec, scope, { column: 'name', is: name }),
  list: (scope, page, filter) => listRecords(db, secretCodec, scope, { page, where: { ...filter } }),
  version: (scope, id) => findRecord(db, secretVersionCodec, scope, { is: id }),
  async versions(scope, secret, filter = {}) {
    if (!isStorable(secret) || filter.states?.length === 0) return []
    let query = db
      .selectFrom('secret_versions')
      .select(['version', 'body'])
      .where('tenant', '=', scope.tenant)
      .where('secret', '=', secret)
      .orderBy('number')
    if (filter.states !== undefined) query = query.where('state', 'in', [...filter.states])
    return (await query.execute()).map(row => parseRecord<'secretVersion'>(row))
  },
  async under(scope, vaultKey, limit) {
    if (!isStorable(vaultKey)) return []
    const rows = await db
      .selectFrom('secret_versions')
      .select(['version', 'body'])
      .where('tenant', '=', scope.tenant)
      .where('vault_key', '=', vaultKey)
      .limit(limit)
      .execute()
    return rows.map(row => parseRecord<'secretVersion'>(row))
  },
  async countUnder(scope, vaultKey) {
    if (!isStorable(vaultKey)) return 0
    const row = await db
      .selectFrom('secret_versions')
      .select(sql<number>`count(*)`.as('count'))
      .where('tenant', '=', scope.tenant)
      .where('vault_key', '=', vaultKey)
      .executeTakeFirstOrThrow()
    return Number(row.count)
  },
  lease: (scope, id) => findRecord(db, secretLeaseCodec, scope, { is: id }),
  leases: (scope, page, filter) => listRecords(db, secretLeaseCodec, scope, { page, where: { ...filter } }),
  async liveLeases(scope, { agent, secret }, limit, after = '') {
    if (!isStorable(agent ?? '') || !isStorable(secret ?? '') || !isStorable(after)) return []
    let query = db
      .selectFrom('secret_leases')
      .select(['version', 'body'])
      .where('tenant', '=', scope.tenant)
      .where('state', '!=', 'ended')
      .where('id', '>', after)
      .orderBy('id')
      .limit(limit)
    if (agent !== undefined) query = query.where('agent', '=', agent)
    if (secret !== undefined) query = query.where('secret', '=', secret)
    return (await query.execute()).map(row => parseRecord<'secretLease'>(row))
  },
  async dueLeases(scope, now, limit) {
    const rows = await db
      .selectFrom('secret_leases')
      .select(['version', 'body'])
      .where('tenant', '=', scope.tenant)
      .where('due_at', '<=', now)
      .orderBy('due_at')
      .limit(limit)
      .execute()
    return rows.map(row => parseRecord<'secretLease'>(row))
  },
})

export const vaultKeysOver = (db: Db): VaultKeys => ({
  async list(scope) {
    const rows = await db
      .selectFrom('vault_keys')
      .select(['version', 'body'])
      .where('tenant', '=', scope.tenant)
      .orderBy('ordinal')
      .execute()
    return rows.map(row => parseRecord<'vaultKey'>(row))
  },
})
