// The contract of uses: what a drain is judged by, so nothing that was seen is ever taken back.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fresh, type Given, type Scene, sceneIn, start, unique } from './scene.ts'

const used =
  (scene: Scene, version: string, caller: string) =>
  (after: number, from: string | null, until: number | null = null) =>
    scene.done({ uses: [{ version, caller, from, until }] }, after)

/** Registers the tests of uses. */
export function usesContract(given: () => Given): void {
  test('a use is kept by version and caller, with its first, its newest, and where from', async () => {
    const scene = await sceneIn(given().store)
    const [version, caller] = [fresh('ver'), fresh('agt')]
    const use = used(scene, version, caller)
    assert.deepEqual(await scene.store.uses.of(scene, version, 10), [])
    await use(0, 'gate')
    await use(9, 'yard')
    await used(scene, fresh('ver'), caller)(5, 'elsewhere')
    assert.deepEqual(await scene.store.uses.of(scene, version, 10), [
      { caller, from: 'yard', firstUsedAt: start, lastUsedAt: start + 9, until: null },
    ])
  })

  test('an end is never taken back: by a shorter lease, by a use without one, by one that comes late', async () => {
    const scene = await sceneIn(given().store)
    const [version, caller] = [fresh('ver'), fresh('agt')]
    const use = used(scene, version, caller)
    const until = async () => (await scene.store.uses.of(scene, version, 1))[0]?.until
    await use(1, null, start + 100)
    await use(2, null, start + 50)
    assert.equal(await until(), start + 100)
    await use(3, null)
    assert.equal(await until(), start + 100)
    await use(0, null, start + 300)
    assert.equal(await until(), start + 300)
  })

  test('a use that is written late prolongs what is known, and hides nothing newer', async () => {
    const scene = await sceneIn(given().store)
    const [version, caller] = [fresh('ver'), fresh('agt')]
    const use = used(scene, version, caller)
    await use(50, 'new', start + 60)
    await use(10, 'old', start + 90)
    assert.deepEqual(await scene.store.uses.of(scene, version, 1), [
      { caller, from: 'new', firstUsedAt: start + 10, lastUsedAt: start + 50, until: start + 90 },
    ])
  })

  test('uses of one version by one caller that share a group become one, in whatever order they came', async () => {
    const scene = await sceneIn(given().store)
    const [version, caller, other] = [fresh('ver'), fresh('agt'), fresh('agt')]
    const use = used(scene, version, caller)
    await Promise.all([
      use(5, 'first', start + 70),
      use(8, 'newest', start + 20),
      use(2, 'oldest', start + 30),
      used(scene, version, other)(3, 'other'),
    ])
    assert.deepEqual(await scene.store.uses.of(scene, version, 10), [
      { caller, from: 'newest', firstUsedAt: start + 2, lastUsedAt: start + 8, until: start + 70 },
      { caller: other, from: 'other', firstUsedAt: start + 3, lastUsedAt: start + 3, until: null },
    ])
  })

  test('several uses of one change are all kept, and none of a change that fails', async () => {
    const scene = await sceneIn(given().store)
    const version = fresh('ver')
    const uses = Array.from({ length: 3 }, () => ({ version, caller: fresh('agt'), from: null, until: null }))
    const failed = await scene.commit({ uses, takes: [{ kind: 'enrollment', key: unique() }] })
    assert.equal(failed.kind, 'absent')
    assert.deepEqual(await scene.store.uses.of(scene, version, 10), [])
    await scene.done({ uses })
    assert.deepEqual(
      (await scene.store.uses.of(scene, version, 10)).map(({ caller }) => caller).sort(),
      uses.map(({ caller }) => caller).sort(),
    )
  })

  test('every lease counts, however close they follow; a use without one is kept by the second', async () => {
    const scene = await sceneIn(given().store)
    const [version, caller] = [fresh('ver'), fresh('agt')]
    const use = used(scene, version, caller)
    for (let at = 1; at <= 5; at++) await use(0, `${at}`, start + at)
    assert.equal((await scene.store.uses.of(scene, version, 1))[0]?.until, start + 5)
    const plain = used(scene, version, fresh('agt'))
    for (const after of [1, 1, 2]) await plain(after, null)
    assert.equal((await scene.store.uses.of(scene, version, 2))[0]?.lastUsedAt, start + 2)
  })

  test('the newest uses come first, and no more than were asked for', async () => {
    const scene = await sceneIn(given().store)
    const version = fresh('ver')
    const callers = Array.from({ length: 5 }, () => fresh('agt'))
    for (const [at, caller] of [3, 1, 5, 2, 4].entries()) {
      await used(scene, version, callers[at] as string)(caller, null)
    }
    const found = (await scene.store.uses.of(scene, version, 3)).map(({ lastUsedAt }) => lastUsedAt - start)
    assert.deepEqual(found, [5, 4, 3])
  })
}
