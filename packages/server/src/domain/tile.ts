// Tiles of the audit log's tree: places, paths, growth and entry bundles of C2SP tlog-tiles (https://c2sp.org/tlog-tiles).
import { hashBytes } from './hash.ts'
import {
  consistencySpans,
  inclusionSpans,
  nodeHash,
  pairRow,
  type ReadHash,
  rootOf,
  type Span,
  type Subtree,
  spanSubtrees,
} from './merkle.ts'

/** Hashes in a full tile, and entries in a full bundle: a tile is a subtree of height 8. */
export const fullWidth = 256
const tileHeight = 8
// 256 ** 7 leaves are more than a number counts exactly, so no tile of a higher level ever exists.
const topLevel = 6
// uint16 length prefix (C2SP tlog-tiles, log entries).
const longestEntryBytes = 0xffff

/** A tile by its place; `width` hashes of it exist (1 to 256). */
export interface Tile {
  readonly level: number
  readonly index: number
  readonly width: number
}

/** What a path asks for: hashes of a level, or the entries themselves. */
export interface TilePath {
  readonly level: number | 'entries'
  readonly index: number
  readonly width: number
}

/** A tile with its hashes, one after the other. */
export interface TileHashes extends Tile {
  readonly hashes: Uint8Array
}

/** The hashes of a tile: `width` times 32 bytes, or more of the same tile; undefined where it was not loaded. */
export type ReadTile = (level: number, index: number, width: number) => Uint8Array | undefined

/** `tile/0/x001/x234/067`, `tile/entries/000.p/8`: below the log's prefix. */
export function tilePath({ level, index, width }: TilePath): string {
  let last = String(index % 1000).padStart(3, '0')
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    last = `x${String(rest % 1000).padStart(3, '0')}/${last}`
  }
  return `tile/${level}/${last}${width === fullWidth ? '' : `.p/${width}`}`
}

/** The only reading of such a path, or undefined: leading zeroes, other widths and impossible places are no paths. */
export function parseTilePath(path: string): TilePath | undefined {
  if (path.length > 64) return undefined
  const match = /^tile\/(entries|[0-6])\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(path)
  if (match === null) return undefined
  const level = match[1] === 'entries' ? 'entries' : Number(match[1])
  const index = Number((match[2] as string).replaceAll(/[x/]/g, ''))
  const width = match[3] === undefined ? fullWidth : Number(match[3])
  const leaves = (index * fullWidth + width) * leavesOf(level === 'entries' ? 0 : level)
  if (width > fullWidth || !Number.isSafeInteger(leaves)) return undefined
  const place: TilePath = { level, index, width }
  // One tile, one path: a second spelling (x000/067, .p/256) would be a second immutable resource.
  return tilePath(place) === path ? place : undefined
}

/** How many hashes of that tile exist in the tree of `size` leaves: 0 to 256. */
export function widthAt(level: number, index: number, size: number): number {
  const row = Math.floor(size / leavesOf(level))
  return Math.max(0, Math.min(fullWidth, row - index * fullWidth))
}

/** The tiles that the inclusion proof of a leaf is computed from; to be loaded before. */
export function tilesForInclusion(index: number, size: number): Tile[] {
  return tilesForSpans(inclusionSpans(index, size), size)
}

/** The tiles that a consistency proof is computed from; to be loaded before. */
export function tilesForConsistency(oldSize: number, newSize: number): Tile[] {
  return tilesForSpans(consistencySpans(oldSize, newSize), newSize)
}

/** The tiles that the root of the tree of `size` leaves is computed from; to be loaded before. */
export function tilesForRoot(size: number): Tile[] {
  return size === 0 ? [] : tilesForSpans([{ from: 0, to: size }], size)
}

function tilesForSpans(spans: readonly Span[], size: number): Tile[] {
  const tiles = new Map<string, Tile>()
  for (const span of spans) {
    for (const subtree of spanSubtrees(span)) {
      const { level, index } = placeOf(subtree)
      tiles.set(`${level}/${index}`, { level, index, width: widthAt(level, index, size) })
    }
  }
  return [...tiles.values()]
}

