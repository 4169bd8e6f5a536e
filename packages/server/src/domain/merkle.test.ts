// The tree against published answers, against the definition of RFC 6962 §2.1, and against the SDK's own verifier.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import * as verifier from '@writ/sdk/protocol/proof'
import fc from 'fast-check'
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  nodeHash,
  type ReadHash,
  rootAt,
  rootOf,
} from './merkle.ts'

const runs = { numRuns: 1000 }

// The leaves and answers that certificate-transparency implementations have shared since 2013.
const leaves = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
]
const roots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]
const known = leaves.map(hex => leafHash(Buffer.from(hex, 'hex')))

test('the root of each size of the well-known tree is the published one', () => {
  for (const [size, root] of roots.entries()) {
    assert.equal(rootOf(known.slice(0, size)).toString('hex'), root)
    assert.equal(rootAt(size, readerOf(known)).toString('hex'), root)
  }
})

test('the paths of the well-known tree are the published ones', () => {
  const hex = (proof: readonly Buffer[]) => proof.map(hash => hash.toString('hex'))
  assert.deepEqual(hex(inclusionProof(0, 1, readerOf(known))), [])
  assert.deepEqual(hex(inclusionProof(0, 8, readerOf(known))), [
    '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
    '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
    '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
  ])
  assert.deepEqual(hex(consistencyProof(6, 8, readerOf(known))), [
    '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
    'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  ])
})

test('a leaf cannot pass as a node: the same 64 bytes hash differently', () => {
  const [left, right] = [leafHash('left'), leafHash('right')]
  assert.notDeepEqual(leafHash(Buffer.concat([left, right])), nodeHash(left, right))
})

test('a leaf of any length hashes as its UTF-8 bytes after a zero byte', () => {
  for (const text of ['', 'é', 'x'.repeat(21_844), 'x'.repeat(65_535), 'ü'.repeat(70_000)]) {
    assert.deepEqual(leafHash(text), createHash('sha256').update('\0').update(text).digest())
    assert.deepEqual(leafHash(Buffer.from(text)), leafHash(text))
    assert.deepEqual(verifier.leafHash(text), leafHash(text))
  }
})

test('roots and proofs follow the recursive definition for every size up to 70', () => {
  const hashes = someLeaves(70)
  const read = readerOf(hashes)
  for (let size = 1; size <= 70; size++) {
    assert.deepEqual(rootAt(size, read), mth(hashes.slice(0, size)))
    for (let index = 0; index < size; index++) {
      assert.deepEqual(inclusionProof(index, size, read), path(index, hashes.slice(0, size)))
    }
    for (let old = 1; old <= size; old++) {
      assert.deepEqual(consistencyProof(old, size, read), subproof(old, hashes.slice(0, size), true))
    }
  }
})

test('every proof of every size up to 130 verifies, and in no other place or tree', () => {
  const hashes = someLeaves(131)
  const read = readerOf(hashes)
  const trees = Array.from({ length: 132 }, (_, size) => rootAt(size, read))
  for (let size = 1; size <= 130; size++) {
    const root = trees[size] as Buffer
    for (let index = 0; index < size; index++) {
      const claim = {
        leaf: hashes[index] as Buffer,
        index,
        size,
        proof: inclusionProof(index, size, read),
        root,
      }
      assert.ok(verifier.verifyInclusion(claim))
      assert.deepEqual(verifier.rootUpToLeaf(claim), trees[index + 1])
      assert.ok(!verifier.verifyInclusion({ ...claim, index: index + 1 }))
      assert.ok(!verifier.verifyInclusion({ ...claim, index: index - 1 }))
      assert.ok(!verifier.verifyInclusion({ ...claim, root: trees[size + 1] as Buffer }))
    }
    for (let old = 0; old <= size; old++) {
      const claim = { oldSize: old, oldRoot: trees[old] as Buffer, newSize: size, newRoot: root }
      const proof = consistencyProof(old, size, read)
      assert.ok(verifier.verifyConsistency({ ...claim, proof }))
      assert.ok(!verifier.verifyConsistency({ ...claim, proof: [...proof, root] }))
      assert.ok(!verifier.verifyConsistency({ ...claim, oldRoot: trees[old + 1] as Buffer, proof }))
    }
  }
})

test('proofs verify in trees as large as a number counts', () => {
  // All leaves alike: a complete subtree has one hash for each height, so a tree of 2 ** 53 leaves fits in a table.
  const heights = [leafHash('alike')]
  for (let level = 1; level <= 53; level++)
    heights.push(nodeHash(heights[level - 1] as Buffer, heights[level - 1] as Buffer))
  const read: ReadHash = level => heights[level] as Buffer
  const sizes = fc.oneof(
    fc.maxSafeNat(),
    fc.nat({ max: 53 }).map(bit => 2 ** bit - 1),
    fc.nat({ max: 52 }).map(bit => 2 ** bit),
  )
  fc.assert(
    fc.property(sizes, sizes, (a, b) => {
      const [index, size] = [Math.min(a, b), Math.min(Math.max(a, b) + 1, Number.MAX_SAFE_INTEGER)]
      fc.pre(index < size)
      const [oldRoot, root] = [rootAt(index, read), rootAt(size, read)]
      const proof = inclusionProof(index, size, read)
      assert.ok(verifier.verifyInclusion({ leaf: heights[0] as Buffer, index, size, proof, root }))
      const consistency = consistencyProof(index, size, read)
      assert.ok(
        verifier.verifyConsistency({
          oldSize: index,
          oldRoot,
          newSize: size,
          newRoot: root,
          proof: consistency,
        }),
      )
    }),
    runs,
  )
})

test('one changed bit anywhere in a proof, a leaf or a root is refused', () => {
  const hashes = someLeaves(300)
  const read = readerOf(hashes)
  fc.assert(
    fc.property(fc.integer({ min: 2, max: 300 }), fc.nat(), fc.nat(), fc.nat(), (size, leaf, where, bit) => {
      const index = leaf % size
      const flip = (hash: Uint8Array) => {
        const copy = Buffer.from(hash)
        const at = Math.floor(bit / 8) % 32
        copy[at] = (copy[at] as number) ^ (1 << (bit % 8))
        return copy
      }
      const flipOne = (list: readonly Uint8Array[]) =>
        list.map((hash, at) => (at === where % list.length ? flip(hash) : hash))
      const [leafBefore, ...proofBefore] = [hashes[index] as Buffer, ...inclusionProof(index, size, read)]
      const [root, ...proof] = flipOne([rootAt(size, read), ...proofBefore])
      assert.ok(!verifier.verifyInclusion({ leaf: leafBefore, index, size, proof, root: root as Uint8Array }))
      assert.ok(
        !verifier.verifyInclusion({
          leaf: flip(leafBefore),
          index,
          size,
          proof: proofBefore,
          root: rootAt(size, read),
        }),
      )
      fc.pre(index > 0)
      const [oldRoot, newRoot, ...path] = flipOne([
        rootAt(index, read),
        rootAt(size, read),
        ...consistencyProof(index, size, read),
      ]) as [Uint8Array, Uint8Array, ...Uint8Array[]]
      assert.ok(!verifier.verifyConsistency({ oldSize: index, oldRoot, newSize: size, newRoot, proof: path }))
    }),
    runs,
  )
})

test('a tree whose history was rewritten has no consistency proof with the old one', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 0, max: 100 }),
      fc.nat(),
      (old, more, where) => {
        const honest = someLeaves(old + more)
        const rewritten = honest.map((hash, at) => (at === where % old ? leafHash('rewritten') : hash))
        const claim = {
          oldSize: old,
          oldRoot: rootOf(honest.slice(0, old)),
          newSize: old + more,
          newRoot: rootOf(rewritten),
        }
        for (const hashes of [honest, rewritten]) {
          const proof = consistencyProof(old, old + more, readerOf(hashes))
          assert.ok(!verifier.verifyConsistency({ ...claim, proof }))
        }
      },
    ),
    runs,
  )
})

