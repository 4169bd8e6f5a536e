// The issuer's signing keys, sealed: codec and reads.
import type { IssuerKeys } from '../../store.ts'
import type { Db } from '../dialect.ts'
import { type Codec, parseRecord } from './record.ts'

export const issuerKeyCodec: Codec<'issuerKey'> = {
  kind: 'issuerKey',
  table: 'issuer_keys',
  id: 'kid',
  members: {
    kid: true,
    purpose: true,
    alg: true,
    jwk: true,
    sealed: true,
    state: true,
    createdAt: true,
    activatesAt: true,
    retiresAt: true,
    stateAt: true,
  },
  columns: {},
  fixed: [],
  idOf: key => key.kid,
  subjectOf: key => `issuer-key:${key.kid}`,
  valuesOf: () => [],
}

export const issuerKeysOver = (db: Db): IssuerKeys => ({
  async list(scope) {
    const rows = await db
      .selectFrom('issuer_keys')
      .select(['version', 'body'])
      .where('tenant', '=', scope.tenant)
      .orderBy('ordinal')
      .execute()
    return rows.map(row => parseRecord<'issuerKey'>(row))
  },
})
