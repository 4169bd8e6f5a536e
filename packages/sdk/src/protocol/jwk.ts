// Keys as JSON: RFC 7517, RFC 7518 §6.2 and §6.3, RFC 8037 §2, RFC 9964; thumbprints: RFC 7638. Strict where they enter.
import { createPrivateKey, createPublicKey, hash, type JsonWebKey, type KeyObject } from 'node:crypto'
import {
  type Algorithm,
  type AlgorithmName,
  algorithmFor,
  algorithms,
  kindOf,
  type Signs,
  type Size,
} from './algorithms.ts'
import { decodeBase64url } from './base64url.ts'
import { boundedCache } from './bounded-cache.ts'
import { Fault } from './fault.ts'
import { Secret } from './secret.ts'

/** A public key that has been checked, with the members that have a meaning here and no others. */
export interface PublicJwk {
  readonly kty: string
  readonly crv?: string
  readonly x?: string
  readonly y?: string
  /** Of an RSA key. */
  readonly n?: string
  readonly e?: string
  /** Of an algorithm key pair (RFC 9964). */
  readonly pub?: string
  readonly kid?: string
  readonly alg?: string
  readonly use?: 'sig'
  readonly key_ops?: readonly string[]
}

/** A private key. It never leaves its holder's process in clear. The row of its algorithm says which members it has. */
export interface PrivateJwk extends PublicJwk {
  readonly d?: string
  readonly p?: string
  readonly q?: string
  readonly dp?: string
  readonly dq?: string
  readonly qi?: string
  readonly priv?: string
}

/** A key that verifies: what it accepts depends on it alone, never on what a token says about itself. */
export interface VerifyKey {
  readonly alg: Algorithm
  readonly key: KeyObject
  /** RFC 7638 SHA-256 thumbprint. */
  readonly jkt: string
  readonly jwk: PublicJwk
}

/** A key that signs. `jwk` is the public half. */
export interface SignKey {
  readonly alg: Algorithm
  readonly key: KeyObject
  readonly jkt: string
  readonly jwk: PublicJwk
}

// RFC 7518 §6.2.2, §6.3.2, §6.4.1, RFC 8037 §2, RFC 9964: what only the holder may know, of whatever type.
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'] as const

// RFC 7517 §4.6 to §4.9. Certificates are not evaluated here, so nothing may look as if they had been.
const certificateMembers = ['x5u', 'x5c', 'x5t', 'x5t#S256'] as const

const maxKidLength = 256
/** The longest registered operation has ten letters; what is kept with a key is bounded by us, not by its holder. */
const maxOpLength = 32

const refuse = (kind: string, say: string): Fault => new Fault('invalid_key', say, { kind })

/**
 * The public key in a parsed JSON value, of an algorithm that `who` may use; unknown members are dropped (RFC 7517 §4).
 * Throws `invalid_key` with a sentence that says what to change: the holder of a key is told, nobody learns anything
 * about keys of others.
 */
export function parsePublicJwk(value: unknown, who: Signs = 'holder'): PublicJwk {
  return checkKey(value, who).jwk
}

/** `parsePublicJwk` and `importPublic` in one, so that the key is imported once. Throws `invalid_key`. */
export function importForeign(value: unknown, who: Signs = 'holder'): VerifyKey {
  const { jwk, alg, key } = checkKey(value, who)
  return { alg, key, jkt: thumbprintOf(jwk, alg), jwk }
}

function checkKey(value: unknown, who: Signs): { jwk: PublicJwk; alg: Algorithm; key: KeyObject } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refuse('not_an_object', 'The key must be a JSON Web Key, an object.')
  }
  const given = value as Readonly<Record<string, unknown>>
  // A private key that was sent is no longer private: accepting its public half would bless a leaked key.
  if (privateMembers.some(name => Object.hasOwn(given, name))) {
    throw refuse(
      'private_member',
      'The key contains private or symmetric members; make a new one and send only its public half.',
    )
  }
  if (certificateMembers.some(name => Object.hasOwn(given, name))) {
    throw refuse('certificate_member', 'Certificates are not evaluated here; leave out x5u, x5c and x5t.')
  }
  const alg = rowFor(given, who)
  const jwk: PublicJwk = { ...coordinatesOf(given, alg), ...annotationsOf(given) }
  return { jwk, alg, key: importObject(jwk, alg) }
}

const kindsSaid: Readonly<Record<Signs, string>> = {
  holder: 'Use a key on the curve P-256 (kty EC) or Ed25519 (kty OKP).',
  issuer: 'Use a key on the curve P-256 or Ed25519, of RSA, or of ML-DSA-44 (kty AKP, with its alg).',
}

function rowFor(given: Readonly<Record<string, unknown>>, who: Signs): Algorithm {
  if (kindOf(given, who) === undefined) throw refuse('unacceptable_type', kindsSaid[who])
  const row = algorithmFor(given)
  if (row === undefined)
    throw refuse('alg_contradicts_type', 'The alg of the key does not fit its type and curve.')
  return row
}

