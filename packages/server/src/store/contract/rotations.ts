// The contract of rotations and their schedules: what is open, what is due, and one successor for each version.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Put } from '../../domain/change.ts'
import { hasEnded, type Rotation, type RotationState } from '../../domain/rotation.ts'
import { fresh, type Given, rotationOf, type Scene, sceneIn, scheduleOf, start, unique } from './scene.ts'

const rotation = (value: Rotation, ifVersion = 0): Put => ({ put: 'rotation', value, ifVersion })
const inState = (state: RotationState, more: Partial<Rotation> = {}): Rotation =>
  rotationOf({ state, dueAt: hasEnded({ state }) ? null : start, ...more })
const ids = (found: readonly { readonly id: string }[]): readonly string[] => found.map(({ id }) => id)

/** Registers the tests of rotations and schedules. */
export function rotationContract(given: () => Given): void {
  test('a version has one successor: a second open rotation of it is a conflict until the first has ended', async () => {
    const scene = await sceneIn(given().store)
    const first = rotationOf()
    const second = rotationOf({ target: first.target, from: first.from })
    await scene.done({ puts: [rotation(first)] })
    for (const state of ['staged', 'active', 'retiring', 'blocked'] as const) {
      const version = (await scene.store.rotations.get(scene, first.id))?.version ?? 0
      await scene.done({ puts: [rotation({ ...first, state }, version)] })
      assert.equal((await scene.commit({ puts: [rotation(second)] })).kind, 'conflict', state)
    }
    // Of another version of the target, another target, and another kind of it.
    const elsewhere: readonly Partial<Rotation>[] = [
      { target: first.target },
      { from: first.from },
      { kind: 'client_secret', target: first.target, from: first.from },
    ]
    for (const about of elsewhere) await scene.done({ puts: [rotation(rotationOf(about))] })
    const version = (await scene.store.rotations.get(scene, first.id))?.version ?? 0
    await scene.done({ puts: [rotation({ ...first, state: 'retired', dueAt: null }, version)] })
    await scene.done({ puts: [rotation(second)] })
  })

  test('a rotation that has ended can be succeeded by many, and none of them comes back to life', async () => {
    const scene = await sceneIn(given().store)
    const { target, from } = rotationOf()
    const ended = inState('failed', { target, from })
    await scene.done({ puts: [rotation(ended), rotation(inState('failed', { target, from }))] })
    await scene.done({ puts: [rotation(rotationOf({ target, from }))] })
    const alive = { ...ended, state: 'staged' as const, dueAt: start }
    assert.equal((await scene.commit({ puts: [rotation(alive, 1)] })).kind, 'conflict')
  })

  test('the open rotations of a target are those that have not ended, oldest first', async () => {
    const scene = await sceneIn(given().store)
    const target = fresh('sec')
    const all = (['staged', 'retired', 'active', 'failed', 'blocked', 'retiring'] as const).map(state =>
      inState(state, { target }),
    )
    for (const one of all) await scene.done({ puts: [rotation(one)] })
    await scene.done({ puts: [rotation(rotationOf()), rotation(rotationOf({ kind: 'issuer_key', target }))] })
    assert.deepEqual(
      ids(await scene.store.rotations.open(scene, 'secret', target)),
      ids(all.filter(one => !hasEnded(one))),
    )
  })

  test('of many ids those are found that there are, each once', async () => {
    const scene = await sceneIn(given().store)
    const all = Array.from({ length: 300 }, () => rotationOf())
    await scene.done({ puts: all.map(one => rotation(one)) })
    const among = async (named: readonly string[]) => ids(await scene.store.rotations.among(scene, named))
    assert.deepEqual(new Set(await among(ids(all))), new Set(ids(all)))
    const [first, second] = ids(all) as [string, string]
    const odd = [first, fresh('rot'), '', 'x\0', first, first.toUpperCase(), second]
    assert.deepEqual((await among(odd)).toSorted(), [first, second].toSorted())
    assert.deepEqual(await among([]), [])
  })

  test('due are those whose time has come, the longest due first, and no more than were asked for', async () => {
    const scene = await sceneIn(given().store)
    const at = (dueAt: number | null, state: RotationState = 'active') => rotationOf({ dueAt, state })
    const [late, last, now, early] = [at(start - 1), at(start - 50), at(start), at(start + 1)]
    const ended = at(null, 'retired')
    for (const one of [late, last, now, early, ended]) await scene.done({ puts: [rotation(one)] })
    const due = async (when: number, limit: number) =>
      ids(await scene.store.rotations.due(scene, when, limit))
    assert.deepEqual(await due(start, 10), ids([last, late, now]))
    assert.deepEqual(await due(start - 1, 10), ids([last, late]))
    assert.deepEqual(await due(start + 1, 10), ids([last, late, now, early]))
    assert.deepEqual(await due(start + 1, 2), ids([last, late]))
    await scene.done({ puts: [rotation({ ...last, dueAt: start + 99 }, 1)] })
    assert.deepEqual(await due(start, 10), ids([late, now]))
  })

  test('rotations are filtered by kind, target, state and batch, all exactly', async () => {
    const scene = await sceneIn(given().store)
    const [target, batch] = [fresh('sec'), unique()]
    const all = [
      rotationOf({ target, batch }),
      rotationOf({ target, state: 'blocked' }),
      rotationOf({ kind: 'issuer_key', target, batch, state: 'blocked' }),
      rotationOf(),
    ]
    for (const one of all) await scene.done({ puts: [rotation(one)] })
    const found = async (filter: Parameters<Scene['store']['rotations']['list']>[2]) =>
      (await scene.store.rotations.list(scene, { limit: 10 }, filter)).items.map(({ id }) =>
        all.findIndex(one => one.id === id),
      )
    assert.deepEqual(await found({}), [0, 1, 2, 3])
    assert.deepEqual(await found({ target }), [0, 1, 2])
    assert.deepEqual(await found({ batch }), [0, 2])
    assert.deepEqual(await found({ state: 'blocked' }), [1, 2])
    assert.deepEqual(await found({ kind: 'secret', target, state: 'blocked' }), [1])
    assert.deepEqual(await found({ batch: batch.toUpperCase() }), [])
  })

  scheduleTests(given)
}

