// Server-sent events: cut anywhere, in any line ending, they read the same, and no peer can fill the memory.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readEvents } from './event-stream.ts'

const streamOf = (chunks: readonly Uint8Array[]): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    },
  })

const collect = async (chunks: readonly Uint8Array[], maxChars = 1000): Promise<string[]> => {
  const events: string[] = []
  for await (const data of readEvents(streamOf(chunks), maxChars)) events.push(data)
  return events
}

test('yields the data of each event wherever the bytes are cut and whichever line end is used', async () => {
  const line = fc.string({ unit: fc.constantFrom('a', 'é', '💶', ' ', ':', '"'), maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 6 }),
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.array(fc.nat(400), { maxLength: 8 }),
      async (lines, end, cuts) => {
        const text = lines
          .map(data => `: comment${end}event: x${end}id: 1${end}data: ${data}${end}${end}`)
          .join('')
        const bytes = new TextEncoder().encode(`${text}${end}`)
        const places = [...new Set(cuts.map(cut => Math.min(cut, bytes.length)))].sort((a, b) => a - b)
        const chunks = [0, ...places].map((from, at) => bytes.subarray(from, places[at] ?? bytes.length))
        assert.deepEqual(await collect(chunks), lines)
      },
    ),
  )
})

test('joins several data lines of one event, and drops an event that the end cuts short', async () => {
  const bytes = new TextEncoder().encode('data: a\ndata\ndata:b\n\ndata: never ended\n')
  assert.deepEqual(await collect([bytes]), ['a\n\nb'])
})

test('refuses an event that never ends, whether in one line or in many', async () => {
  const many = Array.from({ length: 50 }, () => new TextEncoder().encode(`data: ${'x'.repeat(40)}\n`))
  await assert.rejects(collect(many), RangeError)
  const one = Array.from({ length: 50 }, () => new TextEncoder().encode('x'.repeat(40)))
  await assert.rejects(collect(one), RangeError)
})

test('lets go of the body when the reader leaves early', async () => {
  let cancelled = false
  const body = new ReadableStream<Uint8Array>({
    pull: controller => controller.enqueue(new TextEncoder().encode('data: a\n\n')),
    cancel: () => {
      cancelled = true
    },
  })
  for await (const data of readEvents(body, 100)) {
    assert.equal(data, 'a')
    break
  }
  assert.equal(cancelled, true)
})
