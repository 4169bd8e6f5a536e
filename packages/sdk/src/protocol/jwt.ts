// What is common to our JWTs: the closed register of their types, their claims and times. RFC 7519, RFC 8725 §3.11.
import { type JsonObject, parseJsonObject } from './json.ts'

/** A row of the register: what a token of this type is. */
export interface Typ {
  readonly artefact: string
  readonly spec: string
  /** Whether its header carries the key it is verified with: only where possession of that key is all it proves. */
  readonly carriesKey?: true
}

/**
 * The register of `typ` values. Every verifier names the row it wants, so that no token can be taken for one of
 * another type (threat C17). `jwt` is the untyped assertion of older clients; never an access token.
 */
export const typs = {
  'at+jwt': { artefact: 'access token', spec: 'RFC 9068 §2.1' },
  'dpop+jwt': { artefact: 'DPoP proof', spec: 'RFC 9449 §4.2', carriesKey: true },
  'client-authentication+jwt': { artefact: 'client assertion', spec: 'draft-ietf-oauth-rfc7523bis §4' },
  'decision-report+jwt': { artefact: 'report of decisions given again', spec: 'ours' },
  jwt: { artefact: 'a JWT without a type of its own', spec: 'RFC 7519 §5.1' },
  'oauth-id-jag+jwt': {
    artefact: 'identity assertion grant',
    spec: 'draft-ietf-oauth-identity-assertion-authz-grant §3.1',
  },
  'txntoken+jwt': { artefact: 'transaction token', spec: 'draft-ietf-oauth-transaction-tokens' },
  'secevent+jwt': { artefact: 'security event token', spec: 'RFC 8417 §2.3' },
  'oauth-authz-req+jwt': { artefact: 'request object', spec: 'RFC 9101 §10.8' },
  'entity-statement+jwt': { artefact: 'federation entity statement', spec: 'OpenID Federation 1.0 §3' },
  'oauth-client-attestation+jwt': {
    artefact: 'client attestation',
    spec: 'draft-ietf-oauth-attestation-based-client-auth §4',
  },
  'oauth-client-attestation-pop+jwt': {
    artefact: 'client attestation proof',
    spec: 'draft-ietf-oauth-attestation-based-client-auth §5.1',
  },
  'wit+jwt': { artefact: 'workload identity token', spec: 'draft-ietf-wimse-workload-creds §3' },
  'wpt+jwt': { artefact: 'workload proof token', spec: 'draft-ietf-wimse-wpt' },
  'txn-authz-challenge+jwt': {
    artefact: 'transaction challenge',
    spec: 'draft-rosomakho-oauth-txn-challenge',
  },
  'token-introspection+jwt': { artefact: 'introspection answer', spec: 'RFC 9701 §5' },
  'statuslist+jwt': { artefact: 'status list', spec: 'draft-ietf-oauth-status-list' },
  'logout+jwt': { artefact: 'logout token', spec: 'OpenID Connect Back-Channel Logout 1.0 §2.4' },
  'gnap-binding-jws': { artefact: 'attached GNAP key proof', spec: 'RFC 9635 §7.3.4' },
  'gnap-binding-jwsd': { artefact: 'detached GNAP key proof', spec: 'RFC 9635 §7.3.3' },
} as const satisfies Record<string, Typ>

export type TypName = keyof typeof typs

const byName: ReadonlyMap<string, Typ> = new Map(Object.entries(typs))

// RFC 7515 §4.1.9: a media type without regard to case, whose prefix may be left out where no other slash follows.
// The case of ASCII letters only: U+212A is not a `k`, though it has one as its lower case.
function normalise(typ: string): string {
  const lower = typ.replace(/[A-Z]+/g, letters => letters.toLowerCase())
  return lower.startsWith('application/') ? lower.slice('application/'.length) : lower
}

/** The row of a header's `typ`, or undefined for anything that is not in the register. */
export function typRow(typ: unknown): Typ | undefined {
  return typeof typ === 'string' ? (byName.get(typ) ?? byName.get(normalise(typ))) : undefined
}

/** Whether a header's `typ` is this one. */
export function isTyp(typ: unknown, wanted: TypName): boolean {
  return typeof typ === 'string' && (typ === wanted || normalise(typ) === wanted)
}

/** The claims, or undefined where the payload is no object in strict JSON. Not verified by being read. */
export function parseClaims(jws: { readonly payload: Uint8Array }): JsonObject | undefined {
  return parseJsonObject(jws.payload)
}

// The end of the year 9999: beyond it dates have no RFC 3339 form, and sums could leave the exact whole numbers.
const lastInstant = 253_402_300_799

/** RFC 7519 §2, NumericDate: epoch seconds, with a fraction or without. */
export function isNumericDate(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= lastInstant
}

export type TimeProblem =
  | 'malformed_time'
  | 'no_expiry'
  | 'expired'
  | 'not_yet_valid'
  | 'issued_in_future'
  | 'life_too_long'

/**
 * Why a token is not to be used at `now`, or undefined. `exp` is required; `iat` and `nbf` are honoured where present.
 * `skewSeconds` is granted to clocks that disagree. With `maxLifeSeconds`, a longer life than that is refused: counted
 * from `iat` where there is one, and always from `now`, so that leaving out `iat` gains nothing.
 */
export function checkTimes(
  claims: Readonly<JsonObject>,
  now: number,
  { skewSeconds, maxLifeSeconds }: { readonly skewSeconds: number; readonly maxLifeSeconds?: number },
): TimeProblem | undefined {
  const { exp, iat, nbf } = claims
  if (exp === undefined) return 'no_expiry'
  if (!isNumericDate(exp)) return 'malformed_time'
  if (iat !== undefined && !isNumericDate(iat)) return 'malformed_time'
  if (nbf !== undefined && !isNumericDate(nbf)) return 'malformed_time'
  // RFC 7519 §4.1.4: the current time must be before `exp`. A clock that is not a number refuses.
  if (!(now < exp + skewSeconds)) return 'expired'
  // RFC 7519 §4.1.5.
  if (nbf !== undefined && nbf > now + skewSeconds) return 'not_yet_valid'
  // RFC 7519 §4.1.6 leaves it open: a clock that is ahead by more than the skew cannot be told from a made-up time.
  if (iat !== undefined && iat > now + skewSeconds) return 'issued_in_future'
  if (maxLifeSeconds !== undefined) {
    if (iat !== undefined && exp - iat > maxLifeSeconds) return 'life_too_long'
    if (exp - now > maxLifeSeconds + skewSeconds) return 'life_too_long'
  }
  return undefined
}

/** A required claim of 1 to `maxLength` characters; undefined where it is absent or anything else. */
export function stringOf(claims: Readonly<JsonObject>, name: string, maxLength = 2_048): string | undefined {
  const value = claims[name]
  return typeof value === 'string' && value.length > 0 && value.length <= maxLength ? value : undefined
}

/** RFC 7519 §4.1.3: the audiences, from one string or a list of different strings; undefined for anything else. */
export function audienceOf(claims: Readonly<JsonObject>, maxCount = 16): readonly string[] | undefined {
  const { aud } = claims
  if (typeof aud === 'string') return aud.length > 0 ? [aud] : undefined
  if (!Array.isArray(aud) || aud.length === 0 || aud.length > maxCount) return undefined
  if (!aud.every(one => typeof one === 'string' && one.length > 0)) return undefined
  return new Set(aud).size === aud.length ? (aud as readonly string[]) : undefined
}
