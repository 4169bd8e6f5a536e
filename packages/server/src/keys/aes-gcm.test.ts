// The primitive under the sealed text against the AES-GCM vectors of Wycheproof, and the count of messages.
import assert from 'node:assert/strict'
import { createSecretKey, hash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { aesGcmSealer, decrypt, encrypt, keyBytes, sealerOf } from './aes-gcm.ts'
import { sealerContract } from './contract.ts'
import type { Sealer } from './sealer.ts'

interface Vector {
  readonly tcId: number
  readonly key: string
  readonly iv: string
  readonly aad: string
  readonly msg: string
  readonly ct: string
  readonly tag: string
  readonly result: 'valid' | 'invalid' | 'acceptable'
}

const folder = process.env['WRIT_VECTORS']
const file = folder === undefined ? undefined : join(folder, 'wycheproof', 'aes_gcm_test.json')
const absent =
  file === undefined
    ? 'WRIT_VECTORS names no folder of vectors'
    : !existsSync(file) && `${file} does not exist`

test('the primitive agrees with every AES-GCM vector of Wycheproof', { skip: absent }, t => {
  const { testGroups } = JSON.parse(readFileSync(file ?? '', 'utf8')) as {
    testGroups: { ivSize: number; tagSize: number; tests: Vector[] }[]
  }
  let checked = 0
  const hex = (text: string): Buffer => Buffer.from(text, 'hex')
  for (const { ivSize, tagSize, tests } of testGroups) {
    for (const vector of tests) {
      const key = createSecretKey(hex(vector.key))
      const parts = { nonce: hex(vector.iv), ciphertext: hex(vector.ct), tag: hex(vector.tag) }
      const plain = decrypt(key, parts, hex(vector.aad))
      const ours = ivSize === 96 && tagSize === 128
      // Nonces of other lengths are valid AES-GCM, and not what is ever opened here.
      const expected = ours && vector.result === 'valid' ? vector.msg : undefined
      assert.equal(plain?.toString('hex'), expected, `decrypting vector ${vector.tcId}`)
      if (expected !== undefined) {
        const made = encrypt(key, parts.nonce, hex(vector.msg), hex(vector.aad))
        assert.equal(made.ciphertext.toString('hex'), vector.ct, `encrypting vector ${vector.tcId}`)
        assert.equal(made.tag.toString('hex'), vector.tag, `the tag of vector ${vector.tcId}`)
      }
      checked += 1
    }
  }
  assert.ok(checked >= 300, `only ${checked} vectors`)
  t.diagnostic(`${checked} vectors`)
})

test('a sealer refuses to seal past its limit and still opens', () => {
  const sealer = aesGcmSealer(new Secret(new Uint8Array(randomBytes(keyBytes))), 2)
  const secret = new Secret(new Uint8Array([1, 2, 3]))
  const sealed = sealer.seal(secret, 'a')
  sealer.seal(secret, 'a')
  assert.throws(
    () => sealer.seal(secret, 'a'),
    error => isFault(error) && error.why?.kind === 'seal_limit',
  )
  assert.deepEqual([...(sealer.open(sealed, 'a')?.reveal() ?? [])], [1, 2, 3])
})

test('no nonce comes twice under one key', () => {
  const sealer = aesGcmSealer(new Secret(new Uint8Array(randomBytes(keyBytes))))
  const secret = new Secret(new Uint8Array(32))
  const nonces = Array.from({ length: 5000 }, () => sealer.seal(secret, 'a').split('.')[3])
  assert.equal(new Set(nonces).size, nonces.length)
})

test('a sealed text says who sealed it, and any other text says nothing', () => {
  const sealer = aesGcmSealer(new Secret(new Uint8Array(randomBytes(keyBytes))))
  const sealed = sealer.seal(new Secret(new Uint8Array(32)), 'a')
  assert.equal(sealerOf(sealed), sealer.id)
  for (const text of ['', 'v2', 'v3', sealed.replace('v2.', 'v1.'), `${sealed}=`, sealed.slice(0, -1)]) {
    assert.equal(sealerOf(text), undefined, text)
  }
})

test('the id of a sealer is not a hash of its key', () => {
  const key = randomBytes(keyBytes)
  const { id } = aesGcmSealer(new Secret(new Uint8Array(key)))
  assert.match(id, /^[A-Za-z0-9_-]{16}$/)
  assert.notEqual(id, hash('sha256', key, 'base64url').slice(0, 16))
})

test('every sealer of one key encrypts under a key of its own, and opens what the others sealed', () => {
  const key = new Secret(new Uint8Array(randomBytes(keyBytes)))
  const secret = new Secret(new Uint8Array(32))
  const [one, two] = [aesGcmSealer(key), aesGcmSealer(key)]
  const salts = [one, one, two].map(sealer => sealer.seal(secret, 'a').split('.')[2])
  assert.equal(salts[0], salts[1])
  assert.notEqual(salts[0], salts[2])
  assert.ok(two.open(one.seal(secret, 'a'), 'a') && one.open(two.seal(secret, 'a'), 'a'))
  // A salt that was changed makes another key.
  const [version, id, , ...rest] = one.seal(secret, 'a').split('.')
  assert.equal(one.open([version, id, salts[2], ...rest].join('.'), 'a'), undefined)
  // Of more processes than are kept derived each is still opened.
  const texts = Array.from({ length: 300 }, () => aesGcmSealer(key).seal(secret, 'a'))
  for (const text of [...texts, ...texts]) assert.ok(one.open(text, 'a'))
})

test('a text that was sealed before there were salts is still opened', () => {
  const key = Buffer.alloc(keyBytes, 7)
  const sealed = 'v1.lJKr9Gso4KMwGWnj.t5QT2xdlvw0KXiRg.INCLWOXdG4IWdLlE4w.cHqAS7Pkilu81qI3ojs86A'
  const opened = aesGcmSealer(new Secret(new Uint8Array(key))).open(sealed, '["issuer-key","default"]')
  assert.equal(Buffer.from(opened?.reveal() ?? []).toString(), 'sealed before')
})

const masters = new Map<string, Secret<Uint8Array>>()

const sealerUnder = (master: Secret<Uint8Array>): Sealer => {
  const sealer = aesGcmSealer(master)
  masters.set(sealer.id, master)
  return sealer
}

sealerContract('AES-256-GCM', {
  open: () => sealerUnder(new Secret<Uint8Array>(randomBytes(keyBytes))),
  again: ({ id }) => aesGcmSealer(masters.get(id) as Secret<Uint8Array>),
})
