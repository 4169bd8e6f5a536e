// Verifies an audit export without a network, line by line in flat memory, and names the first entry that is not as it was.
import { createHash } from 'node:crypto'
import { type ExportHeader, parseEnd, parseEntry, parseHeader, sealLine, sealText } from './audit-export.ts'
import { formatBase64 } from './base64.ts'
import { type Checkpoint, verifyCheckpoint } from './checkpoint.ts'
import { isFault } from './fault.ts'
import { parseNote, parseVerifierKey, type VerifierKey, verifyNote } from './note.ts'
import { leafHash, rootUpToLeaf, verifyInclusion } from './proof.ts'

/** Something that is not as the log has it. */
export interface ExportProblem {
  /** The log index of the entry; null where it is about no entry (header, checkpoint, end). */
  readonly index: number | null
  /** The `evt_` id that stands there now, where one can be read. */
  readonly id?: string
  readonly what: string
}

export interface ExportReport {
  /** No problem at all. Without `keyTrusted` it only says that the file agrees with itself. */
  readonly ok: boolean
  /** Entries that are proven. */
  readonly entries: number
  /** Size and root (base64) of the tree they are proven in. */
  readonly size: number
  readonly root: string
  readonly origin: string
  /** Which part of the log this is, and what was asked for; null before a header was read. */
  readonly range: Pick<ExportHeader, 'fromIndex' | 'toIndex' | 'since' | 'until'> | null
  /** Whether the log's key was given by the verifier, not taken from the file. */
  readonly keyTrusted: boolean
  /** In order, at most 20; after these, reading stops. */
  readonly problems: readonly ExportProblem[]
}

export interface ExportTrust {
  /** The log's C2SP verifier key, known from elsewhere. */
  readonly verifierKey?: string
  /** A checkpoint of the log that was kept from before: the export has to continue that history. */
  readonly earlier?: string
}

const mostProblems = 20

/** What is left to find out when the first line stands. */
interface Walk {
  readonly header: ExportHeader
  readonly key: VerifierKey
  readonly checkpoint: Checkpoint
  readonly earlier: Checkpoint | undefined
  readonly problems: ExportProblem[]
  /** The index that the next line has to have. */
  expected: number
  /** Lines since the last proven one that prove nothing: which entries they were shows at the next proven line. */
  damaged: Omit<ExportProblem, 'index'>[]
  entries: number
  tied: boolean
}

/**
 * Verifies an export given as its lines, without newlines (`readLines` makes them of a file). Whatever is wrong with
 * the file is in the report; the first problem names the first entry that was changed, dropped, moved or added.
 * @throws Fault invalid_value where `verifierKey` itself is not a verifier key
 */
export async function verifyExport(
  lines: AsyncIterable<string>,
  trust: ExportTrust = {},
): Promise<ExportReport> {
  const trusted = trust.verifierKey === undefined ? undefined : parseVerifierKey(trust.verifierKey)
  const digest = createHash('sha256')
  let walk: Walk | undefined
  let ended = false
  for await (const line of lines) {
    if (walk === undefined) {
      const begun = begin(line, trust, trusted)
      if ('what' in begun) return refuse(begun, trusted)
      walk = begun
    } else if (ended) {
      problem(walk, { index: null, what: 'something stands after the last line' })
      break
    } else if (line.startsWith('{"end":')) {
      finish(walk, line, sealText(digest))
      ended = true
    } else step(walk, line)
    if (!ended) sealLine(digest, line)
    if (hasEnough(walk)) break
  }
  if (walk === undefined) return refuse({ index: null, what: 'the export is empty' }, trusted)
  if (hasEnough(walk)) settle(walk, walk.expected + walk.damaged.length)
  else if (!ended) cutOff(walk)
  return report(walk, trusted)
}

function begin(line: string, trust: ExportTrust, trusted: VerifierKey | undefined): Walk | ExportProblem {
  const wrong = (what: string): ExportProblem => ({ index: null, what })
  const header = parseHeader(line)
  if (header === undefined) return wrong('the first line is not the header of an audit export')
  if (trusted !== undefined && header.verifierKey !== trust.verifierKey) {
    return wrong('the export names another verifier key than the one given')
  }
  const key = trusted ?? attempt(() => parseVerifierKey(header.verifierKey))
  if (typeof key === 'string') return wrong(`the verifier key of the export: ${key}`)
  const checkpoint = attempt(() => verifyCheckpoint(header.checkpoint, header.origin, [key]))
  if (typeof checkpoint === 'string') return wrong(`the checkpoint of the export: ${checkpoint}`)
  if (header.fromIndex > header.toIndex || header.toIndex > checkpoint.size) {
    return wrong('the export claims entries that its checkpoint does not cover')
  }
  const kept = trust.earlier
  const earlier = kept === undefined ? undefined : attempt(() => verifyCheckpoint(kept, header.origin, [key]))
  if (typeof earlier === 'string') return wrong(`the earlier checkpoint: ${earlier}`)
  if (earlier !== undefined && earlier.size > checkpoint.size)
    return wrong('the log is smaller than it was before')
  const expected = header.fromIndex
  // Every log begins with the empty tree, so a checkpoint of size 0 holds nothing to tie to.
  const tied = earlier === undefined || earlier.size === 0
  return { header, key, checkpoint, earlier, problems: [], expected, damaged: [], entries: 0, tied }
}

