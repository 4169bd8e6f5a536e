// Talking to the issuer: bounded requests, strict answers, and each remedy of a refusal tried at most once.
import { randomUUID } from 'node:crypto'
import { createProof } from '../protocol/dpop.ts'
import { type Code, codes, Fault } from '../protocol/fault.ts'
import { type JsonObject, readJsonObject } from '../protocol/json.ts'
import type { SignKey } from '../protocol/jwk.ts'
import type { Origins, Sending } from './origins.ts'

export interface Wire {
  readonly fetch: typeof fetch
  /** Epoch milliseconds. */
  readonly clock: () => number
  readonly origins: Origins
}

const maxAnswerBytes = 65_536
const timeoutMs = 10_000
/** Waits before a request whose answer was lost, or which the issuer could not serve now, is made again. */
const transientWaitsMs = [100, 500]
const longestAskedWaitMs = 2_000
const transientStatuses: ReadonlySet<number> = new Set([429, 502, 503, 504])

/** `why.kind` of a refusal that the issuer itself pronounced. */
export const refused = 'issuer_refused'

/** What an issuer answers to a POST that carries a proof of possession. */
export interface ProvenPost {
  readonly url: string
  /** The key whose possession the proof shows (RFC 9449 §4.2); absent where a bearer token is wanted. */
  readonly proofKey: SignKey | undefined
  readonly mediaType: 'application/json' | 'application/x-www-form-urlencoded'
  readonly headers?: Readonly<Record<string, string>>
  /** Made afresh for each attempt, because assertions are used once; `now` is the issuer's epoch second. */
  readonly body: (now: number) => string
}

/**
 * The members of a successful answer. Throws the refusal under the issuer's own code, with `why.kind`
 * `issuer_refused`; `temporarily_unavailable` when there was no answer; `server_error` when it was none of this kind.
 */
export async function postProven(wire: Wire, post: ProvenPost): Promise<Readonly<JsonObject>> {
  const tried = new Set<'nonce' | 'clock'>()
  for (let transient = 0; ; ) {
    const sending = wire.origins.begin(post.url)
    const answer = await send(wire, post.url, {
      method: 'POST',
      headers: {
        ...post.headers,
        'content-type': post.mediaType,
        ...(post.proofKey === undefined ? {} : { dpop: proofFor(post.proofKey, sending) }),
      },
      body: post.body(sending.now),
    })
    const waitMs = transientWaitsMs[transient]
    if (answer === undefined || transientStatuses.has(answer.status)) {
      if (waitMs === undefined) throw unreachable(post.url, answer?.status)
      transient += 1
      await answer?.body?.cancel()
      await new Promise(resolve => setTimeout(resolve, Math.max(waitMs, askedWaitMs(answer))))
      continue
    }
    const isOtherNonce = wire.origins.keepNonce(sending, answer)
    const members = await readObject(answer, post.url)
    if (answer.ok) return members
    const fault = refusalOf(answer, members)
    if (fault.code === 'use_dpop_nonce' && isOtherNonce && !tried.has('nonce')) tried.add('nonce')
    else if (isAboutTime(fault.code) && !tried.has('clock') && wire.origins.keepClock(sending, answer))
      tried.add('clock')
    else throw fault
  }
}

/** A JSON document, or undefined where the server has none there. Redirects are not followed. */
export async function getDocument(wire: Wire, url: string): Promise<Readonly<JsonObject> | undefined> {
  const answer = await send(wire, url, { method: 'GET', headers: { accept: 'application/json' } })
  if (answer === undefined || answer.status >= 500 || answer.status === 429)
    throw unreachable(url, answer?.status)
  // Many servers answer with a page of their own wherever there is nothing.
  const isJson = /^application\/(?:json|[\w.-]+\+json)\s*(?:;|$)/i.test(
    answer.headers.get('content-type') ?? '',
  )
  if (answer.status === 200 && isJson) return readObject(answer, url)
  await answer.body?.cancel()
  return undefined
}

function proofFor(key: SignKey, { url, now, nonce }: Sending): string {
  const proof = { key, method: 'POST', uri: url, nowSeconds: now, jti: randomUUID() }
  return createProof(nonce === undefined ? proof : { ...proof, nonce })
}

// A wrong clock shows as a proof or an assertion that is not yet, or no longer, good.
function isAboutTime(code: Code): boolean {
  return code === 'invalid_client' || code === 'invalid_dpop_proof' || code === 'invalid_token'
}

/** RFC 9110 §10.2.3: as long as we are asked to wait, as far as a caller can be made to. */
function askedWaitMs(answer: Response | undefined): number {
  const seconds = Number(answer?.headers.get('retry-after') ?? 0)
  return seconds > 0 ? Math.min(seconds * 1000, longestAskedWaitMs) : 0
}

/** The answer, or undefined where none came. */
async function send(wire: Wire, url: string, init: RequestInit): Promise<Response | undefined> {
  try {
    return await wire.fetch(url, { ...init, redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) })
  } catch (error) {
    // Only what fetch throws for a failed connection; a mistake of ours must not look like an outage.
    if (isLostConnection(error)) return undefined
    throw error
  }
}

function isLostConnection(error: unknown): boolean {
  return error instanceof TypeError || (error instanceof DOMException && error.name === 'TimeoutError')
}

function unreachable(url: string, status: number | undefined): Fault {
  return new Fault('temporarily_unavailable', `There is no answer from ${new URL(url).origin}; try again.`, {
    kind: 'unreachable',
    url,
    status,
  })
}

async function readObject(answer: Response, url: string): Promise<JsonObject> {
  const bytes = await readBytes(answer)
  const read = bytes === undefined ? { problem: 'broken_off_or_too_long' } : readJsonObject(bytes)
  if ('value' in read) return read.value
  throw new Fault('server_error', `The answer from ${new URL(url).origin} is not one that Writ gives.`, {
    kind: 'not_an_answer',
    problem: read.problem,
    status: answer.status,
    url,
  })
}

async function readBytes(answer: Response): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
      size += chunk.byteLength
      // Leaving the loop cancels the stream: an endless answer costs no memory.
      if (size > maxAnswerBytes) return undefined
      chunks.push(chunk)
    }
  } catch (error) {
    if (isLostConnection(error)) return undefined
    throw error
  }
  return Buffer.concat(chunks)
}

/** RFC 6749 §5.2 names the error `error`, RFC 9457 in our extension `code`. */
function refusalOf(answer: Response, members: Readonly<JsonObject>): Fault {
  const named = members['error'] ?? members['code']
  const unknown = answer.status >= 500 ? 'server_error' : 'invalid_request'
  const code = typeof named === 'string' && Object.hasOwn(codes, named) ? (named as Code) : unknown
  const said = members['error_description'] ?? members['detail']
  const say = typeof said === 'string' ? said.replace(/[^\x20-\x7e]/g, '?').slice(0, 300) : codes[code].title
  return new Fault(code, `The issuer refused: ${say}`, {
    kind: refused,
    status: answer.status,
    named: typeof named === 'string' ? named.slice(0, 64) : undefined,
    request: answer.headers.get('x-request-id')?.slice(0, 64),
  })
}
