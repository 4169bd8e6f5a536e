// The contract of what is counted beside commits: use, by grant, and the points that enforce what is told over the stream.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pointOf, usageOf } from './authorization-isolation.ts'
import { fresh, type Given, grantOf, type Scene, sceneIn, start, throughNodes, unique } from './scene.ts'

async function grantIn(scene: Scene): Promise<string> {
  const value = grantOf({ createdAt: start })
  await scene.done({ puts: [{ put: 'grant', value, ifVersion: 0 }] })
  return value.id
}

/** Registers the tests of counts. */
export function countsContract(given: () => Given): void {
  test('use adds up by grant, scope, tool and caller, with the earliest first and the latest last of all', () =>
    throughNodes(given(), async scenes => {
      const [scene] = scenes as [Scene]
      const [grant, another] = [await grantIn(scene), await grantIn(scene)]
      const row = usageOf(grant, { count: 2, firstAt: start + 5, lastAt: start + 9 })
      await Promise.all(
        Array.from({ length: 20 }, (_, at) => {
          const { store, tenant } = scenes[at % scenes.length] as Scene
          return store.usage.add({ tenant }, [
            { ...row, firstAt: row.firstAt - at, lastAt: row.lastAt + at },
            { ...row, tool: 'search', lastAt: start + 1 },
          ])
        }),
      )
      assert.deepEqual(await scene.store.usage.of(scene, grant, 10), [
        { ...row, firstAt: start - 14, lastAt: start + 28, count: 40 },
        { ...row, tool: 'search', lastAt: start + 1, count: 40 },
      ])
      assert.equal((await scene.store.usage.of(scene, grant, 1)).length, 1)
      const others = { scope: 'write', caller: 'agt_2', grant: another }
      for (const [member, value] of Object.entries(others)) {
        await scene.store.usage.add(scene, [{ ...row, [member]: value }])
      }
      assert.equal((await scene.store.usage.of(scene, grant, 10)).length, 4)
    }))

  test('many counts are added at once, and one that cannot be stored spoils none of them', async () => {
    const scene = await sceneIn(given().store)
    const grant = await grantIn(scene)
    const rows = Array.from({ length: 1200 }, (_, at) =>
      usageOf(grant, { tool: `${at}`, lastAt: start + at }),
    )
    await scene.store.usage.add(scene, [...rows, usageOf(grant, { tool: 'a\0b' })])
    const found = await scene.store.usage.of(scene, grant, 2000)
    assert.deepEqual(
      found.map(({ tool }) => Number(tool)),
      rows.map((_, at) => 1199 - at),
    )
    await scene.store.usage.add(scene, [])
  })

  // Nothing would ever sweep it, and whoever reports use may name what it likes.
  test('use of a grant that there is not, or that is of another tenant, is kept nowhere', async () => {
    const [scene, other] = [await sceneIn(given().store), await sceneIn(given().store)]
    const [grant, foreign, none] = [await grantIn(scene), await grantIn(other), fresh('grt')]
    await scene.store.usage.add(
      scene,
      [none, foreign, grant].map(id => usageOf(id)),
    )
    const kept = await Promise.all([none, foreign, grant].map(id => scene.store.usage.of(scene, id, 10)))
    assert.deepEqual(
      kept.map(rows => rows.length),
      [0, 0, 1],
    )
    assert.deepEqual(await scene.store.usage.of(other, foreign, 10), [])
  })

  test('unused are live grants without a use since the instant that were there before it, with their last use', async () => {
    const scene = await sceneIn(given().store)
    const at = (days: number): number => start + days * 86_400
    const grants = {
      never: grantOf({ createdAt: at(0) }),
      long: grantOf({ createdAt: at(0) }),
      lately: grantOf({ createdAt: at(0) }),
      young: grantOf({ createdAt: at(20) }),
      revoked: grantOf({ createdAt: at(0), revokedAt: at(1) }),
      expired: grantOf({ createdAt: at(0), expiresAt: at(40) }),
      ending: grantOf({ createdAt: at(0), expiresAt: at(41) }),
    }
    for (const value of Object.values(grants)) {
      await scene.done({ puts: [{ put: 'grant', value, ifVersion: 0 }] })
    }
    await scene.store.usage.add(scene, [
      usageOf(grants.long.id, { lastAt: at(10) }),
      usageOf(grants.long.id, { lastAt: at(9), tool: 'other' }),
      usageOf(grants.lately.id, { lastAt: at(10) }),
      usageOf(grants.lately.id, { lastAt: at(30), tool: 'other' }),
    ])
    const unused = (limit: number, after?: string) => {
      const page = after === undefined ? { limit } : { limit, after }
      return scene.store.usage.unused(scene, page, { at: at(10), now: at(40) })
    }
    const { items, next } = await unused(10)
    assert.deepEqual(
      items.map(({ id, lastUsedAt }) => [id, lastUsedAt]),
      [
        [grants.never.id, null],
        [grants.long.id, at(10)],
        [grants.ending.id, null],
      ],
    )
    assert.equal(next, null)
    const first = await unused(2)
    assert.equal(first.next, grants.long.id)
    assert.deepEqual(
      (await unused(2, first.next ?? '')).items.map(({ id }) => id),
      [grants.ending.id],
    )
  })

  test('the sweep forgets the use of grants that ended more than 400 days ago, however many, and no other', async () => {
    const scene = await sceneIn(given().store)
    const day = 86_400
    const end = start + 500 * day
    const kept = {
      standing: grantOf({ createdAt: start }),
      later: grantOf({ createdAt: start, expiresAt: end + 1 }),
      revokedLater: grantOf({ createdAt: start, expiresAt: start + day, revokedAt: end + 1 }),
    }
    const ended = Array.from({ length: 230 }, (_, at) =>
      grantOf({ createdAt: start, ...(at % 2 === 0 ? { expiresAt: end } : { revokedAt: end }) }),
    )
    const all = [...Object.values(kept), ...ended]
    await scene.done({ puts: all.map(value => ({ put: 'grant', value, ifVersion: 0 })) })
    const rows = (grants: typeof all) =>
      grants.flatMap(({ id }) => [usageOf(id), usageOf(id, { tool: 'search' })])
    await scene.store.usage.add(scene, rows(all))
    const left = async (grants: typeof all): Promise<number> => {
      const found = await Promise.all(grants.map(({ id }) => scene.store.usage.of(scene, id, 10)))
      return found.flat().length
    }
    const sweepAt = (now: number) => scene.store.sweeping.sweep(now, { signalsBeforeMs: 0 })
    // Each sweep looks at some grants of the whole store: others may have left theirs before these.
    for (let turn = 0; turn < 20; turn++) await sweepAt(end + 400 * day - 1)
    assert.equal(await left(ended), 460)
    for (let turn = 0; turn < 20 && (await left(ended)) > 0; turn++) await sweepAt(end + 400 * day)
    assert.equal(await left(ended), 0)
    assert.equal(await left(Object.values(kept)), 6)
  })

  pointTests(given)
}

