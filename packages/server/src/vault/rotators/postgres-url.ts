// PostgreSQL URLs (its manual, §32.1.1.2): the one form in which addresses and credentials of databases are kept.
import { isIPv6 } from 'node:net'

/** Where a database is, without credentials. */
export interface PostgresPlace {
  readonly host: string
  readonly port: number
  readonly database: string
  /** As the URL says it, and as consumers are given it; we ourselves verify certificates wherever there is TLS. */
  readonly sslmode: 'disable' | 'require' | 'verify-full' | undefined
}

export interface PostgresAccess extends PostgresPlace {
  readonly username: string
  readonly password: string
}

const shape =
  /^postgres(?:ql)?:\/\/(?:([^:@/?#]+):([^:@/?#]+)@)?(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::([1-9]\d{0,4}))?\/([A-Za-z0-9._~%-]+)(?:\?sslmode=(disable|require|verify-full))?$/

/** The place of a URL without credentials, or undefined where it is none of this form. */
export function parsePostgresPlace(url: string): PostgresPlace | undefined {
  const parts = split(url)
  return parts === undefined || parts.username !== undefined ? undefined : parts.place
}

/** What a URL with credentials opens, or undefined. */
export function parsePostgresUrl(url: string): PostgresAccess | undefined {
  const { place, username, password } = split(url) ?? {}
  if (place === undefined || username === undefined || password === undefined) return undefined
  return { ...place, username, password }
}

export function formatPostgresUrl({ username, password, ...place }: PostgresAccess): string {
  const address = formatPostgresPlace(place).slice('postgres://'.length)
  return `postgres://${encodeURIComponent(username)}:${encodeURIComponent(password)}@${address}`
}

export function formatPostgresPlace({ host, port, database, sslmode }: PostgresPlace): string {
  const name = isIPv6(host) ? `[${host}]` : host
  const query = sslmode === undefined ? '' : `?sslmode=${sslmode}`
  return `postgres://${name}:${port}/${encodeURIComponent(database)}${query}`
}

/** Whether the connection is encrypted, and its certificate verified. */
export function isPostgresEncrypted({ sslmode }: PostgresPlace): boolean {
  return sslmode === 'require' || sslmode === 'verify-full'
}

/** Whether credentials may travel there: over TLS, or to this very machine. */
export function isPostgresSecure(place: PostgresPlace): boolean {
  const { host } = place
  return isPostgresEncrypted(place) || host === '127.0.0.1' || host === '::1' || host === 'localhost'
}

interface Parts {
  readonly place: PostgresPlace
  readonly username: string | undefined
  readonly password: string | undefined
}

function split(url: string): Parts | undefined {
  if (url.length > 2048) return undefined
  const match = shape.exec(url)
  if (match === null) return undefined
  const [, rawUser, rawPassword, rawHost = '', rawPort = '5432', rawDatabase, sslmode] = match
  const [host, port] = [rawHost.replace(/^\[(.*)\]$/, '$1'), Number(rawPort)]
  if (port > 65_535 || (rawHost.startsWith('[') && !isIPv6(host))) return undefined
  const [username, password, database] = [decoded(rawUser), decoded(rawPassword), decoded(rawDatabase)]
  if (database === undefined || !isName(database)) return undefined
  if (rawUser !== undefined && (username === undefined || !isName(username) || password === undefined))
    return undefined
  return {
    place: { host, port, database, sslmode: sslmode as PostgresPlace['sslmode'] },
    ...{ username, password },
  }
}

/** Undefined where it is not encoded properly, or hides a control character. */
function decoded(text: string | undefined): string | undefined {
  try {
    const plain = text === undefined ? undefined : decodeURIComponent(text)
    return plain === undefined || /\p{Cc}/u.test(plain) ? undefined : plain
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}

/** PostgreSQL cuts longer names (NAMEDATALEN), and what was cut is another name. */
function isName(name: string): boolean {
  return Buffer.byteLength(name) <= 63
}
