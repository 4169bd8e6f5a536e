// What every root is held to, whoever writes it: authenticated to one record, rotated without a gap, closed on doubt.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import { mostSealed } from './refusals.ts'
import type { RootSealer, Sealed } from './sealer.ts'

/** A root of its own, as two nodes see it. */
export interface RootUnderTest {
  readonly sealer: RootSealer
  /** The same root, opened once more, as another node does. */
  again(): Promise<RootSealer>
  /** What a person does before a successor can be staged; absent where the root makes it alone. */
  bring?(): Promise<void>
}

const secretOf = (length: number): Secret<Uint8Array> => new Secret(new Uint8Array(randomBytes(length)))
const hexOf = (opened: Secret<Uint8Array> | undefined): string | undefined =>
  opened && Buffer.from(opened.reveal()).toString('hex')

const conflict = (error: unknown): boolean => {
  assert.ok(isFault(error), String(error))
  assert.equal(error.code, 'conflict')
  return true
}

/** Another letter of the same alphabet, so that the text stays well formed wherever that is possible. */
const another = (letter: string | undefined): string => (letter === 'A' ? 'B' : 'A')

/** Everything that a text becomes by one wrong letter, one too few, or one too many. */
function* nearly(text: string): Generator<[what: string, text: string]> {
  for (let at = 0; at < text.length; at += 1) {
    const [before, after] = [text.slice(0, at), text.slice(at + 1)]
    yield [`changed at ${at}`, before + another(text[at]) + after]
    yield [`dropped at ${at}`, before + after]
    yield [`added at ${at}`, `${before}A${text.slice(at)}`]
  }
  for (const end of ['A', '=', '.', '\n', ' ', '\u0000']) yield ['added at the end', text + end]
  for (const part of [0.25, 0.5, 0.75]) yield ['cut', text.slice(0, Math.floor(text.length * part))]
}

interface Given {
  readonly root: RootUnderTest
  readonly sealer: RootSealer
  /** The sealer of another node of the same root; closed with the test. */
  again(): Promise<RootSealer>
  /** A root that has nothing to do with the first. */
  other(): Promise<RootSealer>
}

/** Registers the tests that an implementation of `RootSealer` has to pass. `open` makes a root of its own each time. */
export function rootSealerContract(name: string, open: () => Promise<RootUnderTest>): void {
  const says = (title: string, body: (given: Given) => Promise<void>): void =>
    void test(`${name}: ${title}`, async t => {
      const kept = async (opened: Promise<RootSealer>): Promise<RootSealer> => {
        const sealer = await opened
        t.after(() => sealer.close())
        return sealer
      }
      const root = await open()
      const sealer = await kept(Promise.resolve(root.sealer))
      const other = async (): Promise<RootSealer> => kept(open().then(opened => opened.sealer))
      await body({ root, sealer, again: () => kept(root.again()), other })
    })
  sealing(says)
  rotating(says)
}

type Says = (title: string, body: (given: Given) => Promise<void>) => void

