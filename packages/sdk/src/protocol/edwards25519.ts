// Which 32 bytes are a sound Ed25519 public key: RFC 8032 §5.1.3, and no point of small order.

const p = 2n ** 255n - 19n
const d = 37095705934669439343138083508754565189542113879843219016388785533085940283555n
const exponent = (p - 1n) / 2n

const order8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022n

/**
 * The y of the eight points whose order divides 8. For such a key anybody can make "signatures" that verify, so its
 * thumbprint would name no holder. 0: order 4; 1: the neutral element; -1: order 2; the last two: order 8.
 */
const smallOrder: ReadonlySet<bigint> = new Set([0n, 1n, p - 1n, order8, p - order8])

const byte = (bytes: Uint8Array, at: number): bigint => BigInt(bytes[at] ?? 0)

/** Whether the bytes encode, canonically, a point of the curve that is not of small order. */
export function isSoundEd25519Point(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false
  let y = 0n
  for (let at = 31; at >= 0; at--) y = (y << 8n) | (at === 31 ? byte(bytes, at) & 0x7fn : byte(bytes, at))
  // RFC 8032 §5.1.3 step 1: a y of p or more is a second spelling of a smaller one, hence a second thumbprint.
  if (y >= p || smallOrder.has(y)) return false
  // x² = (y² - 1) / (d·y² + 1): a square exactly if numerator times denominator is one (Euler's criterion).
  const square = (y * y) % p
  return power((((square + p - 1n) % p) * ((d * square + 1n) % p)) % p, exponent) === 1n
}

function power(base: bigint, by: bigint): bigint {
  let result = 1n
  for (let factor = base, left = by; left > 0n; left >>= 1n) {
    if ((left & 1n) === 1n) result = (result * factor) % p
    factor = (factor * factor) % p
  }
  return result
}