function scheduleTests(given: () => Given): void {
  test('schedules are due from their instant on while they are active, the longest due first', async () => {
    const scene = await sceneIn(given().store)
    const all = [
      scheduleOf({ nextAt: start - 1 }),
      scheduleOf({ nextAt: start - 9 }),
      scheduleOf({ nextAt: start }),
      scheduleOf({ nextAt: start + 1 }),
      scheduleOf({ nextAt: start - 99, status: 'suspended' }),
    ]
    for (const value of all) await scene.done({ puts: [{ put: 'schedule', value, ifVersion: 0 }] })
    const due = async (when: number, limit = 10) =>
      (await scene.store.schedules.due(scene, when, limit)).map(({ id }) =>
        all.findIndex(one => one.id === id),
      )
    assert.deepEqual(await due(start), [1, 0, 2])
    assert.deepEqual(await due(start - 1), [1, 0])
    assert.deepEqual(await due(start + 1), [1, 0, 2, 3])
    assert.deepEqual(await due(start + 1, 1), [1])
  })

  test('a target has one schedule, and another once that was removed', async () => {
    const scene = await sceneIn(given().store)
    const value = scheduleOf()
    const twin = scheduleOf({ target: value.target })
    const other = scheduleOf({ target: value.target, kind: 'client_secret' })
    await scene.done({ puts: [{ put: 'schedule', value, ifVersion: 0 }] })
    await scene.done({ puts: [{ put: 'schedule', value: other, ifVersion: 0 }] })
    const added = () => scene.commit({ puts: [{ put: 'schedule', value: twin, ifVersion: 0 }] })
    assert.equal((await added()).kind, 'conflict')
    await scene.done({ removals: [{ remove: 'schedule', id: value.id, ifVersion: 1 }] })
    assert.equal((await added()).kind, 'done')
    assert.deepEqual(await scene.store.schedules.due(scene, start - 1, 10), [])
    const { items } = await scene.store.schedules.list(scene, { limit: 5 }, { kind: 'secret' })
    assert.deepEqual(ids(items), [twin.id])
  })
}
