// Tiles: the examples of C2SP tlog-tiles, and trees that grow tile by tile into what the whole tree says.
import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import { exportWriter } from '@writ/sdk/protocol/audit-export'
import { verifyExport } from '@writ/sdk/protocol/audit-verification'
import { formatCheckpoint } from '@writ/sdk/protocol/checkpoint'
import { formatVerifierKey, signNote, verifierKey } from '@writ/sdk/protocol/note'
import { verifyConsistency, verifyInclusion } from '@writ/sdk/protocol/proof'
import fc from 'fast-check'
import { consistencyProof, inclusionProof, leafHash, rootAt, rootOf } from './merkle.ts'
import {
  type Edge,
  edgeFrom,
  edgeRoot,
  edgeTile,
  emptyEdge,
  encodeBundle,
  growEdge,
  hashReader,
  parseTilePath,
  type ReadTile,
  type Tile,
  tilePath,
  tileRoot,
  tilesForConsistency,
  tilesForEdge,
  tilesForInclusion,
  tilesForRoot,
  widthAt,
} from './tile.ts'

const runs = { numRuns: 1000 }
const most = 70_000
// One long log; every tree in these tests is a beginning of it.
const hashes = Buffer.concat(Array.from({ length: most }, (_, at) => leafHash(`leaf ${at}`)))
const log = growEdge(emptyEdge, hashes)
const fullTiles = new Map(log.full.map(({ level, index, hashes }) => [`${level}/${index}`, hashes]))
const stored: ReadTile = (level, index) =>
  fullTiles.get(`${level}/${index}`) ?? edgeTile(log.edge, level, index)
const edges = fc.constantFrom(1, 2, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 65_792, most)
const sizes = fc.oneof(fc.integer({ min: 1, max: most }), fc.integer({ min: 1, max: 600 }), edges)

test('a tree of 70,000 leaves has the tiles that the specification lists', () => {
  assert.equal(log.full.filter(({ level }) => level === 0).length, 273)
  assert.equal(log.full.filter(({ level }) => level === 1).length, 1)
  assert.deepEqual(
    log.edge.rows.map(row => row.length / 32),
    [112, 17, 1],
  )
  assert.equal(widthAt(0, 273, 70_000), 112)
  assert.equal(widthAt(1, 1, 70_000), 17)
  assert.equal(widthAt(2, 0, 70_000), 1)
  assert.equal(widthAt(0, 274, 70_000), 0)
  assert.equal(widthAt(3, 0, 70_000), 0)
})

test('a tree of 256 leaves has one full tile and above it one of width 1', () => {
  const { edge, full } = growEdge(emptyEdge, hashes.subarray(0, 256 * 32))
  assert.deepEqual(
    full.map(({ level, index, width }) => ({ level, index, width })),
    [{ level: 0, index: 0, width: 256 }],
  )
  assert.deepEqual(
    edge.rows.map(row => row.length / 32),
    [0, 1],
  )
  assert.deepEqual(Buffer.from(edge.rows[1] as Uint8Array), tileRoot(hashes.subarray(0, 256 * 32)))
})

test('a tile path is written as the specification shows', () => {
  assert.equal(tilePath({ level: 0, index: 1_234_067, width: 256 }), 'tile/0/x001/x234/067')
  assert.equal(tilePath({ level: 2, index: 0, width: 1 }), 'tile/2/000.p/1')
  assert.equal(tilePath({ level: 'entries', index: 999, width: 255 }), 'tile/entries/999.p/255')
  assert.equal(tilePath({ level: 'entries', index: 1000, width: 256 }), 'tile/entries/x001/000')
})

test('every tile has one path, and it reads back', () => {
  const levels = fc.constantFrom<Tile['level'] | 'entries'>('entries', 0, 1, 2, 3, 4, 5, 6)
  fc.assert(
    fc.property(levels, fc.maxSafeNat(), fc.integer({ min: 1, max: 256 }), (level, some, some256) => {
      // Of level 6 only the first tile can exist, and it is never full: its 32 hashes would be 2 ** 53 leaves.
      const width = level === 6 ? Math.min(some256, 31) : some256
      const index = level === 6 ? 0 : some % (2 ** 53 / 256 ** (level === 'entries' ? 1 : level + 1) - 1)
      assert.deepEqual(parseTilePath(tilePath({ level, index, width })), { level, index, width })
    }),
    runs,
  )
})

