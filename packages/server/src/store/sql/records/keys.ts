// Keys of agents' instances and of clients, with their last use: codec and reads.
import type { KeyUse } from '../../../domain/agent.ts'
import type { Keys, Scope } from '../../store.ts'
import type { Db } from '../dialect.ts'
import { type Codec, findRecord, isStorable, listRecords, parseRecord } from './record.ts'

export const keyCodec: Codec<'key'> = {
  kind: 'key',
  table: 'keys',
  id: 'thumbprint',
  members: {
    thumbprint: true,
    kid: true,
    owner: true,
    instance: true,
    jwk: true,
    state: true,
    notBefore: true,
    expiresAt: true,
    createdAt: true,
    stateAt: true,
    stateReason: true,
    askedAt: true,
  },
  columns: { owner: 'text', kid: 'text', state: 'text', expires_at: 'int' },
  // INVARIANT: a key names one holder for ever; no change hands it to another.
  fixed: ['owner'],
  idOf: key => key.thumbprint,
  subjectOf: key => key.owner,
  valuesOf: key => [key.owner, key.kid, key.state, key.expiresAt],
}

async function usesOf(
  db: Db,
  scope: Scope,
  thumbprints: readonly string[],
): Promise<ReadonlyMap<string, KeyUse>> {
  if (thumbprints.length === 0) return new Map()
  const rows = await db
    .selectFrom('key_uses')
    .select(['thumbprint', 'last_used_at', 'last_used_from'])
    .where('tenant', '=', scope.tenant)
    .where('thumbprint', 'in', thumbprints)
    .execute()
  return new Map(
    rows.map(row => [row.thumbprint, { lastUsedAt: row.last_used_at, lastUsedFrom: row.last_used_from }]),
  )
}

export const keysOver = (db: Db): Keys => ({
  byThumbprint: (scope, thumbprint) => findRecord(db, keyCodec, scope, { is: thumbprint }),
  async ofOwner(scope, owner) {
    if (!isStorable(owner)) return []
    const rows = await db
      .selectFrom('keys')
      .leftJoin('key_uses', join =>
        join
          .onRef('key_uses.tenant', '=', 'keys.tenant')
          .onRef('key_uses.thumbprint', '=', 'keys.thumbprint'),
      )
      .select(['keys.version', 'keys.body', 'key_uses.last_used_at', 'key_uses.last_used_from'])
      .where('keys.tenant', '=', scope.tenant)
      .where('keys.owner', '=', owner)
      .orderBy('keys.ordinal')
      .execute()
    return rows.map(row => ({
      ...parseRecord<'key'>(row),
      use:
        row.last_used_at === null ? null : { lastUsedAt: row.last_used_at, lastUsedFrom: row.last_used_from },
    }))
  },
  async named(scope, owner, names) {
    const known = names.filter(name => isStorable(name))
    if (!isStorable(owner) || known.length === 0) return []
    const rows = await db
      .selectFrom('keys')
      .select(['version', 'body'])
      .where('tenant', '=', scope.tenant)
      .where('owner', '=', owner)
      .where(either => either.or([either('kid', 'in', known), either('thumbprint', 'in', known)]))
      .orderBy('ordinal')
      .execute()
    return rows.map(row => parseRecord<'key'>(row))
  },
  async list(scope, page, { owner }) {
    const { items, next } = await listRecords(db, keyCodec, scope, { page, where: { owner } })
    const uses = await usesOf(
      db,
      scope,
      items.map(({ thumbprint }) => thumbprint),
    )
    return { items: items.map(key => ({ ...key, use: uses.get(key.thumbprint) ?? null })), next }
  },
  async expired(scope, now, limit) {
    const rows = await db
      .selectFrom('keys')
      .select(['version', 'body'])
      .where('tenant', '=', scope.tenant)
      .where('state', '=', 'retiring')
      .where('expires_at', '<=', now)
      .orderBy('expires_at')
      .limit(limit)
      .execute()
    return rows.map(row => parseRecord<'key'>(row))
  },
})