function pointTests(given: () => Given): void {
  test('the word of an enforcement point is seen by every node, and an older epoch takes nothing back', () =>
    throughNodes(given(), async scenes => {
      const [scene] = scenes as [Scene]
      const far = scenes.at(-1) as Scene
      const [one, two] = [pointOf({ id: `1${unique()}` }), pointOf({ id: `2${unique()}`, seenMs: 5 })]
      await scene.store.enforcementPoints.report(scene, one)
      await scene.store.enforcementPoints.report(scene, two)
      const list = (sinceMs: number) => far.store.enforcementPoints.list(far, sinceMs)
      assert.deepEqual(await list(0), [one, two])
      assert.deepEqual(await list(6), [one])
      assert.deepEqual(await list(5), [one, two])
      await Promise.all([
        scene.store.enforcementPoints.report(scene, { ...one, epoch: 7, seenMs: one.seenMs + 9 }),
        far.store.enforcementPoints.report(far, { ...one, epoch: 3, seenMs: one.seenMs + 4 }),
      ])
      assert.deepEqual(await list(6), [{ ...one, epoch: 7, seenMs: one.seenMs + 9 }])
      await far.store.enforcementPoints.forget(far, one.id)
      await far.store.enforcementPoints.forget(far, 'nobody')
      assert.deepEqual(await scene.store.enforcementPoints.list(scene, 0), [two])
    }))

  test('the sweep forgets points that have been silent for an hour, and no others', async () => {
    const scene = await sceneIn(given().store)
    const [silent, heard] = [pointOf(), pointOf({ seenMs: start * 1000 + 1 })]
    for (const point of [silent, heard]) await scene.store.enforcementPoints.report(scene, point)
    const list = () => scene.store.enforcementPoints.list(scene, 0)
    await scene.store.sweeping.sweep(start + 3600, { signalsBeforeMs: start * 1000 })
    assert.equal((await list()).length, 2)
    await scene.store.enforcementPoints.report(scene, { ...heard, seenMs: (start + 5) * 1000 })
    await scene.store.sweeping.sweep(start + 3601, { signalsBeforeMs: start * 1000 })
    assert.deepEqual(
      (await list()).map(({ id }) => id),
      [heard.id],
    )
  })

  test('a tenant changes and forgets no point of another', async () => {
    const { store } = given()
    const [own, other] = [await sceneIn(store), await sceneIn(store)]
    const point = pointOf()
    await store.enforcementPoints.report(own, point)
    await store.enforcementPoints.report(other, { ...point, label: 'other', epoch: 9 })
    await store.enforcementPoints.forget(other, point.id)
    assert.deepEqual(await store.enforcementPoints.list(own, 0), [point])
  })

  test('a tenant adds to no counts of another', async () => {
    const { store } = given()
    const [own, other] = [await sceneIn(store), await sceneIn(store)]
    const row = usageOf(await grantIn(own))
    await store.usage.add(own, [row])
    await store.usage.add(other, [{ ...row, count: 9 }])
    assert.deepEqual(await store.usage.of(own, row.grant, 5), [row])
  })
}