/**
 * Reads any complete subtree of the tree of `size` leaves out of its tiles. What it computed of a tile it keeps, so
 * that the proofs of the 256 leaves of one tile cost little more than one: use one reader for them, then drop it.
 * @throws Error where a tile was not loaded or is shorter than the tree says: the log is damaged, nothing is proven
 */
export function hashReader(size: number, readTile: ReadTile): ReadHash {
  // Per tile its rows: the hashes of the tile, then of the pairs of them, up to the one hash over all of it.
  const rows = new Map<string, Uint8Array[]>()
  return (level, index) => {
    if ((index + 1) * 2 ** level > size)
      throw new Error(`no subtree ${level}/${index} in a tree of ${size} leaves`)
    const place = placeOf({ level, index })
    const key = `${place.level}/${place.index}`
    let tile = rows.get(key)
    if (tile === undefined) {
      tile = [loadedTile(place, size, readTile)]
      rows.set(key, tile)
    }
    while (tile.length <= place.height) tile.push(pairRow(tile[tile.length - 1] as Uint8Array))
    const start = place.at * hashBytes
    return (tile[place.height] as Uint8Array).subarray(start, start + hashBytes)
  }
}

function loadedTile({ level, index }: Place, size: number, readTile: ReadTile): Uint8Array {
  const width = widthAt(level, index, size)
  const hashes = readTile(level, index, width)
  if (hashes === undefined || hashes.length < width * hashBytes || hashes.length % hashBytes !== 0) {
    throw new Error(`tile ${level}/${index} of width ${width} is missing or short`)
  }
  return hashes
}

interface Place {
  readonly level: number
  readonly index: number
  /** How high above the hashes of the tile. */
  readonly height: number
  /** Which one of that height in the tile. */
  readonly at: number
}

function placeOf({ level, index }: Subtree): Place {
  const height = level % tileHeight
  const perTile = fullWidth / 2 ** height
  return {
    level: Math.floor(level / tileHeight),
    index: Math.floor(index / perTile),
    height,
    at: index % perTile,
  }
}

/** The hash that a full tile contributes to the level above it. */
export function tileRoot(hashes: Uint8Array): Buffer {
  // C2SP tlog-tiles: a partial tile MUST NOT be hashed into a tile at the level above.
  if (hashes.length !== fullWidth * hashBytes)
    throw new RangeError('only a full tile has a hash one level higher')
  let row = hashes
  while (row.length > hashBytes) row = pairRow(row)
  return Buffer.from(row)
}

/**
 * The right edge of a tree: for each level the hashes of its last tile while that one is not full (fewer than 256,
 * possibly none). With it a tree grows and its root and partial tiles are known without reading anything.
 */
export interface Edge {
  readonly size: number
  readonly rows: readonly Uint8Array[]
}

export const emptyEdge: Edge = { size: 0, rows: [] }

/** Appends leaf hashes, given one after the other; `full` are the tiles that became full, each before its parent. */
export function growEdge(edge: Edge, leafHashes: Uint8Array): { edge: Edge; full: TileHashes[] } {
  if (leafHashes.length % hashBytes !== 0) throw new RangeError('leaf hashes are 32 bytes each')
  const size = edge.size + leafHashes.length / hashBytes
  if (!Number.isSafeInteger(size)) throw new RangeError('the tree is larger than a number counts')
  const rows: Uint8Array[] = []
  const full: TileHashes[] = []
  const tileBytes = fullWidth * hashBytes
  let added = leafHashes
  for (let level = 0; level < edge.rows.length || added.length > 0; level++) {
    const before = edge.rows[level] ?? new Uint8Array(0)
    if (added.length === 0) {
      rows.push(before)
      continue
    }
    const row = Buffer.concat([before, added])
    const first = Math.floor(edge.size / leavesOf(level + 1))
    const count = Math.floor(row.length / tileBytes)
    const roots = Buffer.allocUnsafe(count * hashBytes)
    for (let at = 0; at < count; at++) {
      const hashes = row.subarray(at * tileBytes, (at + 1) * tileBytes)
      full.push({ level, index: first + at, width: fullWidth, hashes })
      roots.set(tileRoot(hashes), at * hashBytes)
    }
    // A copy of its own where full tiles were cut off, so that the edge does not keep them alive.
    rows.push(count === 0 ? row : Buffer.from(row.subarray(count * tileBytes)))
    added = roots
  }
  return { edge: { size, rows }, full }
}

