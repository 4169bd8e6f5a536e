// The signature algorithms: one table, and everything below receives its row. RFC 7518 §3.4, RFC 8037, RFC 9864.
import { generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto'
import { isSoundEd25519Point } from './edwards25519.ts'

/** How a key is used; one algorithm, never a family of them (RFC 8725 §3.1). */
export interface Algorithm {
  readonly name: string
  /**
   * The values of the header's `alg` that mean this algorithm. RFC 9864 §2.2 renames `EdDSA`, which said too little,
   * to `Ed25519`: with a key on that curve the two mean the same.
   */
  readonly accepts: readonly string[]
  /** The members of the JWK that say which kind of key it is. */
  readonly fixed: Readonly<Record<string, string>>
  /** The binary members of the public JWK and their exact length in bytes. */
  readonly coordinates: Readonly<Record<string, number>>
  /** The exact length of the private member `d`. */
  readonly secretBytes: number
  readonly signatureBytes: number
  generate(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
  sign(input: Uint8Array, key: KeyObject): Buffer
  /** Only ever called with a signature of exactly `signatureBytes`. */
  verify(input: Uint8Array, key: KeyObject, signature: Uint8Array): boolean
  /** What importing the key does not refuse by itself (threat C20). Coordinates have their exact lengths. */
  isSound(coordinates: readonly Uint8Array[]): boolean
}

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
  fixed: { crv: 'Ed25519', kty: 'OKP' },
  coordinates: { x: 32 },
  secretBytes: 32,
  signatureBytes: 64,
  generate: () => generateKeyPairSync('ed25519'),
  sign: (input, key) => sign(null, input, key),
  verify: (input, key, signature) => verify(null, input, key, signature),
  isSound: ([x]) => x !== undefined && isSoundEd25519Point(x),
} as const satisfies Omit<Algorithm, 'name'>

export const algorithms = {
  ES256: {
    name: 'ES256',
    accepts: ['ES256'],
    fixed: { crv: 'P-256', kty: 'EC' },
    coordinates: { x: 32, y: 32 },
    secretBytes: 32,
    signatureBytes: 64,
    generate: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    sign: (input, key) => fromDer(sign('sha256', input, key)),
    verify: (input, key, signature) => verify('sha256', input, key, toDer(signature)),
    // The import itself refuses points that are not on the curve and coordinates of p or more.
    isSound: () => true,
  },
  Ed25519: { ...ed25519, name: 'Ed25519' },
  // The same algorithm under its older name, for keys whose holder says so in `alg` and signs so.
  EdDSA: { ...ed25519, name: 'EdDSA' },
} as const satisfies Record<string, Algorithm>

export type AlgorithmName = keyof typeof algorithms

const rows: readonly Algorithm[] = Object.values(algorithms)

/**
 * The row with this name, or the row for this key: the one its `alg` names, else the first for its type and curve.
 * Undefined for anything unknown and for a key whose `alg` contradicts its type.
 */
export function algorithmFor(from: string | Readonly<Record<string, unknown>>): Algorithm | undefined {
  if (typeof from === 'string') return rows.find(row => row.name === from)
  return rows.find(row => isOfKind(from, row) && (from['alg'] === undefined || from['alg'] === row.name))
}

/** Whether the key is of the kind of this row, whatever its `alg` says. */
function isOfKind(jwk: Readonly<Record<string, unknown>>, row: Algorithm): boolean {
  return Object.entries(row.fixed).every(([name, value]) => jwk[name] === value)
}

/** The first row for a key of this kind, whatever its `alg` says. */
export function kindOf(jwk: Readonly<Record<string, unknown>>): Algorithm | undefined {
  return rows.find(row => isOfKind(jwk, row))
}