test('a path that is not the one of a tile is none', () => {
  const wrong = [
    'tile/0/67',
    'tile/0/0067',
    'tile/0/x000/067',
    'tile/0/x001/x234',
    'tile/0/001/067',
    'tile/0/x01/067',
    'tile/00/067',
    'tile/7/000',
    'tile/63/000',
    'tile/-1/000',
    'tile/0/067.p/0',
    'tile/0/067.p/256',
    'tile/0/067.p/01',
    'tile/0/067.p/300',
    'tile/0/067.p/',
    'tile/0/067.p',
    'tile/0/067/',
    '/tile/0/067',
    'tile/0/067\n',
    'tile/data/067',
    'tile/0/x999/x999/x999/x999/x999/999',
    'tile/6/001',
    'tile/0/../067',
    'tile/0/٠٦٧',
    '',
    `tile/0/${'x001/'.repeat(100)}000`,
  ]
  for (const path of wrong) assert.equal(parseTilePath(path), undefined, path)
})

test('however a log grows, its root, its tiles and its edge are the same', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.nat({ max: 3 }), fc.nat({ max: 700 })), { maxLength: 6 }), steps => {
      let edge: Edge = emptyEdge
      for (const step of steps) {
        const grown = growEdge(edge, hashes.subarray(edge.size * 32, (edge.size + step) * 32))
        for (const tile of grown.full) {
          assert.deepEqual(tile.hashes, fullTiles.get(`${tile.level}/${tile.index}`))
        }
        edge = grown.edge
      }
      const size = steps.reduce((sum, step) => sum + step, 0)
      assert.equal(edge.size, size)
      assert.deepEqual(edgeRoot(edge), rootOf(leavesOf(size)))
      assert.deepEqual(edge.rows.map(row => row.length / 32).filter(Boolean), edgeWidths(size))
    }),
    runs,
  )
})

test('growing across a level completes the tiles below before their parent', () => {
  const before = growEdge(emptyEdge, hashes.subarray(0, 65_535 * 32)).edge
  const { edge, full } = growEdge(before, hashes.subarray(65_535 * 32, 65_537 * 32))
  assert.deepEqual(
    full.map(({ level, index }) => `${level}/${index}`),
    ['0/255', '1/0'],
  )
  assert.deepEqual(edgeRoot(edge), rootAt(65_537, hashReader(65_537, stored)))
})

test('an edge read back from stored tiles is the edge that grew', () => {
  for (const size of [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, most]) {
    const grown = growEdge(emptyEdge, hashes.subarray(0, size * 32)).edge
    const last = hashes.subarray((size - (size % 256)) * 32, size * 32)
    const loaded = new Set(tilesForEdge(size).map(({ level, index }) => `${level}/${index}`))
    const edge = edgeFrom(size, last, (level, index) =>
      loaded.has(`${level}/${index}`) ? stored(level, index, 256) : undefined,
    )
    assert.deepEqual(edgeRoot(edge), edgeRoot(grown))
    const more = hashes.subarray(size * 32, (size + 300) * 32)
    assert.deepEqual(edgeRoot(growEdge(edge, more).edge), edgeRoot(growEdge(grown, more).edge))
  }
})

test('the tiles that a proof asks for are enough for it, and no tile is asked for twice', () => {
  fc.assert(
    fc.property(sizes, fc.nat(), (size, some) => {
      const index = some % size
      const needed = tilesForInclusion(index, size)
      const proof = inclusionProof(index, size, hashReader(size, only(needed)))
      const root = rootAt(size, hashReader(size, only(tilesForRoot(size))))
      assert.ok(verifyInclusion({ leaf: leafAt(index), index, size, proof, root }))
      const oldRoot = rootAt(index, hashReader(size, stored))
      const consistency = consistencyProof(
        index,
        size,
        hashReader(size, only(tilesForConsistency(index, size))),
      )
      assert.ok(
        verifyConsistency({ oldSize: index, oldRoot, newSize: size, newRoot: root, proof: consistency }),
      )
    }),
    runs,
  )
})