function coordinatesOf(given: Readonly<Record<string, unknown>>, alg: Algorithm): PublicJwk {
  const bytes: Uint8Array[] = []
  const members: Record<string, string> = { ...alg.fixed }
  for (const [name, size] of Object.entries(alg.coordinates)) {
    const text = given[name]
    const decoded = bytesOf(text, size)
    // RFC 7518 §6.2.1.2: the full length, leading zeros included; else one point had several spellings.
    if (decoded === undefined) throw refuse('coordinate', sizeSaid(name, size))
    bytes.push(decoded)
    members[name] = text as string
  }
  if (!alg.isSound(bytes)) throw unsound('unsound_point', alg)
  return members as unknown as PublicJwk
}

/** The bytes in canonical base64url, if they are as many as they may be; bounded before they are decoded. */
function bytesOf(text: unknown, [least, most]: Size): Uint8Array | undefined {
  if (typeof text !== 'string' || text.length > Math.ceil((most * 4) / 3)) return undefined
  const decoded = decodeBase64url(text)
  return decoded !== undefined && decoded.length >= least && decoded.length <= most ? decoded : undefined
}

function sizeSaid(name: string, [least, most]: Size): string {
  const range = least === most ? `exactly ${least}` : `${least} to ${most}`
  return `${name} must be ${range} bytes in base64url without padding.`
}

function unsound(kind: string, alg: Algorithm, cause?: unknown): Fault {
  const say =
    alg.fixed['kty'] === 'RSA'
      ? 'The RSA key is weak or malformed: use 2048 to 4096 bits and the exponent 65537.'
      : 'The key is not a sound point of its curve.'
  return new Fault('invalid_key', say, { kind }, cause === undefined ? {} : { cause })
}

function annotationsOf(
  given: Readonly<Record<string, unknown>>,
): Pick<PublicJwk, 'kid' | 'alg' | 'use' | 'key_ops'> {
  const { kid, alg, use, key_ops: ops } = given
  if (kid !== undefined && (typeof kid !== 'string' || kid.length === 0 || kid.length > maxKidLength)) {
    throw refuse('kid', `kid must be a string of 1 to ${maxKidLength} characters.`)
  }
  // RFC 7517 §4.2 and §4.3: a key made for encryption is not a key that signs.
  if (use !== undefined && use !== 'sig') throw refuse('use', 'The use of the key must be sig, or left out.')
  if (ops !== undefined && !isVerifying(ops)) {
    throw refuse(
      'key_ops',
      'The key_ops of the key must be different strings, verify among them, or left out.',
    )
  }
  return {
    ...(kid === undefined ? {} : { kid }),
    ...(alg === undefined ? {} : { alg: alg as string }),
    ...(use === undefined ? {} : { use }),
    ...(ops === undefined ? {} : { key_ops: ops }),
  }
}

function isVerifying(ops: unknown): ops is readonly string[] {
  if (!Array.isArray(ops) || ops.length > 16) return false
  if (!ops.every(op => typeof op === 'string' && op.length <= maxOpLength)) return false
  return ops.includes('verify') && new Set(ops).size === ops.length
}

function importObject(jwk: PublicJwk, alg: Algorithm): KeyObject {
  try {
    return createPublicKey({ key: bare(jwk, alg), format: 'jwk' })
  } catch (cause) {
    // Node says so with an error of its own for each way in which a point is not on the curve.
    throw unsound('not_on_curve', alg, cause)
  }
}

/** The members that make the key, without what is said about it: `key_ops` would be judged again by the importer. */
function bare(jwk: PublicJwk, alg: Algorithm): JsonWebKey {
  const members: JsonWebKey = { ...alg.fixed }
  for (const name of Object.keys(alg.coordinates)) members[name] = jwk[name as Coordinate]
  return members
}

type Coordinate = 'x' | 'y' | 'n' | 'e' | 'pub'

/** The key without anything said about it, as a proof carries it. */
export function bareJwk(jwk: PublicJwk): PublicJwk {
  return bare(jwk, rowOfParsed(jwk)) as unknown as PublicJwk
}

function rowOfParsed(jwk: PublicJwk): Algorithm {
  return rowFor(jwk as unknown as Readonly<Record<string, unknown>>, 'issuer')
}

/** RFC 7638 §3 with SHA-256, in base64url: the name of a key everywhere in Writ. The key must have been parsed. */
export function thumbprint(jwk: PublicJwk): string {
  return thumbprintOf(jwk, rowOfParsed(jwk))
}

function thumbprintOf(jwk: PublicJwk, alg: Algorithm): string {
  // RFC 7638 §3.3: the required members in lexicographic order, no white space. Nothing here needs escaping.
  const members = Object.entries(bare(jwk, alg)).sort(([a], [b]) => (a < b ? -1 : 1))
  return hash('sha256', JSON.stringify(Object.fromEntries(members)), 'base64url')
}