/** One line between the first and the last. */
function step(walk: Walk, line: string): void {
  const entry = parseEntry(line)
  const inner = entry === undefined ? undefined : readInner(entry.entry)
  const id = inner?.id === undefined ? {} : { id: inner.id }
  if (entry === undefined) {
    walk.damaged.push({ what: 'the line is damaged' })
    return
  }
  const inclusion = {
    leaf: leafHash(entry.entry),
    index: entry.index,
    size: walk.checkpoint.size,
    proof: entry.proof,
  }
  if (!verifyInclusion({ ...inclusion, root: walk.checkpoint.root })) {
    walk.damaged.push({ ...id, what: 'the entry is not the one that the log has here' })
    return
  }
  // From here on the line is proven to be entry `index` of this log; what remains is whether it belongs here.
  const { index } = entry
  if (index < walk.expected || index >= walk.header.toIndex) {
    settle(walk, walk.expected)
    const what =
      index < walk.expected
        ? 'the entry stands here again or out of order'
        : 'the entry is outside of the range'
    problem(walk, { index, ...id, what })
    return
  }
  settle(walk, index)
  walk.expected = index + 1
  walk.entries += 1
  // A log that gives one entry two positions could show each reader the one that suits.
  if (inner?.index !== index)
    problem(walk, { index, ...id, what: 'the entry says that it has another index' })
  if (walk.earlier?.size === index + 1) {
    walk.tied = true
    if (rootUpToLeaf(inclusion)?.equals(walk.earlier.root) !== true) {
      problem(walk, { index, ...id, what: 'the log up to here is not the one of the earlier checkpoint' })
    }
  }
}

/** Names the entries from `expected` up to `next`: the damaged lines stand for the first of them, the rest is missing. */
function settle(walk: Walk, next: number): void {
  const count = next - walk.expected
  walk.damaged.forEach((damage, at) => {
    // More lines than entries: one was split or put in, so the last ones share the nearest index that there is.
    const index = count > 0 ? walk.expected + Math.min(at, count - 1) : next
    if (index < walk.header.toIndex) problem(walk, { index, ...damage })
    else problem(walk, { index: null, what: 'a line after the last entry is neither an entry nor the end' })
  })
  const missing = walk.expected + walk.damaged.length
  if (missing < next) problem(walk, { index: missing, what: gap(missing, next) })
  walk.damaged = []
  walk.expected = Math.max(walk.expected, next)
}

function finish(walk: Walk, line: string, sealed: string): void {
  settle(walk, walk.header.toIndex)
  const end = parseEnd(line)
  if (end === undefined) {
    problem(walk, { index: null, what: 'the last line is damaged' })
    return
  }
  if (end.entries !== walk.header.toIndex - walk.header.fromIndex) {
    problem(walk, { index: null, what: 'the last line counts other entries than the first one' })
  }
  const seal = attempt(() => verifyNote(end.seal, [walk.key]))
  // A second signature in the seal would be bytes that nothing covers.
  if (typeof seal === 'string' || parseNote(end.seal).signatures.length !== 1) {
    problem(walk, { index: null, what: 'the seal is not signed by the log' })
  } else if (seal.text !== sealed && walk.problems.length === 0) {
    problem(walk, {
      index: null,
      what: 'the export is not the one that was sealed: its range or its first line was changed',
    })
  }
  if (!walk.tied) problem(walk, untied(walk))
}

function untied({ earlier }: Walk): ExportProblem {
  const needed = (earlier?.size ?? 0) - 1
  return {
    index: null,
    what: `the export cannot be tied to the earlier checkpoint: that takes entry ${needed}`,
  }
}

function hasEnough(walk: Walk): boolean {
  return walk.problems.length + walk.damaged.length >= mostProblems
}

function cutOff(walk: Walk): void {
  const { toIndex } = walk.header
  settle(walk, Math.min(toIndex, walk.expected + walk.damaged.length))
  const cut = walk.expected
  if (cut < toIndex) problem(walk, { index: cut, what: `the export is cut off: ${gap(cut, toIndex)}` })
  else problem(walk, { index: null, what: 'the export is cut off: the last line is missing' })
}

function gap(from: number, to: number): string {
  return to - from === 1 ? 'the entry is missing' : `the entries up to ${to - 1} are missing`
}

/** Index and id of an entry as it says itself; only what has the form of an id is repeated to a terminal. */
function readInner(text: string): { index?: number; id?: string } | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { index, id } = value as { readonly index?: unknown; readonly id?: unknown }
  return {
    ...(typeof index === 'number' ? { index } : {}),
    ...(typeof id === 'string' && /^evt_[\w-]{1,64}$/.test(id) ? { id } : {}),
  }
}

function problem(walk: Walk, found: ExportProblem): void {
  if (walk.problems.length < mostProblems) walk.problems.push(found)
}

/** The value, or what a Fault says about it. */
function attempt<T>(read: () => T): T | string {
  try {
    return read()
  } catch (error) {
    if (isFault(error)) return error.message
    throw error
  }
}

function report(walk: Walk, trusted: VerifierKey | undefined): ExportReport {
  const { problems, entries, checkpoint, header } = walk
  const { fromIndex, toIndex, since, until } = header
  return {
    ok: problems.length === 0,
    entries,
    size: checkpoint.size,
    root: formatBase64(checkpoint.root),
    origin: checkpoint.origin,
    range: { fromIndex, toIndex, since, until },
    keyTrusted: trusted !== undefined,
    problems,
  }
}

function refuse(found: ExportProblem, trusted: VerifierKey | undefined): ExportReport {
  const nothing = { entries: 0, size: 0, root: '', origin: '', range: null }
  return { ok: false, ...nothing, keyTrusted: trusted !== undefined, problems: [found] }
}
