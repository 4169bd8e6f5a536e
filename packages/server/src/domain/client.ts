// Other OAuth clients (resource servers that introspect, applications) and people: records of the registry.
import type { ClientId, GroupId, PersonId } from '@writ/sdk/protocol/identifier'

export type Status = 'active' | 'suspended'

/** As registered in the metadata of RFC 7591 §2; what a client proves itself with, and nothing else. */
export type TokenEndpointAuthMethod =
  | 'private_key_jwt'
  | 'client_secret_basic'
  | 'client_secret_post'
  | 'none'

export function hasSecrets(method: TokenEndpointAuthMethod): boolean {
  return method === 'client_secret_basic' || method === 'client_secret_post'
}

/** A client that is not an agent. Members as in RFC 7591 §2, kept as given in `metadata` once validated. */
export interface Client {
  readonly id: ClientId
  readonly name: string
  readonly tokenEndpointAuthMethod: TokenEndpointAuthMethod
  readonly metadata: Readonly<Record<string, unknown>>
  readonly status: Status
  readonly statusReason: string | null
  /** SHA-256 of its registration access token (RFC 7592), base64url; absent or null where it has none. */
  readonly registrationHash?: string | null
  readonly createdAt: number
  readonly updatedAt: number
}

/** The prefix lets secret scanners find a registration access token that leaked. */
export const registrationTokenPrefix = 'writ_rat_'

/** Where a client reads and changes its own registration (RFC 7592 §2), below the issuer. */
export function registrationPath(id: string): string {
  return `/register/${id}`
}

/** The subject of the signal that the client's registration access token has ended. */
export function registrationSubject({ id }: Pick<Client, 'id'>): string {
  return `registration:${id}`
}

export interface Person {
  readonly id: PersonId
  /** As given; compared by `loginKey`, so that two spellings never are two people. */
  readonly login: string
  readonly loginKey: string
  readonly name: string | null
  /** scrypt, PHC string; null where the person signs in elsewhere. */
  readonly passwordHash: string | null
  /** Groups it belongs to; absent where none was ever given. */
  readonly groups?: readonly GroupId[]
  readonly status: Status
  readonly statusReason: string | null
  readonly createdAt: number
  readonly updatedAt: number
}

/**
 * The subject of a signal that somebody came to own an agent. Whoever decides on there being none rests on it: without
 * it an agent could get an owner between that look and the owner's end, and be left with nobody.
 */
export function ownershipOf(owner: string): string {
  return `owner:${owner}`
}

/**
 * The comparable form of a login: NFKC and case folded, so that confusable spellings collide instead of coexisting. Lower
 * case before upper case: ẞ is its own upper case, and only its lower case ß becomes SS.
 */
export function loginKey(login: string): string {
  return login.normalize('NFKC').toLowerCase().toUpperCase().toLowerCase().normalize('NFKC')
}
