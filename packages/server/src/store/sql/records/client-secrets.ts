// Hashed secrets of OAuth clients: codec and reads.
import type { ClientSecrets } from '../../store.ts'
import type { Db } from '../dialect.ts'
import { type Codec, isStorable, parseRecord } from './record.ts'

export const clientSecretCodec: Codec<'clientSecret'> = {
  kind: 'clientSecret',
  table: 'client_secrets',
  id: 'id',
  members: {
    id: true,
    client: true,
    hash: true,
    state: true,
    createdAt: true,
    expiresAt: true,
    stateAt: true,
  },
  columns: { client: 'text', state: 'text' },
  // INVARIANT: a secret proves one client for ever.
  fixed: ['client'],
  idOf: secret => secret.id,
  subjectOf: secret => secret.client,
  valuesOf: secret => [secret.client, secret.state],
}

export const clientSecretsOver = (db: Db): ClientSecrets => ({
  async ofClient(scope, client) {
    if (!isStorable(client)) return []
    const rows = await db
      .selectFrom('client_secrets')
      .select(['version', 'body'])
      .where('tenant', '=', scope.tenant)
      .where('client', '=', client)
      .orderBy('ordinal')
      .execute()
    return rows.map(row => parseRecord<'clientSecret'>(row))
  },
})
