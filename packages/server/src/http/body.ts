// Request bodies: the size is bounded before anything is read, the media type before anything is parsed.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { parseJsonObject } from '@writ/sdk/protocol/json'

/** The body as text. Throws `unsupported_media_type`, `request_too_large` or `invalid_request`. */
export async function readBody(request: Request, mediaType: string, maxBytes: number): Promise<string> {
  const given = request.headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase()
  if (given !== mediaType)
    throw new Fault('unsupported_media_type', `Send ${mediaType}.`, { kind: 'media_type', given })
  // A compressed body could grow past every bound after it was measured (threat C64).
  if (request.headers.has('content-encoding')) {
    throw new Fault('unsupported_media_type', 'Send the body without a content encoding.', {
      kind: 'content_encoding',
    })
  }
  const length = request.headers.get('content-length')
  if (length !== null) {
    if (!/^\d{1,15}$/.test(length))
      throw new Fault('invalid_request', 'Content-Length is malformed.', { kind: 'content_length' })
    if (Number(length) > maxBytes) throw tooLarge(maxBytes)
    return decode(new Uint8Array(await arrived(request.arrayBuffer())))
  }
  return decode(await arrived(readBounded(request, maxBytes)))
}

/** The body as one JSON object, strictly: no duplicate members, bounded depth, nothing rounded. */
export async function readJson(request: Request, maxBytes: number): Promise<Record<string, unknown>> {
  const text = await readBody(request, 'application/json', maxBytes)
  const value = parseJsonObject(text, { maxBytes })
  if (value === undefined) {
    throw new Fault('invalid_request', 'The body must be one JSON object without duplicate members.', {
      kind: 'malformed_json',
    })
  }
  return value
}

/** A body that breaks off is its sender's doing: no failure of ours, and no line of the log that says so. */
async function arrived<T>(body: Promise<T>): Promise<T> {
  try {
    return await body
  } catch (cause) {
    if (isFault(cause)) throw cause
    throw new Fault(
      'invalid_request',
      'The request ended before its body did.',
      { kind: 'body_broken_off' },
      { cause },
    )
  }
}

async function readBounded(request: Request, maxBytes: number): Promise<Uint8Array> {
  if (request.body === null) return new Uint8Array()
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of request.body as unknown as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength
    if (size > maxBytes) throw tooLarge(maxBytes)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

// Nothing is replaced and nothing dropped: two readers of the same bytes must read the same text (threat C19).
function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch (cause) {
    throw new Fault('invalid_request', 'The body is not UTF-8.', { kind: 'not_utf8' }, { cause })
  }
}

function tooLarge(maxBytes: number): Fault {
  return new Fault('request_too_large', `The body may have ${maxBytes} bytes.`, { kind: 'body_too_large' })
}
