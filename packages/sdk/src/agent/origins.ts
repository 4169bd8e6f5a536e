// What answers have taught about each origin: its newest DPoP nonce (RFC 9449 §8.2) and how far its clock is from ours.
import { boundedCache } from '../protocol/bounded-cache.ts'

const maxOrigins = 512
/** A `Date` header has whole seconds and is as old as its journey: less than this proves nothing about a clock. */
const noticedMs = 4_000

/** What one request was made with; its answer is judged against this, however many others have answered meanwhile. */
export interface Sending {
  readonly url: string
  readonly origin: string
  readonly nonce: string | undefined
  /** The time as the origin counts it, as far as known: whole epoch seconds, and milliseconds. */
  readonly now: number
  readonly nowMs: number
  readonly offsetMs: number
  readonly sentMs: number
}

/** A bounded memory. Nothing in it is a credential: a wrong lesson costs one refused request. */
export interface Origins {
  begin(url: string): Sending
  /** Keeps the nonce that came with an answer; true if the request was made with another one, or none. */
  keepNonce(sending: Sending, answer: Response): boolean
  /** Measures the origin's clock by an answer; true if the request was made seconds off. */
  keepClock(sending: Sending, answer: Response): boolean
}

/** `clock` gives epoch milliseconds. */
export function createOrigins(clock: () => number): Origins {
  const nonces = boundedCache<string>(maxOrigins)
  const offsets = boundedCache<number>(maxOrigins)
  return {
    begin(url) {
      const { origin } = new URL(url)
      const sentMs = clock()
      const offsetMs = offsets.get(origin) ?? 0
      const nowMs = sentMs + offsetMs
      return {
        url,
        origin,
        nonce: nonces.get(origin),
        now: Math.floor(nowMs / 1000),
        nowMs,
        offsetMs,
        sentMs,
      }
    },
    keepNonce(sending, answer) {
      const nonce = answer.headers.get('dpop-nonce')
      // RFC 9449 §8.1: 1*NQCHAR; bounded, because it comes back in every proof.
      if (nonce === null || !/^[\x21\x23-\x5b\x5d-\x7e]{1,512}$/.test(nonce)) return false
      nonces.set(sending.origin, nonce)
      return nonce !== sending.nonce
    },
    keepClock(sending, answer) {
      const date = Date.parse(answer.headers.get('date') ?? '')
      if (Number.isNaN(date)) return false
      const offsetMs = date + 500 - (sending.sentMs + clock()) / 2
      if (Math.abs(offsetMs - sending.offsetMs) < noticedMs) return false
      offsets.set(sending.origin, offsetMs)
      return true
    },
  }
}