test('proofs of leaves and trees that do not exist are not made', () => {
  const read = readerOf(known)
  for (const [index, size] of [
    [0, 0],
    [8, 8],
    [-1, 8],
    [0.5, 8],
    [0, 2 ** 53],
  ] as const) {
    assert.throws(() => inclusionProof(index, size, read), RangeError)
  }
  assert.throws(() => consistencyProof(9, 8, read), RangeError)
  assert.throws(() => rootAt(-1, read), RangeError)
})

test('claims that cannot be are refused, not thrown at', () => {
  const claim = { leaf: known[0] as Buffer, index: 0, size: 1, proof: [], root: known[0] as Buffer }
  assert.ok(verifier.verifyInclusion(claim))
  const wrong = [
    { size: 0 },
    { index: -1 },
    { index: 1 },
    { index: Number.NaN },
    { size: 2 ** 53 },
    { size: 2 },
  ]
  const short = [{ leaf: Buffer.alloc(31) }, { root: Buffer.alloc(0) }, { proof: [Buffer.alloc(32)] }]
  for (const change of [...wrong, ...short]) assert.ok(!verifier.verifyInclusion({ ...claim, ...change }))
  const grown = { oldSize: 1, oldRoot: known[0] as Buffer, newSize: 2, newRoot: rootOf(known.slice(0, 2)) }
  assert.ok(verifier.verifyConsistency({ ...grown, proof: [known[1] as Buffer] }))
  for (const proof of [[], [Buffer.alloc(31)], [known[1] as Buffer, known[1] as Buffer]]) {
    assert.ok(!verifier.verifyConsistency({ ...grown, proof }))
  }
  assert.ok(!verifier.verifyConsistency({ ...grown, oldSize: 3, proof: [known[1] as Buffer] }))
  assert.ok(!verifier.verifyConsistency({ ...grown, oldSize: 0, proof: [] }))
  assert.ok(verifier.verifyConsistency({ ...grown, oldSize: 0, oldRoot: verifier.emptyRoot, proof: [] }))
})

