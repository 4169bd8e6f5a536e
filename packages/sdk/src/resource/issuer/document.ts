// Fetches a small JSON document of the issuer: bounded in time and size, never redirected. RFC 8414 §3.2, RFC 9700 §4.11.
import { type JsonObject, readJsonObject } from '../../protocol/json.ts'

export interface DocumentOptions {
  readonly fetch: typeof fetch
  readonly signal: AbortSignal
}

const timeoutMs = 3000
const maxBytes = 262_144

/** The object at `url`. Throws an Error that says what was wrong with the answer; never with its content. */
export async function fetchDocument(url: string, options: DocumentOptions): Promise<JsonObject> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(timeoutMs)])
  // A redirect would let whoever controls one path of the issuer's host name another host as the issuer.
  const response = await options.fetch(url, {
    headers: { accept: 'application/json' },
    redirect: 'error',
    signal,
  })
  const type = mediaTypeOf(response.headers)
  if (response.status !== 200 || !(type === 'application/json' || type?.endsWith('+json'))) {
    await response.body?.cancel()
    throw new Error(`${url} answered ${response.status} as ${type ?? 'nothing'}`)
  }
  const read = readJsonObject(await readBytes(response, maxBytes), { maxBytes })
  if ('problem' in read) throw new Error(`${url} answered with unacceptable JSON: ${read.problem}`)
  return read.value
}

/** The essence of the content type, in lower case. */
export function mediaTypeOf(headers: Headers): string | undefined {
  return headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
}

/** The body, as long as it is not larger than `limit` bytes. */
export async function readBytes(message: Request | Response, limit: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of message.body ?? []) {
    size += chunk.length
    if (size > limit) throw new RangeError(`the body has more than ${limit} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
