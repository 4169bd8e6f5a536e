// The contract of every keystore: the same key for the same purpose, whole or not at all, one at a time, never in clear.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { isFault } from '../../protocol/fault.ts'
import type { Acceptance, Keystore } from './keystore.ts'

export interface KeystoreUnderTest {
  /** A new, empty store. */
  open(): Promise<Keystore> | Keystore
  /**
   * Another handle on what this store holds, as another process would have it; or, for a store that ends with its
   * process, the reason why there is none.
   */
  readonly again: ((store: Keystore) => Promise<Keystore> | Keystore) | { readonly noneBecause: string }
}

const acceptance: Acceptance = {
  issuer: 'https://issuer.example',
  clientId: 'agt_1',
  instance: 'ins_1',
  enrollment: 'digest',
  kid: 'k1',
  notBefore: 1000,
  expiresAt: 2000,
}

/** Registers the tests. `name` stands before each of their names. */
export function keystoreContract(name: string, { open, again }: KeystoreUnderTest): void {
  const other = typeof again === 'function' ? again : (store: Keystore) => store
  const says = (title: string, body: () => Promise<void>): void => void test(`${name}: ${title}`, body)

  says('holds nothing at first', async () => {
    const store = await open()
    assert.deepEqual(await store.read(), { member: undefined, active: undefined, staged: undefined })
  })

  says('gives twenty racing callers of one purpose the same key, and later callers too', async () => {
    const store = await open()
    const second = await other(store)
    const keys = await Promise.all(
      Array.from({ length: 20 }, (_, at) => (at % 2 ? store : second).stage('first')),
    )
    assert.equal(new Set(keys.map(key => key.jkt)).size, 1)
    const held = await (await other(store)).read()
    assert.equal(held.staged?.key.jkt, keys[0]?.jkt)
    assert.equal(held.staged?.purpose, 'first')
  })

  says('makes another key for another purpose', async () => {
    const store = await open()
    const first = await store.stage('first')
    const second = await store.stage('second')
    assert.notEqual(first.jkt, second.jkt)
    assert.equal((await store.read()).staged?.key.jkt, second.jkt)
  })

  says('takes a staged key into use once, with what the issuer said, for every handle', async () => {
    const store = await open()
    const key = await store.stage('first')
    await store.activate(key.jkt, acceptance)
    await (await other(store)).activate(key.jkt, { ...acceptance, kid: 'later', expiresAt: null })
    const { member, active, staged } = await (await other(store)).read()
    assert.deepEqual(member, {
      issuer: 'https://issuer.example',
      clientId: 'agt_1',
      instance: 'ins_1',
      enrollment: 'digest',
    })
    assert.equal(active?.key.jkt, key.jkt)
    assert.deepEqual([active?.kid, active?.notBefore, active?.expiresAt], ['k1', 1000, 2000])
    assert.equal(staged, undefined)
  })

  says('keeps the key in use while its successor waits', async () => {
    const store = await open()
    const key = await store.stage('first')
    await store.activate(key.jkt, { ...acceptance, expiresAt: null })
    const next = await store.stage('second')
    const held = await (await other(store)).read()
    assert.equal(held.active?.key.jkt, key.jkt)
    assert.equal(held.active?.expiresAt, null)
    assert.equal(held.staged?.key.jkt, next.jkt)
    await store.activate(next.jkt, { ...acceptance, kid: 'k2' })
    assert.equal((await store.read()).active?.key.jkt, next.jkt)
  })

  says('refuses to take an unknown key into use, and changes nothing', async () => {
    const store = await open()
    const key = await store.stage('first')
    await assert.rejects(
      store.activate('another', acceptance),
      error => isFault(error) && error.code === 'conflict',
    )
    const { active, staged } = await store.read()
    assert.equal(active, undefined)
    assert.equal(staged?.key.jkt, key.jkt)
  })

  says('lets twenty racing callers work one at a time, and goes on after one that throws', async () => {
    const store = await open()
    const second = await other(store)
    let inside = 0
    const turn = (at: number): Promise<void> =>
      (at % 2 ? store : second).alone(async () => {
        inside += 1
        assert.equal(inside, 1)
        await new Promise(resolve => setImmediate(resolve))
        inside -= 1
        if (at === 7) throw new Error('given up')
      })
    const ends = await Promise.allSettled(Array.from({ length: 20 }, (_, at) => turn(at)))
    assert.equal(ends.filter(end => end.status === 'rejected').length, 1)
  })

  says('shows no private key to whoever prints or serialises what it holds', async () => {
    const store = await open()
    const key = await store.stage('first')
    await store.activate(key.jkt, acceptance)
    await store.stage('second')
    const held = await store.read()
    const d = held.active?.key.key.export({ format: 'jwk' }).d
    assert.equal(typeof d, 'string')
    for (const shown of [
      JSON.stringify(held),
      inspect(held, { depth: 9, showHidden: true }),
      inspect(store, { depth: 9 }),
    ]) {
      assert.equal(shown.includes(d as string), false)
    }
  })
}
