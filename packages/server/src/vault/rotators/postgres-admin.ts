// What both rotators of PostgreSQL are told: where it is, who administers it, and whether that may be unencrypted.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Secret } from '@writ/sdk/protocol/secret'
import { z } from 'zod'
import { isSecretName } from '../../domain/vault/secret.ts'
import type { PostgresSession } from './postgres-session.ts'
import {
  isPostgresSecure,
  type PostgresAccess,
  type PostgresPlace,
  parsePostgresPlace,
  parsePostgresUrl,
} from './postgres-url.ts'

export const connectingOptions = {
  /** The secret with the URL of a role that may make roles. */
  admin: z.string().refine(isSecretName, 'is the name of a secret'),
  /** What the roles are members of: all that they may do comes from there. */
  memberOf: z
    .array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_$.@ -]{0,62}$/, 'is the name of a role'))
    .max(32)
    .default([]),
  /** Where consumers reach it, where that is not where the administrator does. */
  address: z
    .string()
    .refine(text => parsePostgresPlace(text) !== undefined, 'is a PostgreSQL URL without credentials')
    .optional(),
  /** Who vouches for its certificate, where that is nobody whom this machine trusts anyway. */
  ca: z
    .string()
    .max(65_536)
    .regex(/^-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+/=\r\n -]+-----END CERTIFICATE-----\s*$/, 'is PEM')
    .optional(),
  /** Lets credentials cross a network that is not encrypted. */
  plaintext: z.boolean().default(false),
} as const

interface Connecting {
  readonly admin: string
  readonly ca?: string | undefined
  readonly plaintext: boolean
}

interface Asking {
  readonly options: Connecting
  readonly secret: (name: string) => Promise<Secret<string>>
  readonly signal?: AbortSignal
}

/** How the administrator connects. Throws `conflict` where its secret says nothing usable. */
export async function sessionOf({ options, secret, signal }: Asking): Promise<PostgresSession> {
  const access = parsePostgresUrl((await secret(options.admin)).reveal())
  if (access === undefined)
    throw new Fault(
      'conflict',
      `The secret ${options.admin} is no URL such as postgres://role:password@host:5432/database, with nothing but ` +
        'sslmode behind it.',
      { kind: 'admin_unusable' },
    )
  const never = new AbortController().signal
  return { access: permitted(access, options), ca: options.ca, signal: signal ?? never }
}

/** The place, where credentials may travel there. */
export function permitted<T extends PostgresPlace | PostgresAccess>(place: T, { plaintext }: Connecting): T {
  if (plaintext || isPostgresSecure(place)) return place
  throw new Fault(
    'conflict',
    `Credentials would cross the network to ${place.host} unencrypted: add ?sslmode=verify-full to the URL, or say ` +
      'that it may be plaintext.',
    { kind: 'plaintext' },
  )
}
