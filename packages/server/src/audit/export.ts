// Streams a stretch of the log with its proofs and its seal (docs/reference/audit-export.md), in flat memory.
import { setImmediate as nextTurn } from 'node:timers/promises'
import { exportWriter } from '@writ/sdk/protocol/audit-export'
import type { Ctx } from '../context.ts'
import { inclusionProof } from '../domain/merkle.ts'
import { fullWidth, hashReader, tilesForInclusion } from '../domain/tile.ts'
import type { Keys } from '../keys/keys.ts'
import type { Log } from '../store/store.ts'
import { disorderMs, indexAt, timeMsOf } from './by-time.ts'
import { auditOrigin, auditSigner, auditVerifierKey, type Checkpoints, type Head } from './checkpoint.ts'
import { tileReader } from './edge.ts'

type LogScope = Pick<Ctx, 'tenant' | 'issuer'>

export interface ExportDeps {
  readonly store: { readonly log: Pick<Log, 'size' | 'range' | 'tile'> }
  readonly keys: Pick<Keys, 'signer'>
  readonly audit: Pick<Checkpoints, 'covering'>
}

/** An instant as it was asked for (RFC 3339), with its reading in epoch milliseconds. */
export interface Limit {
  readonly text: string
  readonly ms: number
}

export interface Asked {
  /** Inclusive. */
  readonly since?: Limit | undefined
  /** Exclusive. */
  readonly until?: Limit | undefined
}

/** The entries of an export: `fromIndex` inclusive, `toIndex` exclusive. */
export interface Stretch extends Asked {
  readonly fromIndex: number
  readonly toIndex: number
}

/** Entries whose proofs are made before other requests have their turn. */
const chunkEntries = 32

/**
 * The shortest stretch that has every entry from `since` on and before `until`, out of what is committed now. Within
 * the disorder of their times it may hold a few that lie outside: a proof of completeness needs a run without gaps.
 */
export async function findStretch(
  ctx: LogScope,
  { store: { log } }: Pick<ExportDeps, 'store'>,
  asked: Asked,
): Promise<Stretch> {
  const size = await log.size(ctx)
  const fromIndex = asked.since === undefined ? 0 : await firstSince(ctx, log, size, asked.since.ms)
  const toIndex = asked.until === undefined ? size : await endBefore(ctx, log, size, asked.until.ms)
  return { ...asked, fromIndex, toIndex: Math.max(fromIndex, toIndex) }
}

/**
 * The lines of the export, a few whole ones at a time. Publishes a checkpoint first where none covers the stretch.
 * Throws an Error where the log is damaged: the export then ends without its last line, and nobody takes it for whole.
 */
export async function* exportLines(
  ctx: LogScope,
  deps: ExportDeps,
  { fromIndex, toIndex, since, until }: Stretch,
): AsyncGenerator<string, void, undefined> {
  const head = await deps.audit.covering(ctx, toIndex)
  const writer = exportWriter({
    origin: auditOrigin(ctx.issuer),
    verifierKey: auditVerifierKey(ctx.issuer, deps.keys, ctx),
    checkpoint: head.note,
    fromIndex,
    toIndex,
    since: since?.text ?? null,
    until: until?.text ?? null,
  })
  yield writer.header
  for (let from = fromIndex; from < toIndex; ) {
    // Proofs of the entries of one tile come out of the same tiles.
    const to = Math.min(toIndex, from - (from % fullWidth) + fullWidth)
    const entries = await provenEntries(ctx, deps, head, { from, to })
    for (let at = 0; at < entries.length; at += chunkEntries) {
      yield entries
        .slice(at, at + chunkEntries)
        .map(prove => writer.entry(prove()))
        .join('')
      await nextTurn()
    }
    from = to
  }
  yield await writer.end(auditSigner(ctx, deps.keys))
}

interface Proven {
  readonly index: number
  readonly entry: string
  readonly proof: readonly Uint8Array[]
}

/** The entries of a part of one tile, each with a function that makes its proof. */
async function provenEntries(
  ctx: LogScope,
  { store: { log } }: ExportDeps,
  { edge }: Head,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<readonly (() => Proven)[]> {
  const entries = await log.range(ctx, from, to)
  const readTile = await tileReader(log, ctx, tilesForInclusion(from, edge.size), edge)
  const readHash = hashReader(edge.size, readTile)
  return entries.map(({ index, text }) => () => ({
    index,
    entry: text,
    proof: inclusionProof(index, edge.size, readHash),
  }))
}

type RangeLog = Pick<Log, 'range'>

/** The index of the first entry at or after the instant; `size` where there is none. */
async function firstSince(ctx: LogScope, log: RangeLog, size: number, ms: number): Promise<number> {
  let index = await indexAt(log, ctx, size, ms - disorderMs)
  while (index < size) {
    const entries = await log.range(ctx, index, Math.min(size, index + fullWidth))
    const found = entries.find(({ text }) => timeMsOf(text) >= ms)
    if (found !== undefined) return found.index
    index += fullWidth
  }
  return size
}

/** The index after the last entry before the instant; 0 where there is none. */
async function endBefore(ctx: LogScope, log: RangeLog, size: number, ms: number): Promise<number> {
  let end = await indexAt(log, ctx, size, ms + disorderMs)
  while (end > 0) {
    const entries = await log.range(ctx, Math.max(0, end - fullWidth), end)
    const found = entries.findLast(({ text }) => timeMsOf(text) < ms)
    if (found !== undefined) return found.index + 1
    end = Math.max(0, end - fullWidth)
  }
  return 0
}