function sealing(says: Says): void {
  says('what was sealed for a record opens for it, on every node', async ({ sealer, again }) => {
    const node = await again()
    for (const length of [0, 1, 32, mostSealed]) {
      const secret = secretOf(length)
      const { text } = await sealer.seal(secret, 'record-1')
      assert.equal(hexOf(await sealer.open(text, 'record-1')), hexOf(secret), `${length} bytes`)
      assert.equal(hexOf(await node.open(text, 'record-1')), hexOf(secret), `${length} bytes`)
    }
  })

  says('more than 2048 bytes are refused, not cut', async ({ sealer }) => {
    await assert.rejects(sealer.seal(secretOf(mostSealed + 1), 'record-1'), error => isFault(error))
  })

  says('the text names the version that sealed it, the same on every node', async ({ sealer, again }) => {
    const { text, root } = await sealer.seal(secretOf(32), 'record-1')
    assert.equal(root, await sealer.current())
    assert.equal(root, await (await again()).current())
    assert.match(root, /^[\x21-\x7e]{1,256}$/)
    assert.ok(text.includes(root), 'the text names no version')
    assert.ok(text.length < 16_384)
  })

  says('a text that was moved to another record does not open', async ({ sealer }) => {
    const first = await sealer.seal(secretOf(32), 'record-1')
    const second = await sealer.seal(secretOf(32), 'record-2')
    assert.equal(await sealer.open(first.text, 'record-2'), undefined)
    assert.equal(await sealer.open(second.text, 'record-1'), undefined)
    for (const near of ['', 'record-', 'record-11', 'Record-1', 'record-1 ', 'record-1\u0000']) {
      assert.equal(await sealer.open(first.text, near), undefined, JSON.stringify(near))
    }
  })

  says('no letter of a text can be changed, dropped or added, and no bit of it', async ({ sealer }) => {
    const { text } = await sealer.seal(secretOf(16), 'record-1')
    for (const [what, wrong] of nearly(text)) {
      if (wrong !== text) assert.equal(await sealer.open(wrong, 'record-1'), undefined, what)
    }
    const bytes = Buffer.from(text, 'latin1')
    for (let at = 0; at < bytes.length; at += 1) {
      const flipped = Buffer.from(bytes)
      flipped[at] = (bytes[at] ?? 0) ^ (1 << (at % 8))
      assert.equal(await sealer.open(flipped.toString('latin1'), 'record-1'), undefined, `bit at ${at}`)
    }
  })

  says('what is no sealed text at all does not open, and throws nothing', async ({ sealer }) => {
    const wrong = ['', '.', '....', 'v1', 'vault:v1:', 'x'.repeat(100_000), '\u0000', '𝟘', '[object Object]']
    for (const text of wrong) assert.equal(await sealer.open(text, 'record-1'), undefined, text.slice(0, 20))
  })

  says('the parts of two texts do not make a third', async ({ sealer }) => {
    const secret = secretOf(32)
    const [a, b] = [await sealer.seal(secret, 'record-1'), await sealer.seal(secret, 'record-1')]
    const half = Math.floor(a.text.length / 2)
    const [left, right] = [a.text.split('.'), b.text.split('.')]
    const mixed = left.map((_, at) => left.with(at, right[at] ?? '').join('.'))
    for (const text of [a.text.slice(0, half) + b.text.slice(half), ...mixed]) {
      if (text !== a.text && text !== b.text) assert.equal(await sealer.open(text, 'record-1'), undefined)
    }
  })

  says('another root has another id and opens nothing', async ({ sealer, other }) => {
    const stranger = await other()
    assert.notEqual(await stranger.current(), await sealer.current())
    const { text, root } = await sealer.seal(secretOf(32), 'record-1')
    assert.equal(await stranger.open(text, 'record-1'), undefined)
    // Also where the text is made to claim that it is the other's.
    assert.equal(await stranger.open(text.replace(root, await stranger.current()), 'record-1'), undefined)
  })

  says('twenty callers at once get twenty texts, and each opens', async ({ sealer, again }) => {
    const node = await again()
    const secret = secretOf(32)
    const all = Array.from({ length: 20 }, (_, at) => (at % 2 ? sealer : node).seal(secret, `record-${at}`))
    const texts = await Promise.all(all)
    assert.equal(new Set(texts.map(({ text }) => text)).size, texts.length)
    const opened = await Promise.all(texts.map(({ text }, at) => node.open(text, `record-${at}`)))
    for (const one of opened) assert.equal(hexOf(one), hexOf(secret))
  })

  says('nothing that it gives away shows what it holds', async ({ sealer }) => {
    const secret = Buffer.from('a canary that must not be seen in any form of the sealed text')
    const { text } = await sealer.seal(new Secret<Uint8Array>(secret), 'record-1')
    const every = text.split(/[.:]/).map(part => Buffer.from(part, 'base64').toString('latin1'))
    for (const form of ['utf8', 'hex', 'base64', 'base64url'] as const) {
      for (const seen of [text, ...every]) assert.ok(!seen.includes(secret.toString(form).slice(0, 12)), form)
    }
    assert.ok(sealer.place.length > 0)
  })

  says('closing twice is closing once', async ({ sealer }) => {
    await sealer.close()
    await sealer.close()
  })
}

