// The signature algorithms: one table, and everything below receives its row. RFC 7518 §3.4 and §3.5, RFC 8037,
// RFC 9864, RFC 9964.
import { constants, generateKeyPair, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { promisify } from 'node:util'
import { isSoundEd25519Point } from './edwards25519.ts'

/** `holder`: agents, clients and whoever proves possession. `issuer`: the authority, for its tokens. */
export type Signs = 'holder' | 'issuer'

/** Of a binary member of a JWK: the fewest and the most bytes. */
export type Size = readonly [least: number, most: number]

interface Halves {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

/** How a key is used; one algorithm, never a family of them (RFC 8725 §3.1). */
export interface Algorithm {
  readonly name: string
  /**
   * The values of the header's `alg` that mean this algorithm. RFC 9864 §2.2 renames `EdDSA`, which said too little,
   * to `Ed25519`: with a key on that curve the two mean the same.
   */
  readonly accepts: readonly string[]
  /** Whose keys may be of it. */
  readonly signs: readonly Signs[]
  /** The members of the JWK that say which kind of key it is. */
  readonly fixed: Readonly<Record<string, string>>
  /** The binary members of the public JWK. With `fixed` they are what RFC 7638 calls required. */
  readonly coordinates: Readonly<Record<string, Size>>
  /** The binary members that only the holder knows. */
  readonly secrets: Readonly<Record<string, Size>>
  /** The exact length of every signature of the key. */
  signatureBytes(key: KeyObject): number
  generate(): Halves
  /** The same in the thread pool, where it takes so long that others would be kept waiting. */
  readonly generateAside?: () => Promise<Halves>
  sign(input: Uint8Array, key: KeyObject): Buffer
  /** Only ever called with a signature of exactly `signatureBytes`. */
  verify(input: Uint8Array, key: KeyObject, signature: Uint8Array): boolean
  /** What importing the key does not refuse by itself (threat C20). Coordinates are within their sizes. */
  isSound(coordinates: readonly Uint8Array[]): boolean
}

const exactly = (bytes: number): Size => [bytes, bytes]

// RFC 7518 §3.4: R and S side by side. A DER signature has many lengths and spellings; this form has one. Node would
// convert between the two itself, but at 27 µs a signature, more than the signing takes: so it is done here.
const half = 32

/** R and S as a DER sequence of two integers (RFC 3279 §2.2.3): the least bytes, and a zero before a high first bit. */
function toDer(signature: Uint8Array): Buffer {
  const r = integerOf(signature.subarray(0, half))
  const s = integerOf(signature.subarray(half))
  return Buffer.concat([Buffer.of(0x30, r.length + s.length), r, s])
}

function integerOf(bytes: Uint8Array): Buffer {
  let from = 0
  while (from < half - 1 && bytes[from] === 0) from++
  const pad = (bytes[from] as number) > 0x7f ? 1 : 0
  const integer = Buffer.alloc(2 + pad + half - from)
  integer[0] = 0x02
  integer[1] = integer.length - 2
  integer.set(bytes.subarray(from), 2 + pad)
  return integer
}

/** R and S from the DER that our own signing made: both integers at their end, filled up with zeros. */
function fromDer(der: Uint8Array): Buffer {
  const signature = Buffer.alloc(2 * half)
  const rEnd = 4 + (der[3] as number)
  for (const [integer, end] of [
    [der.subarray(4, rEnd), half],
    [der.subarray(rEnd + 2), 2 * half],
  ] as const) {
    const bytes = integer.length > half ? integer.subarray(integer.length - half) : integer
    signature.set(bytes, end - bytes.length)
  }
  return signature
}

const ed25519 = {
  accepts: ['Ed25519', 'EdDSA'],
  signs: ['holder', 'issuer'],
  fixed: { crv: 'Ed25519', kty: 'OKP' },
  coordinates: { x: exactly(32) },
  secrets: { d: exactly(32) },
  signatureBytes: () => 64,
  generate: () => generateKeyPairSync('ed25519'),
  sign: (input, key) => sign(null, input, key),
  verify: (input, key, signature) => verify(null, input, key, signature),
  isSound: ([x]) => x !== undefined && isSoundEd25519Point(x),
} as const satisfies Omit<Algorithm, 'name'>

// RFC 7518 §3.5: a salt as long as the hash. Node would take any length at verification.
const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } as const
const leastModulusBytes = 256
const mostModulusBytes = 512
const modulusBits = 3072
const exponent = 65537
const rsaOptions = { modulusLength: modulusBits, publicExponent: exponent }
const generateInPool = promisify(generateKeyPair)

/** RFC 7518 §3.5: 2048 bits or more. RFC 7518 §2: the least bytes, so that no key has two spellings. */
function isSoundRsa(n: Uint8Array | undefined, e: Uint8Array | undefined): boolean {
  if (n === undefined || e === undefined || n[0] === 0 || e[0] === 0) return false
  if (n.length === leastModulusBytes && (n[0] as number) < 0x80) return false
  // An even modulus is no product of two primes; small and unusual exponents have cost others too much.
  return (n.at(-1) as number) % 2 === 1 && Buffer.from(e).readUIntBE(0, e.length) === exponent
}

/** What only the holder of an RSA key knows besides `d`: the two primes, and what is derived from them. */
const ofPrimes: Size = [leastModulusBytes / 2 - 8, mostModulusBytes / 2 + 8]

export const algorithms = {
  ES256: {
    name: 'ES256',
    accepts: ['ES256'],
    signs: ['holder', 'issuer'],
    fixed: { crv: 'P-256', kty: 'EC' },
    coordinates: { x: exactly(32), y: exactly(32) },
    secrets: { d: exactly(32) },
    signatureBytes: () => 64,
    generate: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    sign: (input, key) => fromDer(sign('sha256', input, key)),
    verify: (input, key, signature) => verify('sha256', input, key, toDer(signature)),
    // The import itself refuses points that are not on the curve and coordinates of p or more.
    isSound: () => true,
  },
  Ed25519: { ...ed25519, name: 'Ed25519' },
  // The same algorithm under its older name, for keys whose holder says so in `alg` and signs so.
  EdDSA: { ...ed25519, signs: ['holder'], name: 'EdDSA' },
  PS256: {
    name: 'PS256',
    accepts: ['PS256'],
    signs: ['issuer'],
    fixed: { kty: 'RSA' },
    coordinates: { e: [1, 4], n: [leastModulusBytes, mostModulusBytes] },
    secrets: {
      d: [1, mostModulusBytes],
      p: ofPrimes,
      q: ofPrimes,
      dp: [1, ofPrimes[1]],
      dq: [1, ofPrimes[1]],
      qi: [1, ofPrimes[1]],
    },
    // RFC 8017 §8.1.1: as long as the modulus.
    signatureBytes: key => Math.ceil((key.asymmetricKeyDetails?.modulusLength ?? 0) / 8),
    generate: () => generateKeyPairSync('rsa', rsaOptions),
    // Two primes are searched for: some 200 ms, and now and then seconds.
    generateAside: () => generateInPool('rsa', rsaOptions),
    sign: (input, key) => sign('sha256', input, { key, ...pss }),
    verify: (input, key, signature) => verify('sha256', input, { key, ...pss }, signature),
    isSound: ([e, n]) => isSoundRsa(n, e),
  },
  // FIPS 204, as RFC 9964 puts it into JOSE: holds also against whoever has a quantum computer.
  'ML-DSA-44': {
    name: 'ML-DSA-44',
    accepts: ['ML-DSA-44'],
    signs: ['issuer'],
    fixed: { alg: 'ML-DSA-44', kty: 'AKP' },
    coordinates: { pub: exactly(1312) },
    // RFC 9964: the seed, and never the expanded key.
    secrets: { priv: exactly(32) },
    signatureBytes: () => 2420,
    generate: () => generateKeyPairSync('ml-dsa-44'),
    sign: (input, key) => sign(null, input, key),
    verify: (input, key, signature) => verify(null, input, key, signature),
    isSound: () => true,
  },
} as const satisfies Record<string, Algorithm>

export type AlgorithmName = keyof typeof algorithms

const rows: readonly Algorithm[] = Object.values(algorithms)

/** The name of the algorithm, if such keys may be of it and this process can use it. */
export function algorithmNamed(name: string, who: Signs): AlgorithmName | undefined {
  const row = rows.find(one => one.name === name && one.signs.includes(who))
  return row !== undefined && isUsable(row) ? (row.name as AlgorithmName) : undefined
}

/** The names of the algorithms that such keys may be of, the preferred first. */
export function algorithmsOf(who: Signs): readonly string[] {
  return rows.filter(row => row.signs.includes(who)).map(row => row.name)
}

/** Whether this process can make and use keys of the algorithm: not every OpenSSL has the newest ones. */
export function isUsable(row: Algorithm): boolean {
  const known = usable.get(row.name)
  if (known !== undefined) return known
  const found = row.name.startsWith('ML-DSA') ? canGenerate(row) : true
  usable.set(row.name, found)
  return found
}

const usable = new Map<string, boolean>()

function canGenerate(row: Algorithm): boolean {
  try {
    row.generate()
    return true
  } catch (error) {
    // Node says so in many ways, by the OpenSSL that it was built with: whatever it is, this machine cannot.
    if (error instanceof Error) return false
    throw error
  }
}

/**
 * The row with this name, or the row for this key: the one its `alg` names, else the first for its type and curve.
 * Undefined for anything unknown and for a key whose `alg` contradicts its type.
 */
export function algorithmFor(from: string | Readonly<Record<string, unknown>>): Algorithm | undefined {
  if (typeof from === 'string') return rows.find(row => row.name === from)
  return rows.find(row => isOfKind(from, row) && (from['alg'] === undefined || from['alg'] === row.name))
}

/** Whether the key is of the kind of this row, whatever its `alg` says beyond that. */
function isOfKind(jwk: Readonly<Record<string, unknown>>, row: Algorithm): boolean {
  return Object.entries(row.fixed).every(([name, value]) => jwk[name] === value)
}

/** The first row for a key of this kind that may be of `who`, whatever its `alg` says. */
export function kindOf(jwk: Readonly<Record<string, unknown>>, who: Signs): Algorithm | undefined {
  return rows.find(row => row.signs.includes(who) && isOfKind(jwk, row))
}
