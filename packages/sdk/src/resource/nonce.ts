// DPoP nonces of a resource: made from a key and the time, so that none is stored. RFC 9449 §9.
import { createHmac, randomBytes } from 'node:crypto'
import { Secret } from '../protocol/secret.ts'

export interface Nonces {
  /** The nonce to hand out now. */
  current(now: number): string
  /** Whether the nonce is one of ours and at most two windows old (or one ahead, from a process whose clock is). */
  accepts(nonce: string, now: number): boolean
}

const windowSeconds = 120

/**
 * `secret`: 32 bytes or more, shared by all processes of one resource; made for this process when left out. `purpose`
 * keeps the nonces of resources that share a secret apart.
 */
export function createNonces(purpose: string, secret = new Secret<Uint8Array>(randomBytes(32))): Nonces {
  if (secret.reveal().length < 32) throw new RangeError('a nonce secret needs at least 32 bytes')
  let window = Number.NEGATIVE_INFINITY
  let nonces: readonly string[] = []

  const make = (at: number): string =>
    createHmac('sha256', secret.reveal())
      .update(`writ dpop nonce\0${at}\0${purpose}`)
      .digest('base64url')
      .slice(0, 32)

  const turn = (now: number): void => {
    const due = Math.floor(now / windowSeconds)
    if (due === window) return
    window = due
    nonces = [make(due), make(due - 1), make(due + 1)]
  }

  return {
    current(now) {
      turn(now)
      return nonces[0] ?? ''
    },
    // Nonces are handed to everybody who asks, so there is nothing to hide in how long a comparison takes.
    accepts(nonce, now) {
      turn(now)
      return nonces.includes(nonce)
    },
  }
}
