// Lines out of bytes: however the bytes are cut, and whatever they are.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readLines } from './json-lines.ts'

const runs = { numRuns: 1000 }

async function linesOf(...chunks: readonly Uint8Array[]): Promise<string[]> {
  const source = async function* () {
    yield* chunks
  }
  const lines: string[] = []
  for await (const line of readLines(source())) lines.push(line)
  return lines
}

function isJson(line: string): boolean {
  try {
    JSON.parse(line)
    return true
  } catch {
    return false
  }
}

test('lines are the same however the stream is cut into chunks', async () => {
  const line = fc.string({ unit: 'grapheme' }).map(text => text.replaceAll('\n', '').toWellFormed())
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 8 }),
      fc.array(fc.nat({ max: 200 })),
      async (lines, cuts) => {
        const bytes = Buffer.from(lines.map(text => `${text}\n`).join(''))
        const places = [
          0,
          ...cuts.map(cut => Math.min(cut, bytes.length)).sort((a, b) => a - b),
          bytes.length,
        ]
        const chunks = places.slice(1).map((end, at) => bytes.subarray(places[at], end))
        assert.deepEqual(await linesOf(...chunks), lines)
      },
    ),
    runs,
  )
})

test('only a newline ends a line; a carriage return or a byte order mark belongs to it', async () => {
  assert.deepEqual(await linesOf(Buffer.from('\ufeffa\r\nb\u2028\n\n')), ['\ufeffa\r', 'b\u2028', ''])
  assert.deepEqual(await linesOf(), [])
})

test('a line that is not UTF-8, or the last one and cut, is no JSON', async () => {
  const broken = Buffer.from('22ff220a', 'hex')
  const [notUtf8, whole, unfinished] = await linesOf(broken, Buffer.from('"a"\n"b"'))
  assert.ok(!isJson(notUtf8 as string))
  assert.equal(whole, '"a"')
  assert.ok(!isJson(unfinished as string))
})

test('an endless line is dropped while it is read, and the next one is whole again', async () => {
  const chunk = Buffer.alloc(256 * 1024, '1')
  const [long, next] = await linesOf(chunk, chunk, chunk, chunk, chunk, chunk, Buffer.from('\n2\n'))
  assert.ok(!isJson(long as string))
  assert.equal(next, '2')
  assert.deepEqual(await linesOf(chunk, chunk, chunk, chunk, Buffer.from('\n')), ['1'.repeat(1024 * 1024)])
})