function someLeaves(count: number): Buffer[] {
  return Array.from({ length: count }, (_, at) => leafHash(`leaf ${at}`))
}

/** Complete subtrees straight from the definition. */
function readerOf(hashes: readonly Buffer[]): ReadHash {
  return (level, index) => mth(hashes.slice(index * 2 ** level, (index + 1) * 2 ** level))
}

// RFC 6962 §2.1, §2.1.1, §2.1.2, word for word: slow, and nothing in common with what it checks.

function sha(...parts: readonly (string | Buffer)[]): Buffer {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}

function split(n: number): number {
  return 2 ** (Math.ceil(Math.log2(n)) - 1)
}

function mth(hashes: readonly Buffer[]): Buffer {
  if (hashes.length === 0) return sha('')
  if (hashes.length === 1) return hashes[0] as Buffer
  const k = split(hashes.length)
  return sha('\x01', mth(hashes.slice(0, k)), mth(hashes.slice(k)))
}

function path(m: number, hashes: readonly Buffer[]): Buffer[] {
  if (hashes.length === 1) return []
  const k = split(hashes.length)
  if (m < k) return [...path(m, hashes.slice(0, k)), mth(hashes.slice(k))]
  return [...path(m - k, hashes.slice(k)), mth(hashes.slice(0, k))]
}

function subproof(m: number, hashes: readonly Buffer[], whole: boolean): Buffer[] {
  if (m === hashes.length) return whole ? [] : [mth(hashes)]
  const k = split(hashes.length)
  if (m <= k) return [...subproof(m, hashes.slice(0, k), whole), mth(hashes.slice(k))]
  return [...subproof(m - k, hashes.slice(k), false), mth(hashes.slice(0, k))]
}