/** The key ready to verify. For keys that `parsePublicJwk` has seen. Throws `invalid_key`. */
export function importPublic(jwk: PublicJwk): VerifyKey {
  const alg = rowOfParsed(jwk)
  return { alg, key: importObject(jwk, alg), jkt: thumbprintOf(jwk, alg), jwk }
}

/**
 * A private JWK ready to sign, of an algorithm that `who` may use. Throws `invalid_key`, also where the two halves do not
 * belong together.
 */
export function importPrivate(value: Secret<PrivateJwk>, who: Signs = 'holder'): SignKey {
  const whole = value.reveal()
  // What the key is for was said of the private half (`sign`); what is published is its public half.
  const given = Object.entries(whole).filter(([name]) => !isPrivate(name) && name !== 'key_ops')
  const { jwk, alg, key: publicKey } = checkKey(Object.fromEntries(given), who)
  const key = importPrivateObject({ ...bare(jwk, alg), ...secretsOf(whole, alg) })
  // The importer believes the public members it is given: sign and verify once, so that no wrong half is published.
  const probe = Buffer.from('writ key check')
  if (!alg.verify(probe, publicKey, alg.sign(probe, key))) {
    throw refuse('halves_differ', 'The private and the public half of the key do not belong together.')
  }
  return { alg, key, jkt: thumbprintOf(jwk, alg), jwk }
}

const isPrivate = (name: string): boolean => (privateMembers as readonly string[]).includes(name)

/** The members that the row asks for, in their sizes, and no others. */
function secretsOf(whole: PrivateJwk, alg: Algorithm): JsonWebKey {
  const secrets: Record<string, string> = {}
  for (const [name, size] of Object.entries(alg.secrets)) {
    const text = whole[name as Hidden]
    if (text === undefined || bytesOf(text, size) === undefined)
      throw refuse('private_half', sizeSaid(name, size))
    secrets[name] = text
  }
  return secrets
}

type Hidden = Exclude<(typeof privateMembers)[number], 'oth' | 'k'>

function importPrivateObject(jwk: JsonWebKey): KeyObject {
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' })
  } catch {
    // The cause is dropped: nothing that has seen a private key goes into an error.
    throw refuse('private_half', 'The private half of the key is not valid.')
  }
}

export interface KeyPair {
  readonly sign: SignKey
  readonly verify: VerifyKey
  /** The private key for storage under a seal. */
  readonly secret: Secret<PrivateJwk>
}

/** A new key pair. `jwk` carries `alg`, so that whoever reads it need not guess. */
export function generateKeyPair(alg: AlgorithmName): KeyPair {
  const row: Algorithm = algorithms[alg]
  return pairOf(row, row.generate())
}

/** The same without keeping anybody waiting: where it takes long, it is made in the thread pool. */
export async function generateKeyPairAside(alg: AlgorithmName): Promise<KeyPair> {
  const row: Algorithm = algorithms[alg]
  return pairOf(row, (await row.generateAside?.()) ?? row.generate())
}

function pairOf(row: Algorithm, { publicKey, privateKey }: ReturnType<Algorithm['generate']>): KeyPair {
  const exported = privateKey.export({ format: 'jwk' }) as unknown as PrivateJwk
  const jwk: PublicJwk = { ...(bare(exported, row) as unknown as PublicJwk), alg: row.name }
  const jkt = thumbprintOf(jwk, row)
  return {
    sign: { alg: row, key: privateKey, jkt, jwk },
    verify: { alg: row, key: publicKey, jkt, jwk },
    secret: new Secret<PrivateJwk>({ ...jwk, ...secretsOf(exported, row) }),
  }
}

/** Imported keys, so that each is imported once and not with each request (28 µs, half a verification). */
export interface KeyCache {
  /** A registered key by its thumbprint. Throws `invalid_key` where the thumbprint is another key's. */
  public(jwk: PublicJwk, jkt: string): VerifyKey
  /** The key in the header segment of a proof whose header has been accepted and whose signature has held before. */
  proof(headerPart: string): VerifyKey | undefined
  /** To be called only after a signature has held: else keys nobody holds would push out those in use. */
  keepProof(headerPart: string, key: VerifyKey): void
}

/** A header segment larger than this is checked anew each time, so that the cache is bounded in bytes too. */
const maxHeaderPart = 1_024

/** A cache of at most `limit` registered keys and as many keys of proofs. */
export function keyCache(limit: number): KeyCache {
  const registered = boundedCache<VerifyKey>(limit)
  const proofs = boundedCache<VerifyKey>(limit)
  return {
    public(jwk, jkt) {
      const known = registered.get(jkt)
      if (known !== undefined) return known
      const key = importPublic(jwk)
      if (key.jkt !== jkt) throw refuse('thumbprint', 'The thumbprint is not that of the key.')
      registered.set(jkt, key)
      return key
    },
    proof: headerPart => proofs.get(headerPart),
    keepProof(headerPart, key) {
      if (headerPart.length <= maxHeaderPart) proofs.set(headerPart, key)
    },
  }
}
