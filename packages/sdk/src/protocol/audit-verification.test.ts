// Exports of an audit log, and everything that somebody who holds the file, but not the log's key, can do to one.
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { before, test } from 'node:test'
import fc from 'fast-check'
import { type ExportHeader, exportWriter, sealText } from './audit-export.ts'
import { type ExportTrust, verifyExport } from './audit-verification.ts'
import { formatCheckpoint } from './checkpoint.ts'
import { readLines } from './json-lines.ts'
import { formatVerifierKey, type NoteSigner, signNote, type VerifierKey, verifierKey } from './note.ts'
import { leafHash } from './proof.ts'

const runs = { numRuns: 1500 }
const origin = 'log.example'
const size = 23
const [from, to] = [5, 17]

interface Signer extends NoteSigner {
  readonly key: VerifierKey
}

function newSigner(name = origin): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url')
  return { key: verifierKey(name, raw), sign: text => sign(null, Buffer.from(text), privateKey) }
}

const signer = newSigner()
const trust: ExportTrust = { verifierKey: formatVerifierKey(signer.key) }
const honest = entriesOf('token.issued')

function entriesOf(type: string): string[] {
  return Array.from({ length: size }, (_, index) =>
    JSON.stringify({
      id: `evt_${type.length}a${index}`,
      index,
      time: '2026-11-23T10:00:00.000Z',
      type,
      reason: 'Grüße \u2028 "J*"',
    }),
  )
}

interface Made extends Partial<ExportHeader> {
  readonly log?: readonly string[]
  readonly by?: Signer
}

/** The lines of an export, each with its newline. */
async function exported({ log = honest, by = signer, ...asked }: Made = {}): Promise<string[]> {
  const leaves = log.map(text => leafHash(text))
  const header = {
    origin,
    verifierKey: formatVerifierKey(by.key),
    checkpoint: await signNote(formatCheckpoint({ origin, size, root: mth(leaves) }), by),
    fromIndex: from,
    toIndex: to,
    since: '2026-11-23T00:00:00Z',
    until: null,
    ...asked,
  }
  const writer = exportWriter(header)
  const lines = [writer.header]
  for (let index = header.fromIndex; index < header.toIndex; index++) {
    lines.push(writer.entry({ index, entry: log[index] as string, proof: path(index, leaves) }))
  }
  return [...lines, await writer.end(by)]
}

async function verified(file: Uint8Array | readonly string[], given: ExportTrust = trust) {
  const bytes = file instanceof Uint8Array ? file : Buffer.from(file.join(''))
  const chunks = async function* () {
    yield bytes
  }
  return verifyExport(readLines(chunks()), given)
}

// What the attacker starts from, made once.
let lines: string[]
let forged: string[]
before(async () => {
  lines = await exported()
  forged = await exported({ log: entriesOf('key.revoked'), by: newSigner() })
})

test('an honest export verifies, whichever part of the log it is', async () => {
  for (const [fromIndex, toIndex] of [
    [0, size],
    [0, 0],
    [size, size],
    [0, 1],
    [22, 23],
    [from, to],
  ] as const) {
    const report = await verified(await exported({ fromIndex, toIndex }))
    assert.deepEqual(report.problems, [])
    assert.ok(report.ok)
    assert.ok(report.keyTrusted)
    assert.equal(report.entries, toIndex - fromIndex)
    assert.equal(report.size, size)
    assert.equal(report.root, mth(honest.map(text => leafHash(text))).toString('base64'))
    assert.equal(report.origin, origin)
    assert.deepEqual(report.range, { fromIndex, toIndex, since: '2026-11-23T00:00:00Z', until: null })
  }
})

test('every single flipped bit of a file is detected, and in an entry it names that entry', async () => {
  const bytes = Buffer.from(lines.join(''))
  const starts: number[] = []
  for (let at = 0; at < lines.length; at++)
    starts.push((starts[at - 1] ?? 0) + Buffer.byteLength(lines[at - 1] ?? ''))
  await fc.assert(
    fc.asyncProperty(fc.nat({ max: bytes.length * 8 - 1 }), async bit => {
      const at = bit >> 3
      const report = await verified(flipped(bytes, bit))
      assert.ok(!report.ok)
      const line = starts.findLastIndex(start => start <= at)
      // In the first line a digit of the range may flip, and then entries are where the range does not want them.
      if (line === 0) return
      if (line === lines.length - 1) {
        assert.equal(report.problems[0]?.index, null)
        return
      }
      const index = from + line - 1
      assert.equal(report.problems[0]?.index, index)
      // A lost newline joins two entries, both of which are then named; anything else is the fault of one entry.
      const isNewline = at === (starts[line + 1] as number) - 1
      if (!isNewline) assert.ok(report.problems.every(found => found.index === index))
      if (!isNewline) assert.equal(report.entries, to - from - 1)
    }),
    { numRuns: 5000 },
  )
})

