// The members of a client's registration, RFC 7591 §2: an allow-list, each bounded, each with its rule.
import { detailTypes } from '@writ/sdk/protocol/details/index'
import { Fault } from '@writ/sdk/protocol/fault'
import { isSecureUrl } from '@writ/sdk/protocol/uri'
import { z } from 'zod'
import { withoutForce } from '../grants/grants.ts'
import * as wire from '../wire.ts'

/** RFC 9700 §2.1 and §4.1: absolute, no fragment, https or this machine, or a private scheme of a reversed name (RFC 8252 §7.1). */
function isRedirectUri(text: string): boolean {
  if (!/^[\x21-\x7e]+$/.test(text) || text.includes('#') || !URL.canParse(text)) return false
  const { protocol, username, password } = new URL(text)
  if (username !== '' || password !== '') return false
  if (protocol === 'https:' || protocol === 'http:') return isSecureUrl(text)
  return /^[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:$/.test(protocol)
}

const redirectUri = z.string().min(1).max(512).refine(isRedirectUri, 'is not a redirect URI that may be used')
const webUrl = z.string().min(1).max(512).refine(isSecureUrl, 'is not an https URL')

const metadata = {
  redirect_uris: z.array(redirectUri).min(1).max(16).optional(),
  grant_types: z
    .array(z.enum(['authorization_code', 'refresh_token']))
    .max(2)
    .optional(),
  response_types: z
    .array(z.enum(['code']))
    .max(1)
    .optional(),
  application_type: z.enum(['web', 'native']).optional(),
  contacts: z.array(wire.prose).max(8).optional(),
  client_uri: webUrl.optional(),
  logo_uri: webUrl.optional(),
  tos_uri: webUrl.optional(),
  policy_uri: webUrl.optional(),
  software_id: wire.name.optional(),
  software_version: wire.name.optional(),
  authorization_details_types: z
    .array(z.enum(Object.keys(detailTypes)))
    .max(16)
    .optional()
    .meta({ description: 'RFC 9396 §10: the types of authorization details that the client uses' }),
}

export type ClientMetadata = z.output<z.ZodObject<typeof metadata>>

const authMethod = z.enum(['private_key_jwt', 'client_secret_basic', 'client_secret_post', 'none'])

export const clientMembers = {
  ...metadata,
  token_endpoint_auth_method: authMethod.optional().meta({
    description:
      'private_key_jwt where a jwks is given, none otherwise; a shared secret only where it is asked for',
  }),
  jwks: z.strictObject({ keys: z.array(z.record(z.string(), z.unknown())).min(1).max(16) }).optional(),
  jwks_uri: withoutForce('Keys behind a URL'),
}

export const clientShown = z
  .strictObject({
    ...metadata,
    id: wire.id('cli'),
    client_id: wire.id('cli'),
    client_id_issued_at: z.int().meta({ description: 'Epoch seconds, RFC 7591 §3.2.1' }),
    client_name: z.string(),
    token_endpoint_auth_method: authMethod,
    jwks: z.strictObject({ keys: z.array(z.record(z.string(), z.unknown())) }).optional(),
    status: z.enum(['active', 'suspended']),
    status_reason: z.string().nullable(),
    created_at: wire.shownInstant,
    updated_at: wire.shownInstant,
  })
  .meta({ id: 'Client' })

/** RFC 7591 §3.2.1: what only its creation shows, and never again. */
export const clientCreated = clientShown
  .extend({
    client_secret: z.string().optional().meta({ description: 'Shown once; only its hash is kept' }),
    client_secret_expires_at: z.literal(0).optional().meta({ description: '0: it has no end of its own' }),
    registration_client_uri: z.url().meta({ description: 'RFC 7592: where the client manages itself' }),
    registration_access_token: z.string().meta({ description: 'RFC 7592; shown once' }),
  })
  .meta({ id: 'ClientCreated' })

/** What single members cannot say: a method has its keys, a grant type its response type (RFC 7591 §2.1). */
export function mustFit(
  method: z.output<typeof authMethod>,
  hasKeys: boolean,
  members: ClientMetadata,
): void {
  const refuse = (member: string, say: string) =>
    new Fault('invalid_value', `The member ${member} ${say}.`, { kind: 'client_metadata', member })
  if (method === 'private_key_jwt' && !hasKeys) throw refuse('jwks', 'is needed for private_key_jwt')
  if (method !== 'private_key_jwt' && hasKeys)
    throw refuse('token_endpoint_auth_method', `is ${method}, so a jwks has no use`)
  const usesCode = members.grant_types?.includes('authorization_code') ?? members.redirect_uris !== undefined
  if (usesCode && members.redirect_uris === undefined) {
    throw refuse('redirect_uris', 'is needed for the grant type authorization_code')
  }
  if (members.response_types?.includes('code') && !usesCode) {
    throw refuse('response_types', 'names code, which needs the grant type authorization_code')
  }
}
