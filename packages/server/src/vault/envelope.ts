// What of a secret is stored: the value under a key of its own, and that key under a tenant key (NIST SP 800-57 §5.3.5).
import { randomBytes } from 'node:crypto'
import { Secret } from '@writ/sdk/protocol/secret'
import { aesGcmSealer, keyBytes } from '../keys/aes-gcm.ts'
import type { Sealer } from '../keys/sealer.ts'
import type { VersionIdentity } from './vault.ts'

/** The longest value, in bytes of UTF-8. */
export const mostValueBytes = 8_192

/** Both sealed texts are made of letters, digits, `.`, `-` and `_`, so this stands in neither. */
const separator = '~'

/** The parts of a stored text. `wrapped` names the tenant key by the id of its sealer. */
export interface Envelope {
  readonly wrapped: string
  readonly value: string
}

/** The stored text, or undefined where it is not one. */
export function parseEnvelope(text: string): Envelope | undefined {
  const [wrapped, value, ...rest] = text.split(separator)
  return wrapped !== undefined && value !== undefined && rest.length === 0 ? { wrapped, value } : undefined
}

/**
 * Encrypts under a fresh data key: it seals one message ever, so no count of messages bounds it (NIST SP 800-38D §8.3).
 */
export function encloseValue(
  tenantKey: Sealer,
  value: Secret<string>,
  of: VersionIdentity & { readonly tenant: string },
): string {
  const dataKey = new Secret<Uint8Array>(randomBytes(keyBytes))
  const bytes = new Secret<Uint8Array>(Buffer.from(value.reveal(), 'utf8'))
  const wrapped = tenantKey.seal(dataKey, identityOf('data-key', of))
  return `${wrapped}${separator}${aesGcmSealer(dataKey).seal(bytes, identityOf('value', of))}`
}

/** The value, or undefined where anything differs: a bit, the version, the secret, the tenant, the key. */
export function openValue(
  tenantKey: Sealer,
  { wrapped, value }: Envelope,
  of: VersionIdentity & { readonly tenant: string },
): Secret<string> | undefined {
  const dataKey = tenantKey.open(wrapped, identityOf('data-key', of))
  const bytes = dataKey && aesGcmSealer(dataKey).open(value, identityOf('value', of))
  return bytes && new Secret(Buffer.from(bytes.reveal()).toString('utf8'))
}

/** The same value under another tenant key: only its data key is wrapped anew. Undefined where that does not open. */
export function rewrapValue(
  from: Sealer,
  to: Sealer,
  { wrapped, value }: Envelope,
  of: VersionIdentity & { readonly tenant: string },
): string | undefined {
  const identity = identityOf('data-key', of)
  const dataKey = from.open(wrapped, identity)
  if (dataKey === undefined) return undefined
  return `${to.seal(dataKey, identity)}${separator}${value}`
}

/** A list as JSON has one reading only, whatever its parts contain (threat C54). */
function identityOf(level: 'data-key' | 'value', of: VersionIdentity & { readonly tenant: string }): string {
  return JSON.stringify([level, of.tenant, of.secret, of.id])
}
