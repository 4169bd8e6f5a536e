// What the agents of this process sent and were answered, as somebody on the wire would see it: step 4 steals from here.
import { parseJws } from '@writ/sdk/protocol/jws'
import { parseClaims } from '@writ/sdk/protocol/jwt'

export interface Seen {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
  readonly status: number
  readonly answerHeaders: Headers
}

/** An access token as it went over the wire: which key signed it, and until when it counts, epoch seconds. */
export interface SeenToken {
  readonly kid: string
  readonly expiresAt: number
  /** When it was first seen, epoch milliseconds. */
  readonly seenAtMs: number
}

export interface Wiretap {
  /** A `fetch` that is listened to. */
  readonly fetch: typeof fetch
  readonly tokens: ReadonlyMap<string, SeenToken>
  count(): number
  /** The newest POST to this URL that carried an access token; streams that are open beside it do not count. */
  last(url: string): Seen
  /** Whether any request held this text, in whatever place. */
  has(text: string): boolean
}

const kept = 5_000

export function openWiretap(): Wiretap {
  const all: Seen[] = []
  const tokens = new Map<string, SeenToken>()
  let count = 0
  return {
    tokens,
    count: () => count,
    async fetch(input, init) {
      const headers = Object.fromEntries(new Headers(init?.headers))
      noteToken(tokens, headers['authorization'])
      const answer = await fetch(input, init)
      count += 1
      all.push({
        url: String(input),
        method: init?.method ?? 'GET',
        headers,
        body: typeof init?.body === 'string' ? init.body : undefined,
        status: answer.status,
        answerHeaders: answer.headers,
      })
      if (all.length > kept) all.shift()
      return answer
    },
    last(url) {
      const found = all.findLast(
        seen => seen.url === url && seen.method === 'POST' && 'authorization' in seen.headers,
      )
      if (found === undefined) throw new Error(`nothing was sent to ${url}`)
      return found
    },
    has: text => all.some(seen => JSON.stringify(seen).includes(text)),
  }
}

function noteToken(tokens: Map<string, SeenToken>, authorization: string | undefined): void {
  const token = authorization?.split(' ')[1]
  if (token === undefined || tokens.has(token)) return
  const jws = parseJws(token)
  const expiresAt = jws && parseClaims(jws)?.['exp']
  const kid = jws?.header.kid
  if (kid === undefined || typeof expiresAt !== 'number') throw new Error('an access token could not be read')
  tokens.set(token, { kid, expiresAt, seenAtMs: Date.now() })
}
