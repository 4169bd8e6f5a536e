// URIs in their one canonical form: resource indicators (RFC 8707), DPoP's `htu` (RFC 9449 §4.3), over RFC 3986.

const maxLength = 2_048

interface Parts {
  readonly scheme: string
  /** Host and port as far as it is not the default one; undefined where the URI has no authority. */
  readonly authority: string | undefined
  readonly path: string
  readonly query: string | undefined
}

const defaultPorts: ReadonlyMap<string, string> = new Map([
  ['http', '80'],
  ['https', '443'],
])

// RFC 3986 appendix B, for characters that may stand in a URI at all: a backslash, white space, a control or a letter
// outside ASCII is read differently by every parser that forgives it.
const shape =
  /^([A-Za-z][A-Za-z0-9+.-]*):(?:\/\/([A-Za-z0-9\-._~%!$&'()*+,;=:@[\]]*))?([A-Za-z0-9\-._~%!$&'()*+,;=:@/]*)(?:\?([A-Za-z0-9\-._~%!$&'()*+,;=:@/?]*))?$/

/**
 * The canonical form of a resource indicator, or undefined where it is none: not absolute, with a fragment
 * (RFC 8707 §2) or user information, or spelt in a way that others could read as another resource (dot segments,
 * needless or lower-case percent-encodings, empty query). Scheme and host in lower case, the default port dropped; a
 * bare origin has no final slash, with which it is the same resource.
 */
export function canonicalResource(text: string): string | undefined {
  const parts = split(text)
  if (parts === undefined || !isNormal(parts)) return undefined
  const { scheme, authority, path, query } = parts
  if (authority === undefined) return opaqueResource(scheme, path, query)
  const isBare = (path === '' || path === '/') && query === undefined
  const rest = isBare ? '' : `${path === '' ? '/' : path}${query === undefined ? '' : `?${query}`}`
  return `${scheme}://${authority}${rest}`
}

function opaqueResource(scheme: string, path: string, query: string | undefined): string | undefined {
  if (defaultPorts.has(scheme) || path === '') return undefined
  const tail = query === undefined ? '' : `?${query}`
  if (scheme !== 'urn') return `${scheme}:${path}${tail}`
  // RFC 8141 §3.1: the namespace is compared without regard to case, what follows with.
  const namespace = /^[A-Za-z0-9][A-Za-z0-9-]{0,30}[A-Za-z0-9]:(?=.)/.exec(path)?.[0]
  return namespace === undefined
    ? undefined
    : `urn:${namespace.toLowerCase()}${path.slice(namespace.length)}${tail}`
}

// What most requests look like: canonical as it stands, which one look confirms. A name whose labels begin and end in
// letters, or 127.0.0.1; a port that is nobody's default; a path without encodings and dot segments.
const plainHtu =
  /^https?:\/\/(?:127\.0\.0\.1|[a-z](?:[a-z0-9-]{0,61}[a-z])?(?:\.[a-z](?:[a-z0-9-]{0,61}[a-z])?)*)(?::(?!(?:80|443)(?:\/|$))[1-9]\d{0,3})?(?:\/(?!\.{1,2}(?:\/|$))[\w.~!$&'()*+,;=:@-]+)*\/?$/
const maxPlain = 253

/**
 * The URI of a request as proofs compare it: without query and fragment, normalised by syntax and scheme (RFC 3986
 * §6.2.2 and §6.2.3), as RFC 9449 §4.3 recommends. Undefined where the text is no http or https URL. Two texts have
 * one canonical form exactly if they are equivalent by those rules.
 */
export function canonicalHtu(text: string): string | undefined {
  if (text.length <= maxPlain && plainHtu.test(text)) return text.indexOf('/', 8) === -1 ? `${text}/` : text
  if (text.length > maxLength) return undefined
  const parts = split(encodePath(text.split(/[?#]/, 1)[0] ?? ''))
  if (parts?.authority === undefined || !defaultPorts.has(parts.scheme)) return undefined
  return `${parts.scheme}://${parts.authority}${removeDotSegments(normalisePercent(parts.path))}`
}

/** Browsers and fetch send some characters in paths that RFC 3986 does not have there: encoded, they are the same. */
function encodePath(url: string): string {
  const start = url.indexOf('/', url.indexOf('://') + 3)
  if (start === -1) return url
  const encoded = url
    .slice(start)
    .replace(/["<>[\]^`{|}]/g, character => `%${character.charCodeAt(0).toString(16)}`)
  return url.slice(0, start) + encoded
}

/** Whether secrets may travel to this URL: https, or http to this very machine. */
export function isSecureUrl(text: string): boolean {
  const parts = split(text)
  if (parts?.authority === undefined) return false
  if (parts.scheme === 'https') return true
  return parts.scheme === 'http' && /^(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?$/.test(parts.authority)
}

function split(text: string): Parts | undefined {
  if (text.length > maxLength) return undefined
  const match = shape.exec(text)
  if (match === null) return undefined
  const [, rawScheme = '', rawAuthority, path = '', query] = match
  const scheme = rawScheme.toLowerCase()
  const authority = rawAuthority === undefined ? undefined : canonicalAuthority(scheme, rawAuthority)
  if (rawAuthority !== undefined && authority === undefined) return undefined
  if (!hasWholePercents(path) || !hasWholePercents(query ?? '')) return undefined
  return { scheme, authority, path, query }
}

const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/
const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/

function canonicalAuthority(scheme: string, authority: string): string | undefined {
  // User information (an `@`) is not matched: `https://api.example@evil.example` is made to be misread.
  const match = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([1-9]\d{0,4}))?$/.exec(authority)
  if (match === null) return undefined
  const [, rawHost = '', port] = match
  if (port !== undefined && Number(port) > 65_535) return undefined
  const host = rawHost.startsWith('[') ? canonicalIpv6(rawHost) : canonicalName(rawHost.toLowerCase())
  if (host === undefined) return undefined
  return port === undefined || port === defaultPorts.get(scheme) ? host : `${host}:${port}`
}

// Names end in a letter-bearing label, addresses are four decimal numbers: `0x7f.1` and `2130706433` are 127.0.0.1 to
// some resolvers. A final dot is refused, because with and without it are one host and two texts.
function canonicalName(host: string): string | undefined {
  if (host.length > 253) return undefined
  const labels = host.split('.')
  if (!labels.every(one => label.test(one))) return undefined
  const last = labels.at(-1) ?? ''
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(last)) return ipv4.test(host) ? host : undefined
  return host
}

// RFC 5952: many spellings of an IPv6 address, one of them canonical; the URL parser knows it.
function canonicalIpv6(host: string): string | undefined {
  const url = `http://${host}/`
  return URL.canParse(url) ? new URL(url).hostname : undefined
}

function hasWholePercents(text: string): boolean {
  return !text.includes('%') || !/%(?![0-9A-Fa-f]{2})/.test(text)
}

const unreserved = /[A-Za-z0-9\-._~]/

/** Whether path and query are their own normal form. An empty query is another spelling of none, to most readers. */
function isNormal({ path, query }: Parts): boolean {
  if (/(?:^|\/)\.{1,2}(?:\/|$)/.test(path) || query === '') return false
  return normalisePercent(path) === path && (query === undefined || normalisePercent(query) === query)
}

/** RFC 3986 §6.2.2.1 and §6.2.2.2: upper-case hexadecimal digits, and no encoding of what needs none. */
function normalisePercent(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%[0-9A-Fa-f]{2}/g, encoded => {
    const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16))
    return unreserved.test(character) ? character : encoded.toUpperCase()
  })
}

/** RFC 3986 §5.2.4, for a path that is empty or starts with a slash. */
function removeDotSegments(path: string): string {
  const out: string[] = []
  const segments = path.slice(1).split('/')
  for (const [at, segment] of segments.entries()) {
    const isLast = at === segments.length - 1
    if (segment === '.' || segment === '..') {
      if (segment === '..') out.pop()
      if (isLast) out.push('')
    } else {
      out.push(segment)
    }
  }
  return `/${out.join('/')}`
}
