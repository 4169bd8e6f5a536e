// The audit export format, one JSON text a line: writing it and reading its lines (docs/reference/audit-export.md).
import { createHash, type Hash } from 'node:crypto'
import { formatBase64, parseBase64 } from './base64.ts'
import { type NoteSigner, signNote } from './note.ts'

/** The first line: whose log this is, its head, and which part of it follows. */
export interface ExportHeader {
  /** The log's origin, as in its checkpoints. */
  readonly origin: string
  /** C2SP verifier key of the log. Proves nothing by itself: a forger writes his own. */
  readonly verifierKey: string
  /** The signed note that every proof leads to. */
  readonly checkpoint: string
  readonly fromIndex: number
  /** Exclusive. */
  readonly toIndex: number
  /** What was asked for, RFC 3339, or null for no limit. */
  readonly since: string | null
  readonly until: string | null
}

/** One entry: the exact text whose hash is the leaf, and its inclusion proof in the checkpoint's tree. */
export interface ExportEntry {
  readonly index: number
  readonly entry: string
  readonly proof: readonly Uint8Array[]
}

/** The last line. The seal is a note of the log's key over everything before it. */
export interface ExportEnd {
  readonly entries: number
  readonly seal: string
}

/** Writes the lines of one export, each with its newline, in order: `header`, an `entry` for each index, `end`. */
export interface ExportWriter {
  readonly header: string
  entry(entry: ExportEntry): string
  end(signer: NoteSigner): Promise<string>
}

const version = 1
const hashBytes = 32
// A path in a tree of 2 ** 53 leaves is no longer than that.
const longestProof = 53

/**
 * Starts an export. The seal that `end` makes says that this is the whole answer: without it, whoever holds the file
 * could cut entries off and narrow the first line to match.
 * @throws Error from `entry` and `end` where entries are left out or out of order
 */
export function exportWriter(header: ExportHeader): ExportWriter {
  const digest = createHash('sha256')
  let next = header.fromIndex
  const written = (line: string) => {
    sealLine(digest, line)
    return `${line}\n`
  }
  return {
    header: written(formatHeader(header)),
    entry(entry) {
      if (entry.index !== next || next >= header.toIndex)
        throw new Error(`entry ${entry.index} is not the next to export`)
      next += 1
      return written(formatEntry(entry))
    },
    async end(signer) {
      if (next !== header.toIndex) throw new Error(`entry ${next} is missing from the export`)
      const seal = await signNote(sealText(digest), signer)
      return `${formatEnd({ entries: next - header.fromIndex, seal })}\n`
    },
  }
}

/** Adds a line, without its newline, to what the seal covers. */
export function sealLine(digest: Hash, line: string): void {
  digest.update(line, 'utf8').update('\n')
}

/**
 * What the seal signs; ends the digest. Two lines, the second no number: no reader of checkpoints takes it for one,
 * and no checkpoint passes as a seal (a key that signs both must not be talked into either).
 */
export function sealText(digest: Hash): string {
  return `writ-audit-export/${version}\n${digest.digest('base64')}\n`
}

/** The first line, or undefined where it is not exactly one. */
export function parseHeader(line: string): ExportHeader | undefined {
  const value = parseObject(line)
  if (value === undefined) return undefined
  const {
    origin,
    verifier_key: verifierKey,
    checkpoint,
    from_index: fromIndex,
    to_index: toIndex,
    since,
    until,
  } = value
  if (typeof origin !== 'string' || typeof verifierKey !== 'string' || typeof checkpoint !== 'string')
    return undefined
  if (!isCount(fromIndex) || !isCount(toIndex) || !isLimit(since) || !isLimit(until)) return undefined
  const header = { origin, verifierKey, checkpoint, fromIndex, toIndex, since, until }
  return formatHeader(header) === line ? header : undefined
}

/** The line of an entry, or undefined where it is not exactly one. */
export function parseEntry(line: string): ExportEntry | undefined {
  const value = parseObject(line)
  if (value === undefined || !isCount(value['index']) || typeof value['entry'] !== 'string') return undefined
  const texts: unknown = value['proof']
  if (!Array.isArray(texts) || texts.length > longestProof) return undefined
  const proof: Uint8Array[] = []
  for (const text of texts) {
    const hash = typeof text === 'string' ? parseBase64(text) : undefined
    if (hash?.length !== hashBytes) return undefined
    proof.push(hash)
  }
  const entry = { index: value['index'], entry: value['entry'], proof }
  return formatEntry(entry) === line ? entry : undefined
}

/** The last line, or undefined where it is not exactly one. */
export function parseEnd(line: string): ExportEnd | undefined {
  const value = parseObject(line)
  if (value === undefined || !isCount(value['entries']) || typeof value['seal'] !== 'string') return undefined
  const end = { entries: value['entries'], seal: value['seal'] }
  return formatEnd(end) === line ? end : undefined
}

// One spelling for each line, compared as a whole: no white space, order, number form or further member can be changed
// unseen, and a repeated member cannot mean one thing to us and another to the next reader.

function formatHeader(header: ExportHeader): string {
  return JSON.stringify({
    writ_audit_export: version,
    origin: header.origin,
    verifier_key: header.verifierKey,
    checkpoint: header.checkpoint,
    from_index: header.fromIndex,
    to_index: header.toIndex,
    since: header.since,
    until: header.until,
  })
}

function formatEntry({ index, entry, proof }: ExportEntry): string {
  return JSON.stringify({ index, entry, proof: proof.map(formatBase64) })
}

function formatEnd({ entries, seal }: ExportEnd): string {
  return JSON.stringify({ end: true, entries, seal })
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isLimit(value: unknown): value is string | null {
  return value === null || (typeof value === 'string' && value.length <= 64)
}
