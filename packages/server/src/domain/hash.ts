// The only hashing of the domain: SHA-256 over bytes, and over parts that cannot run into each other.
import { hash } from 'node:crypto'

/** The length of a SHA-256 hash in bytes. */
export const hashBytes = 32

// Marks a part whose text has no UTF-8 form; lengths stay below it.
const illFormed = 0x8000_0000

const scratch = Buffer.allocUnsafeSlow(8192)

/** SHA-256 of the bytes; of a text, SHA-256 of its UTF-8 form. */
export function sha256(bytes: Uint8Array | string): Buffer {
  // A digest as latin1 text that is copied into a pooled Buffer takes half the time of asking for a Buffer: that one
  // is an allocation of its own outside the heap for each digest.
  return Buffer.from(hash('sha256', bytes, 'binary'), 'latin1')
}

/** Writes SHA-256 of the bytes into `out` at `offset`; allocates nothing that outlives the call. */
export function sha256Into(out: Buffer, offset: number, bytes: Uint8Array): void {
  out.write(hash('sha256', bytes, 'binary'), offset, hashBytes, 'latin1')
}

/**
 * SHA-256 over length-prefixed parts: two lists of parts have one hash only if they are the same list, so that
 * `('a', 'bc')` and `('ab', 'c')` never share a replay mark. A text and its UTF-8 bytes are the same part.
 */
export function hashParts(...parts: readonly (string | Uint8Array)[]): Buffer {
  let bound = 0
  for (const part of parts) bound += 4 + (typeof part === 'string' ? 3 * part.length : part.length)
  const into = bound <= scratch.length ? scratch : Buffer.allocUnsafe(bound)
  let at = 0
  for (const part of parts) at = appendPart(into, at, part)
  return sha256(into.subarray(0, at))
}

function appendPart(into: Buffer, at: number, part: string | Uint8Array): number {
  const start = at + 4
  let mark = 0
  let length = part.length
  if (typeof part !== 'string') into.set(part, start)
  else if (part.isWellFormed()) length = into.write(part, start, 'utf8')
  else {
    // UTF-8 turns every lone surrogate into the same U+FFFD: two different texts of a caller would collide.
    length = into.write(part, start, 'utf16le')
    mark = illFormed
  }
  if (length >= illFormed) throw new RangeError('a part is too long to hash')
  into.writeUInt32BE(mark + length, at)
  return start + length
}
