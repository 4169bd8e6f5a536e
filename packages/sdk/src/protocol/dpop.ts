// DPoP proofs: what a proof must be (RFC 9449 §4.2) and the checks of a receiver (§4.3), in their order.
import { hash, randomUUID } from 'node:crypto'
import { Fault, isFault } from './fault.ts'
import { readJsonObject } from './json.ts'
import { bareJwk, importForeign, type KeyCache, type PublicJwk, type SignKey, type VerifyKey } from './jwk.ts'
import {
  holds,
  type PreparedHeader,
  preparedHeader,
  readHeader,
  type Segments,
  signJws,
  splitJws,
} from './jws.ts'
import { isNumericDate, isTyp } from './jwt.ts'
import { canonicalHtu } from './uri.ts'

export interface ProofInput {
  /** The value of the one `DPoP` header. Two headers joined by a comma are no proof. */
  readonly proof: string
  readonly method: string
  /** The URI of the request as this server knows itself by, never as the request's headers say (RFC 9449 §11.1). */
  readonly uri: string
  /** Epoch seconds. */
  readonly now: number
  /** Present where a token is used, not obtained: the proof must carry its hash. */
  readonly accessToken?: string
  /** `accessTokenHash` of the token where it is known already; wins over `accessToken`. */
  readonly ath?: string
  readonly keys: Pick<KeyCache, 'proof' | 'keepProof'>
  readonly maxAgeSeconds?: number
  readonly aheadSeconds?: number
  /** Judges the nonce of a proof that is otherwise good. */
  readonly nonce: (nonce: string | undefined) => 'ok' | 'missing' | 'stale'
}

export interface ProofResult {
  /** RFC 7638 thumbprint of the proof's key. Whether it is the right key (`cnf.jkt`), the caller must check. */
  readonly jkt: string
  readonly jwk: PublicJwk
  readonly key: VerifyKey
  readonly jti: string
  readonly iat: number
  /** To be claimed once: same key, same URI, same `jti` (RFC 9449 §11.1). */
  readonly replayKey: string
  /** Epoch seconds until when the claim must be remembered: longer than any clock of ours would take the proof. */
  readonly replayUntil: number
}

const maxProofBytes = 8_192
const maxJtiLength = 256
const payloadLimits = { maxBytes: 4_096, maxDepth: 4, maxMembers: 32 } as const

const refuse = (kind: string, facts?: Record<string, unknown>): Fault =>
  new Fault('invalid_dpop_proof', 'The DPoP proof is not valid.', { kind, ...facts })

/**
 * Checks everything about a proof that can be checked without memory. Throws `invalid_dpop_proof`, or
 * `use_dpop_nonce` when nothing but the nonce is wrong. The caller still claims `replayKey` and compares `jkt`.
 */
export function checkProof(input: ProofInput): ProofResult {
  // RFC 9449 §4.3 no. 2: a single, well-formed JWT.
  const segments = splitJws(input.proof, maxProofBytes)
  if (typeof segments === 'string') throw refuse(segments)
  const known = input.keys.proof(segments.headerPart)
  const key = known ?? keyOf(segments.headerPart)
  const claims = checkClaims(segments, input)
  // §4.3 no. 6: the signature, with the key in the header.
  if (!holds(segments, key)) throw refuse('signature')
  if (known === undefined) input.keys.keepProof(segments.headerPart, key)
  // §4.3 no. 10, last: only a proof that is good in all else is told to fetch a nonce.
  const verdict = input.nonce(claims.nonce)
  if (verdict !== 'ok') {
    throw new Fault('use_dpop_nonce', 'Use the nonce of the DPoP-Nonce header in the proof.', {
      kind: `nonce_${verdict}`,
    })
  }
  const { jti, iat, htu } = claims
  const { maxAgeSeconds, aheadSeconds } = windowOf(input)
  return {
    jkt: key.jkt,
    jwk: key.jwk,
    key,
    jti,
    iat,
    replayKey: replayKey(key.jkt, htu, jti),
    replayUntil: Math.ceil(iat) + maxAgeSeconds + aheadSeconds,
  }
}

const windowOf = ({ maxAgeSeconds = 60, aheadSeconds = 5 }: ProofInput) => ({ maxAgeSeconds, aheadSeconds })

