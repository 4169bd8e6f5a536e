// The right edge of a tenant's tree: grown by what was committed, rebuilt from tiles after a restart (C2SP tlog-tiles).
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Ctx } from '../context.ts'
import { hashBytes } from '../domain/hash.ts'
import {
  type Edge,
  edgeFrom,
  edgeTile,
  fullWidth,
  growEdge,
  type ReadTile,
  type Tile,
  type TileHashes,
  tilesForEdge,
} from '../domain/tile.ts'
import type { Log } from '../store/store.ts'

type Scope = Pick<Ctx, 'tenant'>

/** Entries that are integrated at once: two or three milliseconds, then other requests have their turn. */
const batchEntries = 1024

/** Tiles asked for at the same time. */
const batchTiles = 32

/**
 * The edge of the tree of the first `size` leaves, grown from a smaller one, and the tiles that became full on the way.
 * @throws Error where an entry is missing: the log is damaged and nothing may be signed
 */
export async function grownEdge(
  log: Pick<Log, 'hashes'>,
  scope: Scope,
  from: Edge,
  size: number,
): Promise<{ edge: Edge; full: TileHashes[] }> {
  let edge = from
  const full: TileHashes[] = []
  while (edge.size < size) {
    const hashes = await leafHashes(log, scope, edge.size, Math.min(size, edge.size + batchEntries))
    const grown = growEdge(edge, hashes)
    edge = grown.edge
    full.push(...grown.full)
    // A store in this process answers without ever letting go of the event loop.
    await nextTurn()
  }
  return { edge, full }
}

/**
 * The edge of a stored tree, out of its full tiles and its last entries.
 * @throws Error where one of them is missing: the log is damaged
 */
export async function storedEdge(
  log: Pick<Log, 'hashes' | 'tile'>,
  scope: Scope,
  size: number,
): Promise<Edge> {
  const last = await leafHashes(log, scope, size - (size % fullWidth), size)
  return edgeFrom(size, last, await tileReader(log, scope, tilesForEdge(size)))
}

/** Loads these tiles; the partial ones come from `edge`. Throws an Error where one is missing: the log is damaged. */
export async function tileReader(
  log: Pick<Log, 'tile'>,
  scope: Scope,
  tiles: readonly Tile[],
  edge?: Edge,
): Promise<ReadTile> {
  const loaded = new Map<string, Uint8Array>()
  const load = async ({ level, index, width }: Tile): Promise<void> => {
    const hashes =
      width === fullWidth
        ? await log.tile(scope, level, index)
        : edge && edgeTile(edge, level, index)?.subarray(0, width * hashBytes)
    if (hashes === undefined) throw new Error(`the audit log is damaged: tile ${level}/${index} is missing`)
    loaded.set(`${level}/${index}`, hashes)
  }
  for (let at = 0; at < tiles.length; at += batchTiles) {
    await Promise.all(tiles.slice(at, at + batchTiles).map(load))
  }
  return (level, index) => loaded.get(`${level}/${index}`)
}

async function leafHashes(
  log: Pick<Log, 'hashes'>,
  scope: Scope,
  from: number,
  to: number,
): Promise<Uint8Array> {
  if (from === to) return new Uint8Array(0)
  // Those that were stored with the entries: a text that was changed since then has no proof, whenever that was.
  const hashes = await log.hashes(scope, from, to)
  // A gap would shift every later leaf: what is signed then is another log than the one that was acknowledged.
  if (hashes.length !== (to - from) * hashBytes) {
    throw new Error(`the audit log is damaged: one of the entries ${from} to ${to - 1} is missing`)
  }
  return hashes
}
