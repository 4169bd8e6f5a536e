// What an export says about itself: who signed it, that it is whole, and which history it continues.
import assert from 'node:assert/strict'
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { before, test } from 'node:test'
import { type ExportHeader, exportWriter } from './audit-export.ts'
import { type ExportTrust, verifyExport } from './audit-verification.ts'
import { formatCheckpoint } from './checkpoint.ts'
import { isFault } from './fault.ts'
import { readLines } from './json-lines.ts'
import { formatVerifierKey, type NoteSigner, signNote, type VerifierKey, verifierKey } from './note.ts'
import { leafHash } from './proof.ts'

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
  readonly head?: string
}

/** The lines of an export, each with its newline. */
async function exported({ log = honest, by = signer, head, ...asked }: Made = {}): Promise<string[]> {
  const header = {
    origin,
    verifierKey: formatVerifierKey(by.key),
    checkpoint: head ?? (await checkpointOf(log, by)),
    fromIndex: from,
    toIndex: to,
    since: '2026-11-23T00:00:00Z',
    until: null,
    ...asked,
  }
  const writer = exportWriter(header)
  const leaves = log.map(text => leafHash(text))
  const lines = [writer.header]
  for (let index = header.fromIndex; index < header.toIndex; index++) {
    lines.push(writer.entry({ index, entry: log[index] as string, proof: path(index, leaves) }))
  }
  return [...lines, await writer.end(by)]
}

