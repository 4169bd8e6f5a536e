// The Merkle tree of the audit log: RFC 6962 §2.1 (RFC 9162 §2.1) hashes, inclusion and consistency proofs.
import { hashBytes, sha256, sha256Into } from './hash.ts'

/** The root of the subtree of `2 ** level` leaves that starts at leaf `index * 2 ** level`; it is complete. */
export type ReadHash = (level: number, index: number) => Uint8Array

/** A complete subtree by its place: `2 ** level` leaves, the `index`-th of that size. */
export interface Subtree {
  readonly level: number
  readonly index: number
}

/** The leaves `from` to `to` (exclusive) as one node of some tree. */
export interface Span {
  readonly from: number
  readonly to: number
}

// Prefixes keep a leaf from passing as a node: without them, two hashes read as one leaf forge a second preimage.
const leafPrefix = 0x00
const nodePrefix = 0x01

const leafScratch = Buffer.allocUnsafeSlow(65_536)
const nodeScratch = Buffer.allocUnsafeSlow(1 + 2 * hashBytes)
nodeScratch[0] = nodePrefix

/** RFC 6962 §2.1: the hash of one leaf, `SHA-256(0x00 || data)`. */
export function leafHash(data: string | Uint8Array): Buffer {
  const bound = typeof data === 'string' ? 3 * data.length : data.length
  const into = bound < leafScratch.length ? leafScratch : Buffer.allocUnsafe(1 + bound)
  into[0] = leafPrefix
  if (typeof data === 'string') return sha256(into.subarray(0, 1 + into.write(data, 1, 'utf8')))
  into.set(data, 1)
  return sha256(into.subarray(0, 1 + data.length))
}

/** RFC 6962 §2.1: the hash of a node, `SHA-256(0x01 || left || right)`. */
export function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  nodeScratch.set(left, 1)
  nodeScratch.set(right, 1 + hashBytes)
  return sha256(nodeScratch)
}

/** The hashes of the pairs of a row: `pairs` hashes, one after the other, from twice as many. */
export function pairRow(row: Uint8Array): Buffer {
  const pairs = Math.floor(row.length / (2 * hashBytes))
  const up = Buffer.allocUnsafe(pairs * hashBytes)
  for (let pair = 0; pair < pairs; pair++) {
    nodeScratch.set(row.subarray(pair * 2 * hashBytes, (pair + 1) * 2 * hashBytes), 1)
    sha256Into(up, pair * hashBytes, nodeScratch)
  }
  return up
}

/** RFC 6962 §2.1: the root over all leaf hashes of a tree; of the empty tree, SHA-256 of nothing. */
export function rootOf(leafHashes: readonly Uint8Array[]): Buffer {
  if (leafHashes.length === 0) return sha256('')
  let row: readonly Uint8Array[] = leafHashes
  while (row.length > 1) {
    const up: Uint8Array[] = []
    for (let at = 0; at + 1 < row.length; at += 2) up.push(nodeHash(hashAt(row, at), hashAt(row, at + 1)))
    // The last node of an odd row stands for itself one level higher: it is the right part of an uneven split.
    if (row.length % 2 === 1) up.push(hashAt(row, row.length - 1))
    row = up
  }
  return Buffer.from(hashAt(row, 0))
}

/** The root of the tree of the first `size` leaves. */
export function rootAt(size: number, readHash: ReadHash): Buffer {
  checkSize(size)
  return size === 0 ? sha256('') : spanHash({ from: 0, to: size }, readHash)
}

/**
 * RFC 6962 §2.1.1: the audit path of leaf `index` in the tree of the first `size` leaves, nearest sibling first.
 * @throws RangeError where the tree has no such leaf
 */
export function inclusionProof(index: number, size: number, readHash: ReadHash): Buffer[] {
  return inclusionSpans(index, size).map(span => spanHash(span, readHash))
}

/**
 * RFC 6962 §2.1.2: proves that the tree of `oldSize` leaves is the beginning of the tree of `newSize` leaves. Empty
 * where the old tree is empty or the same.
 * @throws RangeError where the old tree is the larger one
 */
export function consistencyProof(oldSize: number, newSize: number, readHash: ReadHash): Buffer[] {
  return consistencySpans(oldSize, newSize).map(span => spanHash(span, readHash))
}

/** Which nodes an inclusion proof consists of, in its order. */
export function inclusionSpans(index: number, size: number): Span[] {
  checkSize(size)
  if (!Number.isSafeInteger(index) || index < 0 || index >= size)
    throw new RangeError('no such leaf in this tree')
  const spans: Span[] = []
  let from = 0
  let to = size
  while (to - from > 1) {
    const middle = from + leftSize(to - from)
    if (index < middle) {
      spans.push({ from: middle, to })
      to = middle
    } else {
      spans.push({ from, to: middle })
      from = middle
    }
  }
  return spans.reverse()
}

/** Which nodes a consistency proof consists of, in its order. */
export function consistencySpans(oldSize: number, newSize: number): Span[] {
  checkSize(oldSize)
  checkSize(newSize)
  if (oldSize > newSize) throw new RangeError('a tree is never the beginning of a smaller one')
  if (oldSize === 0) return []
  const spans: Span[] = []
  let from = 0
  let to = newSize
  while (to !== oldSize) {
    const middle = from + leftSize(to - from)
    if (oldSize <= middle) {
      spans.push({ from: middle, to })
      to = middle
    } else {
      spans.push({ from, to: middle })
      from = middle
    }
  }
  // RFC 6962 §2.1.2: a verifier knows the old root already where the old tree is a whole node of the new one.
  if (from > 0) spans.push({ from, to })
  return spans.reverse()
}

/** The complete subtrees that a node consists of, from left to right. */
export function spanSubtrees({ from, to }: Span): Subtree[] {
  const subtrees: Subtree[] = []
  for (let at = from; at < to; ) {
    let level = 0
    let leaves = 1
    while (leaves * 2 <= to - at) {
      leaves *= 2
      level += 1
    }
    subtrees.push({ level, index: at / leaves })
    at += leaves
  }
  return subtrees
}

function spanHash(span: Span, readHash: ReadHash): Buffer {
  const subtrees = spanSubtrees(span)
  let hash: Uint8Array | undefined
  for (let at = subtrees.length - 1; at >= 0; at--) {
    const { level, index } = subtrees[at] as Subtree
    const left = readHash(level, index)
    hash = hash === undefined ? left : nodeHash(left, hash)
  }
  return Buffer.from(hash as Uint8Array)
}

/** RFC 6962 §2.1: the largest power of two below `leaves` (two or more): how many of them stand left. */
function leftSize(leaves: number): number {
  let left = 1
  while (left * 2 < leaves) left *= 2
  return left
}

function checkSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) throw new RangeError('a tree size is a whole number of leaves')
}

function hashAt(row: readonly Uint8Array[], at: number): Uint8Array {
  return row[at] as Uint8Array
}