/** Stages a successor, after whatever a person has to do for it. */
async function staged({ root, sealer }: Given, rotation: string): Promise<string> {
  await root.bring?.()
  return sealer.stage(rotation)
}

function rotating(says: Says): void {
  says('a staged version waits: it is another one, and does not seal', async given => {
    const { sealer, again } = given
    const before = await sealer.current()
    const next = await staged(given, 'rot_1')
    assert.notEqual(next, before)
    for (const node of [sealer, await again()]) {
      assert.equal(await node.current(), before)
      assert.equal((await node.seal(secretOf(8), 'a')).root, before)
      assert.equal(await node.stage('rot_1'), next, 'the same rotation has the same successor')
    }
    const raced = await Promise.all(Array.from({ length: 5 }, () => sealer.stage('rot_1')))
    assert.deepEqual(new Set(raced), new Set([next]))
  })

  says('a version that waits is found by the next rotation, and not left behind', async given => {
    const next = await staged(given, 'rot_1')
    assert.equal(await given.sealer.stage('rot_2'), next)
  })

  says(
    'from its activation on the new version seals, everywhere, and the former still opens',
    async given => {
      const { sealer, again } = given
      const node = await again()
      const old = await sealer.seal(secretOf(32), 'a')
      const next = await staged(given, 'rot_1')
      for (const once of [1, 2, 3]) {
        await sealer.activate(next)
        assert.equal(await sealer.current(), next, `activated ${once} times`)
      }
      for (const each of [sealer, node, await again()]) {
        await each.activate(next)
        assert.equal((await each.seal(secretOf(8), 'a')).root, next)
        assert.ok(await each.open(old.text, 'a'))
        assert.equal(await each.open(old.text, 'b'), undefined)
      }
    },
  )

  says('a text cannot be passed off as one of another version', async given => {
    const { sealer } = given
    const old = await sealer.seal(secretOf(32), 'a')
    const next = await staged(given, 'rot_1')
    await sealer.activate(next)
    const fresh = await sealer.seal(secretOf(32), 'a')
    assert.equal(await sealer.open(old.text.replace(old.root, next), 'a'), undefined)
    assert.equal(await sealer.open(fresh.text.replace(next, old.root), 'a'), undefined)
  })

  says('a retired version opens nothing any more, and what the new one sealed still opens', async given => {
    const { sealer, again } = given
    const old = await sealer.seal(secretOf(32), 'a')
    const next = await staged(given, 'rot_1')
    await sealer.activate(next)
    const fresh = await sealer.seal(secretOf(32), 'a')
    await sealer.retire(old.root)
    await sealer.retire(old.root)
    for (const node of [sealer, await again()]) {
      assert.equal(await node.open(old.text, 'a'), undefined)
      assert.ok(await node.open(fresh.text, 'a'))
      assert.equal(await node.current(), next)
    }
    await assert.rejects(sealer.activate(old.root), conflict)
  })

  says('the version that seals is not retired, and no unknown one activated', async given => {
    const { sealer } = given
    const { text, root } = await sealer.seal(secretOf(32), 'a')
    await assert.rejects(sealer.retire(root), conflict)
    await assert.rejects(sealer.activate('no-such-version'), conflict)
    await sealer.retire('no-such-version')
    assert.equal(await sealer.current(), root)
    assert.ok(await sealer.open(text, 'a'))
  })

  says('three rotations one after another end with one version and no text lost', async given => {
    const { sealer } = given
    const secret = secretOf(32)
    let held: Sealed = await sealer.seal(secret, 'a')
    for (const rotation of ['rot_1', 'rot_2', 'rot_3']) {
      const next = await staged(given, rotation)
      await sealer.activate(next)
      const opened = await sealer.open(held.text, 'a')
      assert.equal(hexOf(opened), hexOf(secret))
      const moved = await sealer.seal(opened ?? secretOf(0), 'a')
      assert.equal(moved.root, next)
      await sealer.retire(held.root)
      assert.equal(await sealer.open(held.text, 'a'), undefined)
      held = moved
    }
    assert.equal(hexOf(await sealer.open(held.text, 'a')), hexOf(secret))
  })
}
