// The contract of every replay store: single use under races, exact expiry, no answer on doubt.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ReplayStore } from './replay.ts'

/** Runs the contract against stores opened afresh by `open`; each is closed by the contract. */
export function replayContract(name: string, open: () => ReplayStore | Promise<ReplayStore>): void {
  const withStore = (title: string, body: (store: ReplayStore) => Promise<void>): void => {
    test(`${name}: ${title}`, async () => {
      const store = await open()
      try {
        await body(store)
      } finally {
        store.close()
      }
    })
  }

  withStore('lets exactly one of twenty racing callers claim a mark', async store => {
    for (const mark of ['a', 'b', 'c']) {
      const claims = await Promise.all(Array.from({ length: 20 }, async () => store.claim(mark, 1066, 1000)))
      assert.equal(claims.filter(Boolean).length, 1)
    }
  })

  withStore('keeps a mark up to and including the second until which it was claimed', async store => {
    assert.equal(await store.claim('a', 1066, 1000), true)
    assert.equal(await store.claim('a', 1066, 1066), false)
    assert.equal(await store.claim('a', 1133, 1067), true)
    assert.equal(await store.claim('a', 1133, 1067), false)
  })

  withStore('does not prolong a mark by refusing it', async store => {
    assert.equal(await store.claim('a', 1066, 1000), true)
    assert.equal(await store.claim('a', 9000, 1001), false)
    assert.equal(await store.claim('a', 1133, 1067), true)
  })

  withStore(
    'tells marks apart that differ in case, in length, in a trailing space or in normal form',
    async store => {
      for (const mark of ['abc', 'ABC', 'abc ', 'abcd', 'ab', '\u00e4bc', 'a\u0308bc']) {
        assert.equal(await store.claim(mark, 1066, 1000), true, JSON.stringify(mark))
      }
    },
  )

  withStore('keeps a mark that expires later through the expiry of thousands of others', async store => {
    assert.equal(await store.claim('late', 5000, 1000), true)
    for (let at = 0; at < 3000; at += 1)
      assert.equal(await store.claim(`m${at}`, 1010 + (at % 7), 1000 + (at >> 5)), true)
    assert.equal(await store.claim('late', 6000, 4000), false)
  })

  test(`${name}: says in words what it guarantees`, async () => {
    const store = await open()
    assert.match(store.guarantee, /^A proof is accepted once .*\.$/)
    store.close()
  })
}
