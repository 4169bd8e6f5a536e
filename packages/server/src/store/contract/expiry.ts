// The edges of time: at the instant, one second before it, one second after it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentOf, type Given, grantOf, keyOf, sceneIn, start, unique } from './scene.ts'

/** Registers the tests of expiry. */
export function expiryContract(given: () => Given): void {
  const end = start + 100

  test('a replay mark is remembered up to and including its last second', async () => {
    const scene = await sceneIn(given().store)
    const claim = { key: unique(), until: end }
    await scene.done({ claims: [claim] })
    assert.equal((await scene.commit({ claims: [claim] }, 99)).kind, 'replayed')
    assert.equal((await scene.commit({ claims: [claim] }, 100)).kind, 'replayed')
    assert.equal((await scene.commit({ claims: [claim] }, 101)).kind, 'done')
  })

  test('a mark that is not fresh is not prolonged by showing it again', async () => {
    const scene = await sceneIn(given().store)
    const key = unique()
    await scene.done({ claims: [{ key, until: end }] })
    assert.equal((await scene.commit({ claims: [{ key, until: end + 50 }] }, 50)).kind, 'replayed')
    assert.equal((await scene.commit({ claims: [{ key, until: end + 50 }] }, 101)).kind, 'done')
  })

  test('an artefact is good strictly before its end', async () => {
    const scene = await sceneIn(given().store)
    const makeOne = async () => {
      const take = { kind: 'enrollment', key: unique() } as const
      await scene.done({ creates: [{ ...take, value: 'v', expiresAt: end }] })
      return take
    }
    const [early, late, later] = [await makeOne(), await makeOne(), await makeOne()]
    const peek = (key: string, now: number) => scene.store.oneTimes.peek(scene, 'enrollment', key, now)
    assert.deepEqual(await peek(early.key, end - 1), { value: 'v' })
    assert.equal(await peek(early.key, end), 'absent')
    assert.equal(await peek(early.key, end + 1), 'absent')
    assert.equal((await scene.commit({ takes: [late] }, 100)).kind, 'absent')
    assert.equal((await scene.commit({ takes: [later] }, 101)).kind, 'absent')
    assert.equal((await scene.commit({ takes: [early] }, 99)).kind, 'done')
    assert.equal(await peek(early.key, end - 1), 'spent')
    assert.equal((await scene.commit({ takes: [early] }, 99)).kind, 'spent')
  })

  test('an answer is kept up to and including its last second, and its key is taken as long', async () => {
    const scene = await sceneIn(given().store)
    const key = unique()
    const kept = { key, request: 'first', status: 201, body: '{"n":1}', until: end }
    const again = { ...kept, request: 'second', until: end + 100 }
    await scene.done({ remembers: [kept] })
    for (const now of [start, end - 1, end]) {
      assert.deepEqual(await scene.store.remembering.recall(scene, key, now), kept)
    }
    assert.equal(await scene.store.remembering.recall(scene, key, end + 1), undefined)
    assert.deepEqual(await scene.commit({ remembers: [again] }, 100), {
      kind: 'conflict',
      record: 'answer',
      id: key,
    })
    assert.equal((await scene.commit({ remembers: [again] }, 101)).kind, 'done')
    assert.deepEqual(await scene.store.remembering.recall(scene, key, end + 1), again)
  })

  test('a live grant is one that is not revoked and ends strictly later', async () => {
    const scene = await sceneIn(given().store)
    const agent = agentOf()
    const grants = [
      grantOf({ agent: agent.id, reason: 'endless' }),
      grantOf({ agent: agent.id, reason: 'ending', expiresAt: end }),
      grantOf({ agent: agent.id, reason: 'revoked', revokedAt: start }),
    ]
    await scene.done({ puts: grants.map(value => ({ put: 'grant', value, ifVersion: 0 }) as const) })
    const live = async (liveAt?: number) => {
      const filter = liveAt === undefined ? {} : { liveAt }
      const { items } = await scene.store.grants.list(scene, { limit: 10 }, { agent: agent.id, ...filter })
      return items.map(({ reason }) => reason)
    }
    assert.deepEqual(await live(), ['endless', 'ending', 'revoked'])
    assert.deepEqual(await live(end - 1), ['endless', 'ending'])
    assert.deepEqual(await live(end), ['endless'])
    assert.deepEqual(await live(end + 1), ['endless'])
  })

  test('a retiring key has expired at its end and after it, the first to end first', async () => {
    const scene = await sceneIn(given().store)
    const keys = [
      keyOf({ state: 'retiring', expiresAt: end }),
      keyOf({ state: 'retiring', expiresAt: end - 10 }),
      keyOf({ state: 'retiring', expiresAt: end + 10 }),
      keyOf({ state: 'retiring', expiresAt: null }),
      keyOf({ state: 'active', expiresAt: end - 20 }),
      keyOf({ state: 'revoked', expiresAt: end - 20 }),
    ]
    await scene.done({ puts: keys.map(value => ({ put: 'key', value, ifVersion: 0 }) as const) })
    const expired = async (now: number, limit = 10) =>
      (await scene.store.keys.expired(scene, now, limit)).map(({ thumbprint }) =>
        keys.findIndex(key => key.thumbprint === thumbprint),
      )
    assert.deepEqual(await expired(end - 11), [])
    assert.deepEqual(await expired(end - 1), [1])
    assert.deepEqual(await expired(end), [1, 0])
    assert.deepEqual(await expired(end + 10), [1, 0, 2])
    assert.deepEqual(await expired(end + 10, 2), [1, 0])
  })

  test('the sweep takes what is past its time and nothing else', async () => {
    const scene = await sceneIn(given().store)
    const [past, due, kept] = [unique(), unique(), unique()]
    const claim = (key: string, until: number) => ({ key, until })
    const once = (key: string, expiresAt: number) =>
      ({ kind: 'enrollment', key, value: 'v', expiresAt }) as const
    const answer = (key: string, until: number) => ({ key, request: 'r', status: 200, body: '', until })
    await scene.done({
      claims: [claim(past, end - 1), claim(due, end), claim(kept, end + 1)],
      creates: [once(past, end - 1), once(due, end), once(kept, end + 1)],
      remembers: [answer(past, end - 1), answer(due, end), answer(kept, end + 1)],
    })
    const before = await scene.done({ signals: [{ subject: past, kind: 'narrowed' }] }, 0)
    const after = await scene.done({ signals: [{ subject: kept, kind: 'narrowed' }] }, 1)
    const swept = await scene.store.sweeping.sweep(end, { signalsBeforeMs: (start + 1) * 1000 })
    // One mark, two artefacts, one answer and one signal, besides what other tests left.
    assert.ok(swept >= 5)

    assert.equal((await scene.commit({ claims: [claim(due, end)] }, 100)).kind, 'replayed')
    assert.equal((await scene.commit({ claims: [claim(kept, end)] }, 100)).kind, 'replayed')
    const peek = (key: string) => scene.store.oneTimes.peek(scene, 'enrollment', key, start)
    assert.deepEqual(
      [await peek(past), await peek(due), await peek(kept)],
      ['absent', 'absent', { value: 'v' }],
    )
    assert.equal((await scene.store.remembering.recall(scene, due, end))?.key, due)
    assert.equal(await scene.store.remembering.recall(scene, past, start), undefined)
    const left = await scene.store.signals.after(scene, 0, 10)
    assert.deepEqual(
      left.map(({ epoch }) => epoch),
      [after.epoch],
    )
    assert.equal(await scene.store.signals.head(scene), after.epoch)
    // Nobody can tell any more what ended before: doubt denies.
    assert.equal(
      (await scene.commit({ bases: [{ epoch: before.epoch - 1, subjects: [unique()] }] })).kind,
      'stale',
    )
    assert.equal((await scene.commit({ bases: [{ epoch: before.epoch, subjects: [past] }] })).kind, 'done')
    assert.equal(await scene.store.signals.isNarrowed(scene, [unique()], before.epoch - 1), true)
    assert.equal(await scene.store.signals.isNarrowed(scene, [unique()], before.epoch), false)
  })

  test('more signals than go at once all go, and the first that is young stops the sweep', async () => {
    const scene = await sceneIn(given().store)
    const signals = Array.from({ length: 900 }, () => ({ subject: unique(), kind: 'changed' }) as const)
    for (const after of [0, 0, 0, 0, 0]) await scene.done({ signals }, after)
    const young = await scene.done({ signals: [{ subject: unique(), kind: 'changed' }] }, 2)
    // A clock that was set back leaves an old instant behind a younger one: only what is before both goes.
    const behind = await scene.done({ signals: [{ subject: unique(), kind: 'changed' }] }, 0)
    // Whoever comes while it sweeps is served before it is done.
    const ended: string[] = []
    await Promise.all([
      scene.store.sweeping
        .sweep(start, { signalsBeforeMs: (start + 1) * 1000 })
        .then(() => ended.push('sweep')),
      scene.done().then(() => ended.push('commit')),
    ])
    assert.deepEqual(ended, ['commit', 'sweep'])
    const left = async () => (await scene.store.signals.after(scene, 0, 10)).map(({ epoch }) => epoch)
    assert.deepEqual(await left(), [young.epoch, behind.epoch])
    await scene.store.sweeping.sweep(start, { signalsBeforeMs: (start + 3) * 1000 })
    assert.deepEqual(await left(), [])
  })
}