/** The key of a header that is acceptable: a header is constant for a key, so this runs once for each. */
function keyOf(headerPart: string): VerifyKey {
  const header = readHeader(headerPart)
  if (typeof header === 'string') throw refuse(header)
  // §4.3 no. 4, before anything else is believed: no other JWT is a proof.
  if (!isTyp(header.typ, 'dpop+jwt')) throw refuse('typ', { typ: header.typ })
  let key: VerifyKey
  try {
    // §4.3 no. 5 and 7: a public key that signs, of an algorithm we accept, without private members.
    key = importForeign(header.jwk)
  } catch (error) {
    if (isFault(error)) throw refuse('key', { reason: error.why?.kind })
    throw error
  }
  if (!key.alg.accepts.includes(header.alg)) throw refuse('algorithm', { alg: header.alg })
  return key
}

interface ProofClaims {
  readonly jti: string
  readonly iat: number
  readonly htu: string
  readonly nonce: string | undefined
}

function checkClaims(segments: Segments, input: ProofInput): ProofClaims {
  const read = readJsonObject(segments.payload, payloadLimits)
  if ('problem' in read) throw refuse('payload', { problem: read.problem })
  const { jti, htm, htu, iat, ath, nonce } = read.value
  // §4.3 no. 3: the required claims.
  if (typeof jti !== 'string' || jti.length === 0 || jti.length > maxJtiLength) throw refuse('jti')
  // §4.3 no. 8: methods are case-sensitive (RFC 9110 §9.1).
  if (htm !== input.method) throw refuse('htm', { htm })
  const uri = matchUri(htu, input.uri)
  // §4.3 no. 11 and §11.1: a proof made long ago, or ahead of time for later use, may have been stolen.
  const { maxAgeSeconds, aheadSeconds } = windowOf(input)
  if (!isNumericDate(iat)) throw refuse('iat')
  // Written so that a clock which is not a number refuses.
  if (!(iat >= input.now - maxAgeSeconds)) throw refuse('too_old', { iat, now: input.now })
  if (!(iat <= input.now + aheadSeconds)) throw refuse('in_future', { iat, now: input.now })
  // §4.3 no. 12: a proof made for one token must not carry another.
  const token =
    input.ath ?? (input.accessToken === undefined ? undefined : accessTokenHash(input.accessToken))
  if (token !== undefined && ath !== token) throw refuse('ath')
  if (nonce !== undefined && typeof nonce !== 'string') throw refuse('nonce')
  return { jti, iat, htu: uri, nonce }
}

/** §4.3 no. 9. The claim has no query and no fragment (§4.2); those of the request are not compared. */
function matchUri(htu: unknown, uri: string): string {
  if (typeof htu !== 'string' || htu.includes('?') || htu.includes('#')) throw refuse('htu')
  const expected = canonicalHtu(uri)
  // Its path is the caller's to choose, so a URI without a canonical form is a refusal, not a failure.
  if (expected === undefined) throw refuse('request_uri')
  if (htu !== expected && canonicalHtu(htu) !== expected) throw refuse('htu', { htu, expected })
  return expected
}

// Each part behind its length: no two triples have one text (`jti` may contain anything).
function replayKey(jkt: string, htu: string, jti: string): string {
  return hash('sha256', `dpop ${jkt.length}:${jkt}${htu.length}:${htu}${jti.length}:${jti}`, 'base64url')
}

/** RFC 9449 §4.2, `ath`: base64url of the SHA-256 of the token's ASCII text. */
export function accessTokenHash(token: string): string {
  return hash('sha256', token, 'base64url')
}

export interface ProofRequest {
  readonly key: SignKey
  readonly method: string
  readonly uri: string
  readonly nonce?: string
  readonly accessToken?: string
  /** Epoch seconds. */
  readonly nowSeconds: number
  /** Unique for each proof, at least 96 random bits (RFC 9449 §4.2); made here when left out. */
  readonly jti?: string
  /** `proofHeader(key)`, for a key that makes many proofs. */
  readonly header?: PreparedHeader
}

/** The header of every proof that a key makes (§4.2): the bare key, for nobody reads there what is said about it. */
export function proofHeader(key: SignKey): PreparedHeader {
  return preparedHeader({ typ: 'dpop+jwt', jwk: bareJwk(key.jwk) }, key.alg)
}

/** A proof for one request. Throws a RangeError where `uri` is no http or https URL. */
export function createProof(request: ProofRequest): string {
  const { key, method, uri, nonce, accessToken, nowSeconds, jti = randomUUID() } = request
  const htu = canonicalHtu(uri)
  if (htu === undefined) throw new RangeError('a proof needs an http or https URL')
  const claims = {
    jti,
    htm: method,
    htu,
    iat: nowSeconds,
    ...(nonce === undefined ? {} : { nonce }),
    ...(accessToken === undefined ? {} : { ath: accessTokenHash(accessToken) }),
  }
  return signJws(request.header ?? proofHeader(key), claims, key)
}
