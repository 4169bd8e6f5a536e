// What every sealer is held to: authenticated, bound to its record and its key, and silent about what it holds.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Sealer } from './sealer.ts'

/** `open` makes a sealer with a key of its own at each call; `again` one with the key of the sealer it is given. */
export interface SealerSubject {
  open(): Sealer
  again(sealer: Sealer): Sealer
}

/** Registers the tests that an implementation of `Sealer` has to pass. */
export function sealerContract(name: string, subject: SealerSubject): void {
  const plain = (): Secret<Uint8Array> => new Secret(new Uint8Array(randomBytes(48)))
  const bytes = (opened: Secret<Uint8Array> | undefined): string | undefined =>
    opened && Buffer.from(opened.reveal()).toString('hex')

  test(`${name}: what was sealed for an identity opens for it, also on another node with the same key`, () => {
    const sealer = subject.open()
    for (const secret of [plain(), plain(), new Secret(new Uint8Array(0))]) {
      const sealed = sealer.seal(secret, 'record-1')
      assert.equal(bytes(sealer.open(sealed, 'record-1')), bytes(secret))
      assert.equal(bytes(subject.again(sealer).open(sealed, 'record-1')), bytes(secret))
    }
    assert.equal(subject.again(sealer).id, sealer.id)
  })

  test(`${name}: a sealed text moved to another record does not open`, () => {
    const sealer = subject.open()
    const first = sealer.seal(plain(), 'record-1')
    const second = sealer.seal(plain(), 'record-2')
    assert.equal(sealer.open(first, 'record-2'), undefined)
    assert.equal(sealer.open(second, 'record-1'), undefined)
    for (const near of ['', 'record-', 'record-11', 'Record-1', 'record-1 ', 'record-1\u0000']) {
      assert.equal(sealer.open(first, near), undefined, JSON.stringify(near))
    }
  })

  test(`${name}: a sealer with another key has another id and opens nothing`, () => {
    const [one, other] = [subject.open(), subject.open()]
    assert.notEqual(one.id, other.id)
    const sealed = one.seal(plain(), 'record-1')
    assert.equal(other.open(sealed, 'record-1'), undefined)
    // Also where the text is made to claim that it is the other's.
    assert.equal(other.open(sealed.replace(one.id, other.id), 'record-1'), undefined)
  })

  test(`${name}: no character of a sealed text can be changed, dropped or added`, () => {
    const sealer = subject.open()
    const sealed = sealer.seal(plain(), 'record-1')
    for (let at = 0; at < sealed.length; at += 1) {
      const other = sealed[at] === 'A' ? 'B' : 'A'
      const changed = sealed.slice(0, at) + other + sealed.slice(at + 1)
      assert.equal(sealer.open(changed, 'record-1'), undefined, `changed at ${at}`)
      const dropped = sealed.slice(0, at) + sealed.slice(at + 1)
      assert.equal(sealer.open(dropped, 'record-1'), undefined, `dropped at ${at}`)
      for (const added of ['A', '.', '=', '\n', ' ']) {
        const longer = sealed.slice(0, at) + added + sealed.slice(at)
        assert.equal(sealer.open(longer, 'record-1'), undefined, `added at ${at}`)
      }
    }
    for (const end of ['A', '=', '.', '\n']) assert.equal(sealer.open(sealed + end, 'record-1'), undefined)
    for (const nothing of ['', '.', '....', 'x'.repeat(100_000)]) {
      assert.equal(sealer.open(nothing, 'record-1'), undefined)
    }
  })

  test(`${name}: the halves of two sealed texts do not make a third`, () => {
    const sealer = subject.open()
    const [a, b] = [sealer.seal(plain(), 'record-1'), sealer.seal(plain(), 'record-1')]
    const [left, right] = [a.split('.'), b.split('.')]
    assert.equal(left.length, right.length)
    for (const at of left.keys()) {
      const mixed = left.with(at, right[at] ?? '').join('.')
      if (mixed !== a) assert.equal(sealer.open(mixed, 'record-1'), undefined, `part ${at}`)
    }
  })

  test(`${name}: sealing twice gives two texts, and no nonce comes twice`, () => {
    const sealer = subject.open()
    const secret = plain()
    const texts = Array.from({ length: 2000 }, () => sealer.seal(secret, 'record-1'))
    assert.equal(new Set(texts).size, texts.length)
  })

  test(`${name}: the sealed text names its sealer and shows nothing of what it holds`, () => {
    const sealer = subject.open()
    const secret = Buffer.from('a canary that must not be seen in any form of the sealed text')
    const sealed = sealer.seal(new Secret<Uint8Array>(secret), 'record-1')
    assert.ok(sealed.includes(sealer.id))
    const every = sealed.split('.').map(part => Buffer.from(part, 'base64url').toString('latin1'))
    for (const form of ['utf8', 'hex', 'base64', 'base64url'] as const) {
      for (const text of [sealed, ...every])
        assert.ok(!text.includes(secret.toString(form).slice(0, 12)), form)
    }
  })
}
