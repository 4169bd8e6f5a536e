// One HTTP exchange with an upstream, as rotators may have it (RFC 9110): no redirect, no more than bounded, no leak.
import { type ClientRequest, request as overHttp, type RequestOptions } from 'node:http'
import { request as overHttps } from 'node:https'
import { Fault } from '@writ/sdk/protocol/fault'
import { isSecureUrl } from '@writ/sdk/protocol/uri'

/** What is sent. The URL is used as it is spelt: nothing in it is resolved, so nothing in it can leave its origin. */
export interface Exchange {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly timeoutSeconds: number
  /** Whether the answer's body is wanted at all; what is not wanted is not read. */
  readonly reads: boolean
}

export interface Answer {
  readonly status: number
  /** Empty where it was not wanted. At most `maxAnswerBytes`. */
  readonly body: Uint8Array
}

const maxAnswerBytes = 65_536
const agent = 'writ'

/**
 * The answer, whatever its status: redirects are not followed, for they would carry the secret to a place that nobody
 * named. Throws `temporarily_unavailable` where there is none in time, it breaks off, or `signal` aborts; `conflict`
 * where it is too long. Neither shows anything that was sent or received.
 */
export async function exchange(sent: Exchange, signal: AbortSignal): Promise<Answer> {
  // INVARIANT: a secret leaves over TLS, or not at all off this machine. Options were checked; a value may be newer.
  if (!isSecureUrl(sent.url))
    throw new Fault('conflict', 'The upstream has no https URL: nothing is sent there.')
  const deadline = AbortSignal.any([signal, AbortSignal.timeout(sent.timeoutSeconds * 1000)])
  // Also what is given up before it begins must not be sent.
  if (deadline.aborted) throw away(sent, 'aborted')
  // Outside of what is caught: a mistake of ours must not look like an outage.
  const request = open(sent, deadline)
  try {
    return await answerTo(request, sent)
  } catch (error) {
    if (error instanceof TooLong) throw tooLong(sent)
    throw away(sent, codeOf(error))
  }
}

class TooLong extends Error {}

function answerTo(request: ClientRequest, { reads, body }: Exchange): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request.on('error', reject)
    request.once('response', answer => {
      const status = answer.statusCode ?? 0
      answer.on('error', reject)
      if (!reads) {
        answer.destroy()
        resolve({ status, body: new Uint8Array() })
        return
      }
      const chunks: Uint8Array[] = []
      let size = 0
      answer.on('data', (chunk: Uint8Array) => {
        size += chunk.byteLength
        if (size > maxAnswerBytes) answer.destroy(new TooLong())
        else chunks.push(chunk)
      })
      // `end` comes only after a whole answer: one that breaks off is an error (`aborted`).
      answer.once('end', () => resolve({ status, body: Buffer.concat(chunks) }))
    })
    request.end(body)
  })
}

function open(sent: Exchange, signal: AbortSignal): ClientRequest {
  const url = new URL(sent.url)
  const options: RequestOptions = {
    method: sent.method,
    hostname: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port,
    path: targetOf(sent.url),
    headers: {
      'user-agent': agent,
      ...sent.headers,
      ...(sent.body === undefined ? {} : { 'content-length': Buffer.byteLength(sent.body) }),
    },
    // A connection of its own, closed after it: nobody else's answer can be taken for this one.
    agent: false,
    signal,
  }
  return url.protocol === 'https:' ? overHttps(options) : overHttp(options)
}

/** RFC 9112 §3.2.1, as spelt, not as `URL` would resolve it. */
function targetOf(url: string): string {
  const rest = url.replace(/^[a-z]+:\/\/[^/?]*/i, '')
  return rest.startsWith('/') ? rest : `/${rest}`
}

/** The upstream's answer was not one of those that were expected: whether it can be another one later. */
export function refusal(sent: Pick<Exchange, 'url'>, status: number, doing: string): Fault {
  const { origin } = new URL(sent.url)
  const facts = { kind: 'upstream_refused', origin, status }
  // RFC 9110 §15.5.9, RFC 6585 §4: too slow and too often are no refusals, and a failed server may be well again.
  if (status === 408 || status === 425 || status === 429 || status >= 500)
    return new Fault('temporarily_unavailable', `${origin} cannot ${doing} now (${status}).`, facts)
  if (status >= 300 && status < 400)
    return new Fault(
      'conflict',
      `${origin} answers with a redirect (${status}) when asked to ${doing}; name the final URL instead.`,
      facts,
    )
  return new Fault(
    'conflict',
    `${origin} refuses to ${doing} (${status}); look at its own log for the reason, mend it and try again.`,
    facts,
  )
}

function away({ url }: Exchange, problem: string): Fault {
  const { origin } = new URL(url)
  return new Fault('temporarily_unavailable', `There is no answer from ${origin}.`, {
    kind: 'upstream_unreachable',
    origin,
    problem,
  })
}

function tooLong({ url }: Exchange): Fault {
  const { origin } = new URL(url)
  return new Fault('conflict', `${origin} answers with more than ${maxAnswerBytes} bytes.`, {
    kind: 'upstream_too_long',
    origin,
  })
}

// The message of a connection error can hold whatever the upstream sent; its code is one of a few words.
function codeOf(error: unknown): string {
  const code = error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.name) : 'unknown'
  return /^[A-Za-z0-9_]{1,64}$/.test(code) ? code : 'unknown'
}
