// RFC 7592 §2.2 and §3: a registration as its client writes it whole, and as it is answered.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Secret } from '@writ/sdk/protocol/secret'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import type { Key } from '../../domain/agent.ts'
import { type Client, registrationPath } from '../../domain/client.ts'
import { hashOfSecret, isClientSecretLive } from '../../domain/client-secret.ts'
import type { Store } from '../../store/store.ts'
import { check } from '../input.ts'
import * as wire from '../wire.ts'
import type { Wanted } from './change.ts'
import { clientMembers } from './metadata.ts'

/** The answer of RFC 7591 §3.2.1, with the members that RFC 7592 §3 adds. */
export type Registration = Readonly<Record<string, unknown>>

interface Given {
  readonly keys: readonly Key[]
  readonly token: Secret<string>
  /** Where one has just been made: only its hash is kept, so it can be shown at no other time. */
  readonly secret?: Secret<string>
}

export function clientRegistration(ctx: Ctx, client: Client, { keys, token, secret }: Given): Registration {
  return {
    ...client.metadata,
    client_id: client.id,
    client_id_issued_at: client.createdAt,
    client_name: client.name,
    token_endpoint_auth_method: client.tokenEndpointAuthMethod,
    ...(keys.length === 0 ? {} : { jwks: { keys: keys.map(key => ({ ...key.jwk })) } }),
    ...(secret === undefined ? {} : { client_secret: secret.reveal(), client_secret_expires_at: 0 }),
    registration_client_uri: ctx.issuer + registrationPath(client.id),
    // The one that was shown for this: it is kept as a hash too.
    registration_access_token: token.reveal(),
  }
}

/** RFC 7592 §2.2: what an answer carries and a request must not. */
const forbidden = [
  'registration_access_token',
  'registration_client_uri',
  'client_secret_expires_at',
  'client_id_issued_at',
]

// RFC 7591 §2: metadata that are not understood are ignored, so that a client may send all servers the same.
const members = z.object({ ...clientMembers, client_name: wire.name })

const refuse = (member: string, say: string): Fault =>
  new Fault('invalid_client_metadata', `The member ${member} ${say}.`, { kind: 'registration', member })

/** The registration that is wanted, and the secret that was shown with it. Throws Faults that name the member. */
export async function parseRegistration(
  ctx: Ctx,
  deps: { readonly store: Pick<Store, 'clientSecrets'> },
  client: Client,
  body: Readonly<Record<string, unknown>>,
): Promise<{ readonly wanted: Wanted; readonly secret: string | undefined }> {
  // RFC 7592 §2.2: null is what was left out.
  const given = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null))
  for (const member of forbidden) if (Object.hasOwn(given, member)) throw refuse(member, 'must not be sent')
  if (given['client_id'] !== client.id) throw refuse('client_id', 'must be the one of this registration')
  const secret = given['client_secret']
  if (secret !== undefined && !(await isCurrent(ctx, deps, client, secret)))
    throw refuse('client_secret', 'must be a current one of this client')
  const parsed = check(members, given, 'member') as z.output<typeof members>
  const { client_name: name, token_endpoint_auth_method: method, jwks, jwks_uri: _, ...metadata } = parsed
  return {
    wanted: {
      name,
      // Left out it stays: to fall to the default would make a client with a secret a public one.
      method: method ?? (jwks === undefined ? client.tokenEndpointAuthMethod : 'private_key_jwt'),
      metadata: wire.given(metadata),
      jwks: jwks?.keys ?? [],
    },
    secret: typeof secret === 'string' ? secret : undefined,
  }
}

/** A client never chooses its secret: what it sends must be one that it was given and that lives. */
async function isCurrent(
  ctx: Ctx,
  deps: { readonly store: Pick<Store, 'clientSecrets'> },
  client: Client,
  secret: unknown,
): Promise<boolean> {
  if (typeof secret !== 'string') return false
  const hash = hashOfSecret(secret)
  const secrets = await deps.store.clientSecrets.ofClient(ctx, client.id)
  return secrets.some(one => one.hash === hash && isClientSecretLive(one, ctx.now))
}
