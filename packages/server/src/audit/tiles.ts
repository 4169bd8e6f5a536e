// What the log serves by path: hash tiles and entry bundles of the published tree, whole and partial (C2SP tlog-tiles).
import type { Ctx } from '../context.ts'
import { hashBytes } from '../domain/hash.ts'
import { edgeTile, encodeBundle, fullWidth, parseTilePath, type TilePath, widthAt } from '../domain/tile.ts'
import type { Log, StoredEntry } from '../store/store.ts'
import type { Checkpoints } from './checkpoint.ts'

export interface TileDeps {
  readonly store: { readonly log: Pick<Log, 'tile' | 'range'> }
  readonly audit: Pick<Checkpoints, 'head'>
}

export interface Served {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** A full one never changes; a partial one need not be kept once the full one is there. */
  readonly isFull: boolean
}

/** Reads a hash tile, `tile/<level>/<index>[.p/<width>]`; undefined where the published tree has no such tile. */
export async function readHashTile(
  ctx: Pick<Ctx, 'tenant' | 'issuer'>,
  deps: TileDeps,
  path: string,
): Promise<Served | undefined> {
  const place = parseTilePath(path)
  if (place === undefined || place.level === 'entries') return undefined
  const { level, index, width } = place
  const head = await deps.audit.head(ctx)
  const available = widthAt(level, index, head?.edge.size ?? 0)
  // Only what a checkpoint commits to is served: hashes beyond it would be claims that nobody signed.
  if (head === undefined || width > available) return undefined
  const whole =
    available === fullWidth ? await deps.store.log.tile(ctx, level, index) : edgeTile(head.edge, level, index)
  if (whole === undefined) throw new Error(`the audit log is damaged: ${path} is missing`)
  return { bytes: Uint8Array.from(whole.subarray(0, width * hashBytes)), isFull: width === fullWidth }
}

/** Reads an entry bundle, `tile/entries/<index>[.p/<width>]`; undefined where the published tree has no such bundle. */
export async function readBundle(
  ctx: Pick<Ctx, 'tenant' | 'issuer'>,
  deps: TileDeps,
  path: string,
): Promise<Served | undefined> {
  const place = bundlePlace(path)
  if (place === undefined) return undefined
  const { index, width } = place
  const head = await deps.audit.head(ctx)
  if (width > widthAt(0, index, head?.edge.size ?? 0)) return undefined
  const from = index * fullWidth
  const entries = await deps.store.log.range(ctx, from, from + width)
  checkRun(entries, from, width)
  return {
    bytes: Uint8Array.from(encodeBundle(entries.map(({ text }) => text))),
    isFull: width === fullWidth,
  }
}

function bundlePlace(path: string): TilePath | undefined {
  const place = parseTilePath(path)
  return place?.level === 'entries' ? place : undefined
}

function checkRun(entries: readonly StoredEntry[], from: number, count: number): void {
  for (let at = 0; at < count; at++) {
    if (entries[at]?.index !== from + at) {
      throw new Error(`the audit log is damaged: entry ${from + at} is missing`)
    }
  }
}