/** The last tile of a level while it is partial, as C2SP tlog-tiles serves it; undefined for any other tile. */
export function edgeTile(edge: Edge, level: number, index: number): Uint8Array | undefined {
  const row = edge.rows[level]
  if (row === undefined || row.length === 0 || index !== Math.floor(edge.size / leavesOf(level + 1)))
    return undefined
  return row
}

/** The root of the tree that ends with this edge. */
export function edgeRoot(edge: Edge): Buffer {
  let right: Uint8Array | undefined
  for (const row of edge.rows) {
    const width = row.length / hashBytes
    for (const { from, to } of peaks(width).reverse()) {
      let peak = row.subarray(from * hashBytes, to * hashBytes)
      while (peak.length > hashBytes) peak = pairRow(peak)
      right = right === undefined ? peak : nodeHash(peak, right)
    }
  }
  return right === undefined ? rootOf([]) : Buffer.from(right)
}

function peaks(width: number): Span[] {
  return spanSubtrees({ from: 0, to: width }).map(({ level, index }) => {
    const leaves = 2 ** level
    return { from: index * leaves, to: (index + 1) * leaves }
  })
}

/** The full tiles whose hashes make up the edge of a tree of `size` leaves, above the leaf hashes of its last tile. */
export function tilesForEdge(size: number): Tile[] {
  const tiles: Tile[] = []
  for (let level = 1; level <= topLevel && leavesOf(level) <= size; level++) {
    const end = Math.floor(size / leavesOf(level))
    for (let index = end - (end % fullWidth); index < end; index++)
      tiles.push({ level: level - 1, index, width: fullWidth })
  }
  return tiles
}

/** The edge of a stored tree, from the tiles of `tilesForEdge` and the leaf hashes after its last full tile. */
export function edgeFrom(size: number, lastLeafHashes: Uint8Array, readTile: ReadTile): Edge {
  if (lastLeafHashes.length !== (size % fullWidth) * hashBytes)
    throw new RangeError('not the leaf hashes of that tree')
  const rows: Buffer[] = [Buffer.from(lastLeafHashes)]
  for (const { level, index, width } of tilesForEdge(size)) {
    const hashes = readTile(level, index, width)
    if (hashes === undefined) throw new Error(`tile ${level}/${index} is missing`)
    const above = rows[level + 1] ?? Buffer.alloc(0)
    while (rows.length <= level + 1) rows.push(Buffer.alloc(0))
    rows[level + 1] = Buffer.concat([above, tileRoot(hashes)])
  }
  return { size, rows }
}

/**
 * An entry bundle: for each entry its UTF-8 length as big-endian uint16, then its bytes.
 * @throws RangeError where an entry is longer than 65,535 bytes and could never be served
 */
export function encodeBundle(entries: readonly string[]): Buffer {
  let length = 0
  for (const entry of entries) {
    const bytes = Buffer.byteLength(entry)
    if (bytes > longestEntryBytes)
      throw new RangeError('an entry of more than 65,535 bytes has no place in a bundle')
    length += 2 + bytes
  }
  const bundle = Buffer.allocUnsafe(length)
  let at = 0
  for (const entry of entries) {
    const bytes = bundle.write(entry, at + 2, 'utf8')
    bundle.writeUInt16BE(bytes, at)
    at += 2 + bytes
  }
  return bundle
}

/** How many leaves one hash of a level stands for. */
function leavesOf(level: number): number {
  return fullWidth ** level
}
