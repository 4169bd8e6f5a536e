// What a request shows of its caller: read from the raw header lines, so that no framework has chosen among them.
import { Fault } from '../protocol/fault.ts'

/**
 * Header fields as they came: a `Headers` object, or node's `rawHeaders` (names and values in turn). Never node's
 * `headers` object: of two Authorization lines it keeps the first and hides that there were two.
 */
export type HeaderSource = Headers | readonly string[]

export interface Evidence {
  readonly method: string
  /** The request target or URL; only its path is used. What the request says about its host never counts. */
  readonly url: string
  readonly headers: HeaderSource
}

/** The lines of one field, `name` in lower case. A `Headers` object has joined several lines with a comma. */
export function headerLines(headers: HeaderSource, name: string): readonly string[] {
  if (!Array.isArray(headers)) {
    const joined = (headers as Headers).get(name)
    return joined === null ? [] : [joined]
  }
  const lines: string[] = []
  for (let at = 0; at < headers.length; at += 2) {
    const field = headers[at] as string
    if (field.length === name.length && field.toLowerCase() === name) lines.push(headers[at + 1] as string)
  }
  return lines
}

export interface Credentials {
  readonly scheme: 'dpop' | 'bearer'
  readonly token: string
}

const malformed = (kind: string, say: string): Fault => new Fault('invalid_request', say, { kind })

/**
 * The access token of the one Authorization header, or undefined where there are no credentials of a scheme that we
 * understand. Tokens in the query or the body are never read (RFC 6750 §2.3, RFC 9700 §4.3.2). Throws
 * `invalid_request` for what is malformed, or sends a token in two ways (RFC 6750 §2).
 */
export function readCredentials({ headers, url }: Evidence): Credentials | undefined {
  const [value, ...more] = headerLines(headers, 'authorization')
  if (value === undefined) return undefined
  if (more.length > 0) throw malformed('two_authorizations', 'Send one Authorization header.')
  const space = value.indexOf(' ')
  const scheme = (space === -1 ? value : value.slice(0, space)).toLowerCase()
  if (scheme !== 'dpop' && scheme !== 'bearer') return undefined
  const token = space === -1 ? '' : value.slice(space + 1).trim()
  // Of two lines joined by a comma, whichever one is believed here might not be the one believed behind us.
  if (token === '' || /[\s,]/.test(token))
    throw malformed('authorization', 'The Authorization header is malformed.')
  const query = url.indexOf('?')
  if (query !== -1 && /[?&]access_token=/.test(url.slice(query))) {
    throw malformed('token_in_query', 'Send the access token in the Authorization header only.')
  }
  return { scheme, token }
}

/** The one proof. Throws `invalid_dpop_proof` where there is none, or more than one (RFC 9449 §4.3 no. 1). */
export function readProof({ headers }: Evidence): string {
  const [proof, ...more] = headerLines(headers, 'dpop')
  if (proof === undefined) {
    throw new Fault('invalid_dpop_proof', 'Send a DPoP proof: the access token is bound to a key.', {
      kind: 'no_proof',
    })
  }
  if (more.length > 0)
    throw new Fault('invalid_dpop_proof', 'The DPoP proof is not valid.', { kind: 'two_proofs' })
  return proof
}

// A path like `/v1/../admin` is below `/v1` for one reader and not for the next; encoded or not.
const dotSegment = /(?:[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\]|%2f|%5c|$)/i

/** The path of a request target (RFC 9112 §3.2) or URL, without query. Throws `invalid_request`. */
export function pathOf(target: string): string {
  const from = target.startsWith('/') ? 0 : target.indexOf('/', target.indexOf('://') + 3)
  const end = target.search(/[?#]/)
  const path = from === -1 ? '' : target.slice(from, end === -1 ? undefined : end)
  if (path === '' || dotSegment.test(path)) throw malformed('target', 'The request target is not acceptable.')
  return path
}
