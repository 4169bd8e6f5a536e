// Reads lines of text out of a stream of bytes in flat memory; strict about UTF-8, length and the last newline.
import { isUtf8 } from 'node:buffer'

const mostLineBytes = 1024 * 1024
const newline = 0x0a

/** What stands in for a line that cannot be read. None of these is JSON, so no reader of JSON takes them for a line. */
const unreadable = {
  notUtf8: 'writ: a line that is not UTF-8',
  tooLong: 'writ: a line of more than 1 MiB',
  unfinished: 'writ: a last line without its newline',
} as const

/**
 * The lines of a stream, without their newlines (U+000A only; anything else belongs to the line). At most one line of
 * 1 MiB is held. A line that is longer, not UTF-8, or the last one and cut, arrives as a sentence that is not JSON.
 */
export async function* readLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  let parts: Uint8Array[] = []
  let length = 0
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const last = chunk.subarray(start, end)
      length += last.length
      yield length > mostLineBytes
        ? unreadable.tooLong
        : decode(parts.length === 0 ? last : Buffer.concat([...parts, last]))
      parts = []
      length = 0
      start = end + 1
    }
    const rest = chunk.subarray(start)
    length += rest.length
    // Past the bound only the count goes on: an endless line costs its sender more than us.
    if (length > mostLineBytes) parts = []
    else if (rest.length > 0) parts.push(Uint8Array.from(rest))
  }
  if (length > 0) yield unreadable.unfinished
}

function decode(bytes: Uint8Array): string {
  // A lenient decoder turns different broken bytes into one U+FFFD, and a change of them would go unseen.
  return isUtf8(bytes)
    ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
    : unreadable.notUtf8
}
