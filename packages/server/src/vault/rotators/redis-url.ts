// Redis URLs (IANA `redis` and `rediss`): the one form in which addresses and credentials of Redis are kept and given.
import { isIPv6 } from 'node:net'

/** Where a Redis is, without credentials. */
export interface RedisPlace {
  readonly tls: boolean
  readonly host: string
  readonly port: number
  readonly database: number
}

export interface RedisAccess extends RedisPlace {
  readonly username: string
  readonly password: string
}

const shape =
  /^(rediss?):\/\/(?:([^:@/]*):([^:@/]+)@)?(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::([1-9]\d{0,4}))?(?:\/(\d{1,4})?)?$/

/** The place of a URL without credentials, or undefined where it is none of this form. */
export function parseRedisPlace(url: string): RedisPlace | undefined {
  const parts = split(url)
  return parts === undefined || parts.hasUser ? undefined : parts.place
}

/** What a URL with credentials opens, or undefined. No name is the user `default`, as in Redis itself. */
export function parseRedisUrl(url: string): RedisAccess | undefined {
  const parts = split(url)
  if (parts === undefined || !parts.hasUser) return undefined
  try {
    const [username, password] = [decodeURIComponent(parts.user), decodeURIComponent(parts.password)]
    return { ...parts.place, username: username === '' ? 'default' : username, password }
  } catch (error) {
    if (error instanceof URIError) return undefined
    throw error
  }
}

export function formatRedisUrl({ username, password, ...place }: RedisAccess): string {
  const [scheme, address] = formatRedisPlace(place).split('://')
  return `${scheme}://${encodeURIComponent(username)}:${encodeURIComponent(password)}@${address}`
}

export function formatRedisPlace({ tls, host, port, database }: RedisPlace): string {
  const name = isIPv6(host) ? `[${host}]` : host
  return `${tls ? 'rediss' : 'redis'}://${name}:${port}/${database}`
}

/** Whether passwords may travel there: over TLS, or to this very machine. */
export function isRedisSecure({ tls, host }: RedisPlace): boolean {
  return tls || host === '127.0.0.1' || host === '::1' || host === 'localhost'
}

function split(
  url: string,
): { place: RedisPlace; hasUser: boolean; user: string; password: string } | undefined {
  if (url.length > 2048) return undefined
  const match = shape.exec(url)
  if (match === null) return undefined
  const [, scheme, user, password, rawHost = '', rawPort = '6379', database = '0'] = match
  const [host, port] = [rawHost.replace(/^\[(.*)\]$/, '$1'), Number(rawPort)]
  if (port > 65_535 || (rawHost.startsWith('[') && !isIPv6(host))) return undefined
  return {
    place: { tls: scheme === 'rediss', host, port, database: Number(database) },
    hasUser: password !== undefined,
    user: user ?? '',
    password: password ?? '',
  }
}