test('one reader gives the same proofs as a new one for each', () => {
  const reader = hashReader(most, stored)
  for (let index = 69_700; index < most; index += 7) {
    assert.deepEqual(
      inclusionProof(index, most, reader),
      inclusionProof(index, most, hashReader(most, stored)),
    )
  }
})

test('an export whose proofs come out of tiles verifies, entry by entry', async () => {
  const size = 3000
  const texts = Array.from({ length: size }, (_, index) => JSON.stringify({ id: `evt_${index}`, index }))
  const { edge, full } = growEdge(emptyEdge, Buffer.concat(texts.map(leafHash)))
  const byPlace = new Map(full.map(({ level, index, hashes }) => [`${level}/${index}`, hashes]))
  const read = hashReader(
    size,
    (level, index) => byPlace.get(`${level}/${index}`) ?? edgeTile(edge, level, index),
  )
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x as string, 'base64url')
  const signer = {
    key: verifierKey('log.example', raw),
    sign: (text: string) => sign(null, Buffer.from(text), privateKey),
  }
  const checkpoint = await signNote(
    formatCheckpoint({ origin: 'log.example', size, root: edgeRoot(edge) }),
    signer,
  )
  const key = formatVerifierKey(signer.key)
  const range = { fromIndex: 200, toIndex: 2900, since: null, until: null }
  const writer = exportWriter({ origin: 'log.example', verifierKey: key, checkpoint, ...range })
  const lines = async function* () {
    yield writer.header.trimEnd()
    for (let index = 200; index < 2900; index++) {
      yield writer
        .entry({ index, entry: texts[index] as string, proof: inclusionProof(index, size, read) })
        .trimEnd()
    }
    yield (await writer.end(signer)).trimEnd()
  }
  const report = await verifyExport(lines(), { verifierKey: key })
  assert.deepEqual(report.problems, [])
  assert.equal(report.entries, 2700)
})

test('a missing, short or misshapen tile proves nothing', () => {
  const read = (tile: Uint8Array | undefined) =>
    inclusionProof(
      3,
      300,
      hashReader(300, () => tile),
    )
  for (const tile of [undefined, Buffer.alloc(0), Buffer.alloc(32), Buffer.alloc(8193)]) {
    assert.throws(() => read(tile), /missing or short/)
  }
  assert.throws(() => hashReader(300, stored)(8, 1), /no subtree/)
  assert.throws(() => tileRoot(Buffer.alloc(32)), RangeError)
  assert.throws(() => growEdge(emptyEdge, Buffer.alloc(33)), RangeError)
  assert.throws(() => edgeFrom(2, Buffer.alloc(32), stored), RangeError)
})

test('a bundle is the lengths and bytes of its entries', () => {
  assert.equal(encodeBundle(['a', '', 'é']).toString('hex'), '0001610000' + '0002c3a9')
  const longest = encodeBundle(['x'.repeat(65_535)])
  assert.equal(longest.readUInt16BE(0), 65_535)
  assert.throws(() => encodeBundle(['x'.repeat(65_536)]), RangeError)
  assert.throws(() => encodeBundle(['é'.repeat(32_768)]), RangeError)
})

function only(tiles: readonly Tile[]): ReadTile {
  const asked = new Map(tiles.map(tile => [`${tile.level}/${tile.index}`, tile.width]))
  assert.equal(asked.size, tiles.length)
  return (level, index, width) => {
    assert.equal(asked.get(`${level}/${index}`), width)
    // Exactly as wide as it is at this size, as a server has it that keeps partial tiles.
    return stored(level, index, width)?.subarray(0, width * 32)
  }
}

function leafAt(index: number): Uint8Array {
  return hashes.subarray(index * 32, (index + 1) * 32)
}

function leavesOf(size: number): Uint8Array[] {
  return Array.from({ length: size }, (_, at) => leafAt(at))
}

function edgeWidths(size: number): number[] {
  return [0, 1, 2].map(level => Math.floor(size / 256 ** level) % 256).filter(Boolean)
}
