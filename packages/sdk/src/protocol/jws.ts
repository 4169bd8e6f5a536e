// JSON Web Signature, compact form only: RFC 7515 and RFC 8725. The key decides what is accepted, never the header.
import { type Algorithm, algorithmFor } from './algorithms.ts'
import { decodeBase64url, encodeBase64url } from './base64url.ts'
import { readJsonObject } from './json.ts'
import type { PublicJwk, SignKey, VerifyKey } from './jwk.ts'
import { typRow } from './jwt.ts'

/** A protected header. `jku`, `x5u`, `x5c` and the like may stand in it and are never read (threat C18). */
export interface JwsHeader {
  readonly alg: string
  readonly typ?: string
  readonly kid?: string
  /** Only where the row of `typ` allows it. Not yet checked: it is what somebody sent. */
  readonly jwk?: unknown
  readonly [member: string]: unknown
}

/** The three segments, payload and signature decoded. */
export interface Segments {
  readonly headerPart: string
  readonly payloadPart: string
  readonly payload: Uint8Array
  readonly signature: Uint8Array
  readonly signingInput: string
}

/** A JWS that is well formed. Nothing about it has been verified. */
export interface Jws extends Segments {
  readonly header: JwsHeader
}

/** Why a text is no acceptable JWS; for logs. */
export type JwsProblem =
  | 'too_large'
  | 'segments'
  | 'base64url'
  | 'header_json'
  | 'header_member'
  | 'header_critical'
  | 'header_encoding'
  | 'algorithm'
  | 'header_key'

const defaultMaxBytes = 16_384
const headerLimits = { maxBytes: 4_096, maxDepth: 4, maxMembers: 32 } as const

/** The JWS in a compact text, or undefined. For the reason, see `readJws`. */
export function parseJws(token: string, maxBytes: number = defaultMaxBytes): Jws | undefined {
  const read = readJws(token, maxBytes)
  return typeof read === 'string' ? undefined : read
}

export function readJws(token: string, maxBytes: number = defaultMaxBytes): Jws | JwsProblem {
  const segments = splitJws(token, maxBytes)
  if (typeof segments === 'string') return segments
  const header = readHeader(segments.headerPart)
  return typeof header === 'string' ? header : { header, ...segments }
}

/** RFC 7515 §7.1: exactly three segments, payload and signature canonical base64url. The header is left to its reader. */
export function splitJws(token: string, maxBytes: number = defaultMaxBytes): Segments | JwsProblem {
  if (token.length > maxBytes) return 'too_large'
  const first = token.indexOf('.')
  const second = token.indexOf('.', first + 1)
  if (first < 1 || second === -1 || token.indexOf('.', second + 1) !== -1) return 'segments'
  const payloadPart = token.slice(first + 1, second)
  const payload = decodeBase64url(payloadPart)
  const signature = decodeBase64url(token.slice(second + 1))
  if (payload === undefined || signature === undefined) return 'base64url'
  return {
    headerPart: token.slice(0, first),
    payloadPart,
    payload,
    signature,
    signingInput: token.slice(0, second),
  }
}

/** The header in its segment, or what is wrong with it. */
export function readHeader(headerPart: string): JwsHeader | JwsProblem {
  const bytes = decodeBase64url(headerPart)
  if (bytes === undefined) return 'base64url'
  // RFC 7515 §4: duplicate members are refused, or two readers would see two headers.
  const read = readJsonObject(bytes, headerLimits)
  if ('problem' in read) return 'header_json'
  const header = read.value
  // RFC 7515 §4.1.11: no extension is understood here, so whatever is critical is refused.
  if ('crit' in header) return 'header_critical'
  // RFC 7797 and RFC 7516: a payload that is read in another way than it was signed.
  if ('b64' in header || 'zip' in header || 'enc' in header) return 'header_encoding'
  const { alg, typ, kid } = header
  if (typ !== undefined && typeof typ !== 'string') return 'header_member'
  if (kid !== undefined && typeof kid !== 'string') return 'header_member'
  // RFC 8725 §3.1: `none`, MACs and whatever has no row. Which of the rows is right, the key says.
  if (typeof alg !== 'string' || algorithmFor(alg) === undefined) return 'algorithm'
  // RFC 8725 §3.10: a key that the token brings along proves nothing, except where proving possession is all it is for.
  if ('jwk' in header && typRow(typ)?.carriesKey !== true) return 'header_key'
  return header as unknown as JwsHeader
}

/**
 * Whether the key made the signature. The algorithm is the key's; a header that names another one is refused
 * (RFC 8725 §3.1), so nothing in the token can turn a refusal into an acceptance.
 */
export function verifyJws(jws: Jws, key: VerifyKey): boolean {
  return key.alg.accepts.includes(jws.header.alg) && holds(jws, key)
}

/** Whether the signature holds under the key's algorithm, where the header's `alg` has been compared before. */
export function holds(segments: Segments, { alg, key }: VerifyKey): boolean {
  if (segments.signature.length !== alg.signatureBytes(key)) return false
  // RFC 7515 §5.2: ASCII. Each segment was shown to be canonical base64url, so Latin-1 is exact, and fastest.
  return alg.verify(Buffer.from(segments.signingInput, 'latin1'), key, segments.signature)
}

/** The members of a header but `alg`, which the key brings. */
export interface HeaderMembers {
  readonly typ: string
  readonly kid?: string
  readonly jwk?: PublicJwk
}

/** A header serialised once, for a key that signs often. */
export interface PreparedHeader {
  readonly alg: string
  readonly part: string
}

export function preparedHeader(members: HeaderMembers, alg: Pick<Algorithm, 'name'>): PreparedHeader {
  return { alg: alg.name, part: encodeBase64url(JSON.stringify({ alg: alg.name, ...members })) }
}

/** What is to be signed: for keys that sign elsewhere (a key service). The rest is `completeJws`. */
export function signingInput(
  header: PreparedHeader | (HeaderMembers & { readonly alg: string }),
  claims: object,
): string {
  const part = 'part' in header ? header.part : encodeBase64url(JSON.stringify(header))
  return `${part}.${encodeBase64url(JSON.stringify(claims))}`
}

export function completeJws(input: string, signature: Uint8Array): string {
  return `${input}.${encodeBase64url(signature)}`
}

/** The signed token. Throws a RangeError where the header was prepared for another algorithm than the key's. */
export function signJws(header: HeaderMembers | PreparedHeader, claims: object, key: SignKey): string {
  const prepared = 'part' in header ? header : preparedHeader(header, key.alg)
  if (prepared.alg !== key.alg.name)
    throw new RangeError(`the header says ${prepared.alg}, the key is ${key.alg.name}`)
  const input = signingInput(prepared, claims)
  return completeJws(input, key.alg.sign(Buffer.from(input, 'latin1'), key.key))
}