test('every bit of one entry line, one after the other, names that entry', async () => {
  const short = await exported({ fromIndex: 7, toIndex: 9 })
  const [header, first, second, end] = short.map(line => Buffer.from(line)) as [
    Buffer,
    Buffer,
    Buffer,
    Buffer,
  ]
  for (let bit = 0; bit < (first.length - 1) * 8; bit++) {
    const report = await verified(Buffer.concat([header, flipped(first, bit), second, end]))
    assert.deepEqual([...new Set(report.problems.map(found => found.index))], [7])
  }
})

async function sealedAgain(file: readonly string[]): Promise<string[]> {
  const digest = createHash('sha256').update(file.join(''))
  const seal = await signNote(sealText(digest), signer)
  return [...file, `${JSON.stringify({ end: true, entries: to - from, seal })}\n`]
}

type Edit = (file: readonly string[]) => string[]

/** One thing done to a file, by someone who knows the format and has another, forged export at hand. */
const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.tuple(fc.nat(), fc.nat()).map(
    ([line, bit]): Edit =>
      file =>
        replaced(file, line, text =>
          flipped(Buffer.from(text), bit % (Buffer.byteLength(text) * 8)).toString('latin1'),
        ),
  ),
  fc.nat().map(
    (at): Edit =>
      file =>
        file.toSpliced(at % file.length, 1),
  ),
  fc.tuple(fc.nat(), fc.nat({ max: 5 })).map(
    ([at, count]): Edit =>
      file =>
        file.toSpliced(at % file.length, count),
  ),
  fc.tuple(fc.nat(), fc.nat()).map(
    ([a, b]): Edit =>
      file =>
        swapped(file, a % file.length, b % file.length),
  ),
  fc.tuple(fc.nat(), fc.nat()).map(
    ([at, copy]): Edit =>
      file =>
        file.toSpliced(at % (file.length + 1), 0, file[copy % file.length] as string),
  ),
  fc.tuple(fc.nat(), fc.nat()).map(
    ([at, copy]): Edit =>
      file =>
        file.toSpliced(at % (file.length + 1), 0, forged[copy % forged.length] as string),
  ),
  fc.tuple(fc.nat(), fc.nat()).map(
    ([at, copy]): Edit =>
      file =>
        replaced(file, at, () => forged[copy % forged.length] as string),
  ),
  fc.tuple(fc.nat(), fc.string({ unit: 'grapheme' })).map(
    ([at, text]): Edit =>
      file =>
        file.toSpliced(at % (file.length + 1), 0, `${text}\n`),
  ),
  fc.tuple(fc.nat(), fc.json()).map(
    ([at, text]): Edit =>
      file =>
        file.toSpliced(at % (file.length + 1), 0, `${text}\n`),
  ),
  fc.nat().map(
    (at): Edit =>
      file => [file.join('').slice(0, at % file.join('').length)],
  ),
  fc
    .tuple(
      fc.nat(),
      fc.constantFrom(
        'index',
        'entry',
        'proof',
        'from_index',
        'to_index',
        'since',
        'until',
        'checkpoint',
        'origin',
        'entries',
        'seal',
      ),
      fc.jsonValue(),
    )
    .map(
      ([at, name, value]): Edit =>
        file =>
          replaced(file, at, text => rewritten(text, name, value)),
    ),
  fc.tuple(fc.nat(), fc.nat()).map(
    ([at, where]): Edit =>
      file =>
        replaced(
          file,
          at,
          text => `${text.slice(0, where % text.length)} ${text.slice(where % text.length)}`,
        ),
  ),
)

test('any edit script on an honest export is detected', async () => {
  const original = lines.join('')
  await fc.assert(
    fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async script => {
      let file: string[] = lines
      for (const apply of script) file = file.length === 0 ? file : apply(file)
      fc.pre(file.join('') !== original)
      const report = await verified(file)
      assert.ok(!report.ok)
      assert.ok(report.problems.length > 0 && report.problems.length <= 20)
      // Nor does it help to hold the key that seals: the proofs alone hold every entry in its place.
      const entries = file.slice(1, -1)
      fc.pre(entries.join('') !== lines.slice(1, -1).join(''))
      assert.ok(!(await verified(await sealedAgain([lines[0] as string, ...entries]))).ok)
    }),
    runs,
  )
})

