// RFC 6749 §2.3.1: client id and secret in the body of the request, never in its address.
import { Secret } from '@writ/sdk/protocol/secret'
import { one } from '../evidence.ts'
import { proveSecret } from './client-secret.ts'
import type { ClientAuthMethod } from './method.ts'

export const clientSecretPost: ClientAuthMethod = {
  name: 'client_secret_post',

  isUsed: ({ form }) => form.has('client_secret'),

  async prove(ctx, deps, { form }) {
    const client = one(form, 'client_id')
    const secret = one(form, 'client_secret')
    const isWhole = client !== undefined && secret !== undefined
    return proveSecret(ctx, deps, this.name, isWhole ? { client, secret: new Secret(secret) } : undefined)
  },
}