async function checkpointOf(log: readonly string[], by: NoteSigner = signer, of = origin): Promise<string> {
  return signNote(
    formatCheckpoint({ origin: of, size: log.length, root: mth(log.map(text => leafHash(text))) }),
    by,
  )
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
before(async () => {
  lines = await exported()
})

test('the export of an empty log verifies', async () => {
  const report = await verified(await exported({ log: [], fromIndex: 0, toIndex: 0 }))
  assert.deepEqual(report.problems, [])
  assert.equal(report.size, 0)
})

test('reading stops after twenty problems', async () => {
  const file = [lines[0] as string, ...Array.from({ length: 1000 }, () => '{}\n')]
  assert.equal((await verified(file)).problems.length, 20)
  assert.equal((await verified([...file.slice(0, 6), ...lines.slice(1)])).problems.length, 5)
})

test('an id that is no id is not repeated to the terminal', async () => {
  const file = replaced(lines, 3, text => text.replace('evt_12a7', '\\\\u001b[2Jevt_12a7'))
  const [found] = (await verified(file)).problems
  assert.equal(found?.index, from + 2)
  assert.equal(found?.id, undefined)
})

test('without a key from elsewhere the report says that the key is not trusted', async () => {
  const forged = await exported({ by: newSigner() })
  const report = await verified(forged, {})
  assert.ok(report.ok)
  assert.ok(!report.keyTrusted)
  assert.ok(!(await verified(forged)).ok)
  await assert.rejects(verified(lines, { verifierKey: 'nonsense' }), isFault)
})

test('cutting entries off and narrowing the first and last line to match breaks the seal', async () => {
  const header = rewritten(lines[0] as string, 'to_index', to - 1)
  const end = rewritten(lines.at(-1) as string, 'entries', to - from - 1)
  const { problems, entries } = await verified([header, ...lines.slice(1, -2), end])
  assert.equal(entries, to - from - 1)
  assert.match(problems[0]?.what as string, /not the one that was sealed/)
  const others = (await exported({ fromIndex: 0 })).at(-1) as string
  assert.ok(!(await verified([...lines.slice(0, -1), rewritten(others, 'entries', to - from)])).ok)
})

test('claiming another time range breaks the seal', async () => {
  const header = rewritten(lines[0] as string, 'since', '2020-01-01T00:00:00Z')
  assert.ok(!(await verified([header, ...lines.slice(1)])).ok)
})

test('a checkpoint does not pass as a seal, nor a seal as a checkpoint', async () => {
  const note = await checkpointOf(honest)
  assert.ok(!(await verified([...lines.slice(0, -1), rewritten(lines.at(-1) as string, 'seal', note)])).ok)
  const { seal } = JSON.parse(lines.at(-1) as string) as { seal: string }
  const header = rewritten(rewritten(lines[0] as string, 'checkpoint', seal), 'origin', 'writ-audit-export/1')
  assert.ok(!(await verified([header, ...lines.slice(1)])).ok)
})

test('a further signature does not hide in the seal', async () => {
  const { seal } = JSON.parse(lines.at(-1) as string) as { seal: string }
  const more = `${seal}\u2014 someone ${Buffer.alloc(68, 1).toString('base64')}\n`
  assert.ok(!(await verified([...lines.slice(0, -1), rewritten(lines.at(-1) as string, 'seal', more)])).ok)
})

test('an export whose log signed it with another key, or is another log, is refused', async () => {
  const rotated = newSigner()
  assert.ok(!(await verified(await exported({ by: rotated }))).ok)
  assert.ok(!(await verified(await exported({ origin: 'other.example' }))).ok)
  const claimed = await exported({ head: await checkpointOf(honest, rotated) })
  const report = await verified(claimed)
  assert.match(report.problems[0]?.what as string, /^the checkpoint of the export/)
})

test('an entry that the log holds under another index than it says is named', async () => {
  const log = honest.with(9, honest[8] as string)
  const { problems } = await verified(await exported({ log }))
  assert.deepEqual(
    problems.map(found => found.index),
    [9],
  )
  assert.match(problems[0]?.what as string, /another index/)
})

test('a log that was rewritten and signed again is caught by a checkpoint from before', async () => {
  const earlier = await checkpointOf(honest.slice(0, 12))
  assert.ok((await verified(lines, { ...trust, earlier })).ok)
  const rewrittenLog = honest.with(2, honest[2]?.replace('token.issued', 'token.denied') as string)
  const file = await exported({ log: rewrittenLog })
  assert.ok((await verified(file)).ok)
  const { problems } = await verified(file, { ...trust, earlier })
  assert.deepEqual(
    problems.map(found => found.index),
    [11],
  )
  assert.match(problems[0]?.what as string, /earlier checkpoint/)
})

test('a log that shrank, or cannot be tied to the earlier checkpoint, is not trusted', async () => {
  const whole = await checkpointOf(honest)
  const shrunk = await exported({ log: honest.slice(0, 20) })
  assert.match((await verified(shrunk, { ...trust, earlier: whole })).problems[0]?.what as string, /smaller/)
  const { problems } = await verified(lines, { ...trust, earlier: await checkpointOf(honest.slice(0, 20)) })
  assert.match(problems[0]?.what as string, /that takes entry 19$/)
  assert.ok((await verified(lines, { ...trust, earlier: await checkpointOf([]) })).ok)
  assert.ok((await verified(await exported({ toIndex: size }), { ...trust, earlier: whole })).ok)
  const others = await checkpointOf(honest, signer, 'other.example')
  assert.ok(!(await verified(lines, { ...trust, earlier: others })).ok)
})

test('nothing at all is no export', async () => {
  for (const file of [[], ['\n'], ['{}\n'], ['null\n'], ['[]\n'], lines.slice(1)]) {
    const report = await verified(file)
    assert.ok(!report.ok)
    assert.equal(report.problems.length, 1)
  }
})

test('a writer does not leave entries out', async () => {
  const header = {
    origin,
    verifierKey: '',
    checkpoint: '',
    fromIndex: 3,
    toIndex: 5,
    since: null,
    until: null,
  }
  const entry = (index: number) => ({ index, entry: '', proof: [] })
  assert.throws(() => exportWriter(header).entry(entry(4)))
  const writer = exportWriter(header)
  writer.entry(entry(3))
  assert.throws(() => writer.entry(entry(3)))
  await assert.rejects(writer.end(signer))
  writer.entry(entry(4))
  assert.throws(() => writer.entry(entry(5)))
})

function replaced(file: readonly string[], at: number, change: (line: string) => string): string[] {
  return file.map((line, place) => (place === at % file.length ? change(line) : line))
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