test('a changed entry is named, with the id that stands there', async () => {
  const file = replaced(lines, 3, text => text.replace('token.issued', 'token.denied'))
  const [found] = (await verified(file)).problems
  assert.equal(found?.index, from + 2)
  assert.equal(found?.id, 'evt_12a7')
})

test('the first of several dropped entries is named, and how many are missing', async () => {
  for (const [at, count] of [
    [1, 1],
    [4, 3],
    [1, to - from],
    [to - from, 1],
  ] as const) {
    const { problems, entries } = await verified(lines.toSpliced(at, count))
    assert.equal(problems.length, 1)
    assert.equal(problems[0]?.index, from + at - 1)
    assert.match(
      problems[0]?.what as string,
      count === 1 ? /entry is missing/ : new RegExp(`up to ${from + at + count - 2} are`),
    )
    assert.equal(entries, to - from - count)
  }
})

test('of swapped entries the first place is named first', async () => {
  for (const [a, b] of [
    [1, 2],
    [2, 9],
    [1, to - from],
  ] as const) {
    const { problems } = await verified(swapped(lines, a, b))
    assert.equal(problems[0]?.index, from + a - 1)
  }
})

test('an inserted line is named by the entry before which it stands', async () => {
  for (const [line, index] of [
    [forged[4], from + 6],
    ['{}\n', from + 6],
    ['\n', from + 6],
  ] as const) {
    const { problems, entries } = await verified(lines.toSpliced(7, 0, line as string))
    assert.deepEqual(
      problems.map(found => found.index),
      [index],
    )
    assert.equal(entries, to - from)
  }
  const again = (await verified(lines.toSpliced(7, 0, lines[3] as string))).problems
  assert.deepEqual(
    again.map(found => found.index),
    [from + 2],
  )
  const after = (await verified(lines.toSpliced(lines.length - 1, 0, '{}\n'))).problems
  assert.deepEqual(
    after.map(found => found.index),
    [null],
  )
})

test('a proven entry from outside of the range does not count', async () => {
  const later = (await exported({ fromIndex: to, toIndex: to + 1 }))[1] as string
  const { problems, entries } = await verified(lines.toSpliced(lines.length - 1, 0, later))
  assert.deepEqual(
    problems.map(found => found.index),
    [to],
  )
  assert.equal(entries, to - from)
})

test('a file that is cut names the first entry that is gone, wherever it is cut', async () => {
  const text = lines.join('')
  for (let end = 0; end < text.length; end += 13) {
    const report = await verified([text.slice(0, end)])
    assert.ok(!report.ok)
    const whole = text.slice(0, end).split('\n').length - 1
    if (whole > 0 && whole <= to - from) assert.equal(report.problems[0]?.index, from + whole - 1)
    else assert.equal(report.problems[0]?.index, null)
  }
  assert.ok(!(await verified([text.slice(0, -1)])).ok)
  assert.ok(!(await verified([`${text}\n`])).ok)
  assert.ok(!(await verified([`\ufeff${text}`])).ok)
  assert.ok(!(await verified([text.replaceAll('\n', '\r\n')])).ok)
})

function flipped(bytes: Uint8Array, bit: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7))
  return copy
}

function replaced(file: readonly string[], at: number, change: (line: string) => string): string[] {
  return file.map((line, place) => (place === at % file.length ? change(line) : line))
}

function swapped(file: readonly string[], a: number, b: number): string[] {
  return file.with(a, file[b] as string).with(b, file[a] as string)
}

/** A line with one member set to something else, in the exact form of the format. */
function rewritten(line: string, name: string, value: unknown): string {
  try {
    return `${JSON.stringify({ ...(JSON.parse(line) as object), [name]: value })}\n`
  } catch {
    return line
  }
}

// RFC 6962 §2.1 and §2.1.1 by their definition: the verifier must not be tested with its own arithmetic.

function split(n: number): number {
  return 2 ** (Math.ceil(Math.log2(n)) - 1)
}

function mth(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 1) return hashes[0] as Buffer
  if (hashes.length === 0) return createHash('sha256').digest()
  const k = split(hashes.length)
  return createHash('sha256')
    .update('\x01')
    .update(mth(hashes.slice(0, k)))
    .update(mth(hashes.slice(k)))
    .digest()
}

function path(m: number, hashes: readonly Buffer[]): Buffer[] {
  if (hashes.length === 1) return []
  const k = split(hashes.length)
  if (m < k) return [...path(m, hashes.slice(0, k)), mth(hashes.slice(k))]
  return [...path(m - k, hashes.slice(k)), mth(hashes.slice(0, k))]
}
