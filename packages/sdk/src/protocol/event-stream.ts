// Server-sent events, read from a body under a size bound: WHATWG HTML §9.2 (the data of each event, nothing else).

const lineEnd = /\r\n|\r|\n/g

/**
 * Yields the data of each complete event; comments, names and ids are skipped. An event that the end of the body
 * cuts short is dropped, as the specification asks. Throws a RangeError once an event exceeds `maxChars`, so that a
 * peer that never ends an event cannot fill the memory.
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  maxChars: number,
): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  const reader = body.getReader()
  let rest = ''
  let data: string[] = []
  let size = 0
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const { lines, left } = splitLines(rest, decoder.decode(value, { stream: true }))
      rest = left
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0) yield data.join('\n')
          data = []
          size = 0
          continue
        }
        size += line.length
        if (size > maxChars) throw new RangeError('a server-sent event is too large')
        if (line === 'data') data.push('')
        else if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5))
      }
      if (size + rest.length > maxChars) throw new RangeError('a server-sent event is too large')
    }
  } finally {
    // The consumer may leave early: the connection must not stay behind.
    await reader.cancel().catch(() => undefined)
  }
}

/** A carriage return at the very end may be half of a line end: it waits for what follows. */
function splitLines(
  rest: string,
  chunk: string,
): { readonly lines: readonly string[]; readonly left: string } {
  // Only what is new can hold a line end, except for that waiting carriage return.
  if (!rest.endsWith('\r') && !/[\r\n]/.test(chunk)) return { lines: [], left: rest + chunk }
  const text = rest + chunk
  const end = text.endsWith('\r') ? text.length - 1 : text.length
  const lines = text.slice(0, end).split(lineEnd)
  const last = lines.pop() ?? ''
  return { lines, left: last + text.slice(end) }
}
