// Verifies what a log claims about itself: RFC 9162 §2.1.3 inclusion and §2.1.4 consistency, by the RFC's algorithms.
import { hash } from 'node:crypto'

const hashBytes = 32

/** The root of the tree without leaves (RFC 9162 §2.1.1). */
export const emptyRoot: Uint8Array = digest(Buffer.alloc(0))

export interface Inclusion {
  /** The hash of the leaf (`leafHash` of its data). */
  readonly leaf: Uint8Array
  readonly index: number
  /** Leaves in the tree. */
  readonly size: number
  /** Nearest sibling first. */
  readonly proof: readonly Uint8Array[]
}

export interface Consistency {
  readonly oldSize: number
  readonly oldRoot: Uint8Array
  readonly newSize: number
  readonly newRoot: Uint8Array
  readonly proof: readonly Uint8Array[]
}

/** RFC 9162 §2.1.1: the hash of a leaf; a text counts as its UTF-8 bytes. */
export function leafHash(data: string | Uint8Array): Buffer {
  const bytes = typeof data === 'string' ? Buffer.from(data, 'utf8') : data
  const prefixed = Buffer.allocUnsafe(1 + bytes.length)
  prefixed[0] = 0
  prefixed.set(bytes, 1)
  return digest(prefixed)
}

/** Whether the leaf stands at `index` in the tree with this root. Never throws: what cannot be is not included. */
export function verifyInclusion(claim: Inclusion & { readonly root: Uint8Array }): boolean {
  return foldPath(claim, 'both')?.equals(claim.root) ?? false
}

/**
 * The root of the earlier tree whose last leaf this was, out of its inclusion proof in a later tree. It means
 * something only once that proof verified; then it ties the two trees together as a consistency proof does.
 * Undefined where the proof does not have the shape of the tree.
 */
export function rootUpToLeaf(claim: Inclusion): Buffer | undefined {
  // What stands right of the leaf did not exist when it was the last one.
  return foldPath(claim, 'left')
}

// RFC 9162 §2.1.3.2, steps 2 to 4: `at` and `last` are the RFC's fn and sn.
function foldPath(claim: Inclusion, siblings: 'both' | 'left'): Buffer | undefined {
  const { index, size, proof } = claim
  if (!isCount(index) || !isCount(size) || index >= size || claim.leaf.length !== hashBytes) return undefined
  let at = index
  let last = size - 1
  let root = Buffer.from(claim.leaf)
  for (const sibling of proof) {
    if (last === 0 || sibling.length !== hashBytes) return undefined
    if (at % 2 === 1 || at === last) {
      root = node(sibling, root)
      while (at % 2 === 0 && at !== 0) {
        at = Math.floor(at / 2)
        last = Math.floor(last / 2)
      }
    } else if (siblings === 'both') root = node(root, sibling)
    at = Math.floor(at / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 ? root : undefined
}

/**
 * Whether the tree of `oldSize` leaves is the beginning of the tree of `newSize` leaves: nothing that was in the log
 * changed or went away. Never throws.
 */
export function verifyConsistency(claim: Consistency): boolean {
  const { oldSize, newSize, proof } = claim
  const oldRoot = Buffer.from(claim.oldRoot)
  const newRoot = Buffer.from(claim.newRoot)
  if (!isCount(oldSize) || !isCount(newSize) || oldSize > newSize) return false
  if (oldSize === newSize) return proof.length === 0 && oldRoot.equals(newRoot)
  // Every tree begins with the empty one, whose root is fixed; the RFC leaves this case out.
  if (oldSize === 0) return proof.length === 0 && oldRoot.equals(emptyRoot)
  if (proof.some(hash => hash.length !== hashBytes)) return false
  // RFC 9162 §2.1.4.2, step 2: a power of two is a whole node of the new tree, so the proof leaves it out.
  const path = isPowerOfTwo(oldSize) ? [oldRoot, ...proof] : proof
  const first = path[0]
  if (first === undefined) return false
  let at = oldSize - 1
  let last = newSize - 1
  while (at % 2 === 1) {
    at = Math.floor(at / 2)
    last = Math.floor(last / 2)
  }
  let fromOld = Buffer.from(first)
  let fromNew = fromOld
  for (const hash of path.slice(1)) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      fromOld = node(hash, fromOld)
      fromNew = node(hash, fromNew)
      while (at % 2 === 0 && at !== 0) {
        at = Math.floor(at / 2)
        last = Math.floor(last / 2)
      }
    } else fromNew = node(fromNew, hash)
    at = Math.floor(at / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 && fromOld.equals(oldRoot) && fromNew.equals(newRoot)
}

const pair = Buffer.allocUnsafeSlow(1 + 2 * hashBytes)
pair[0] = 1

function node(left: Uint8Array, right: Uint8Array): Buffer<ArrayBuffer> {
  pair.set(left, 1)
  pair.set(right, 1 + hashBytes)
  return digest(pair)
}

function digest(bytes: Uint8Array): Buffer<ArrayBuffer> {
  // As latin1 text into a pooled Buffer: half the time of asking for a Buffer, which is an allocation of its own.
  return Buffer.from(hash('sha256', bytes, 'binary'), 'latin1')
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function isPowerOfTwo(value: number): boolean {
  return 2 ** Math.round(Math.log2(value)) === value
}
