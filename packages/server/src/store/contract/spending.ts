// The contract of budgets: spent exactly, in the commit of what it is spent for, on whatever node that is decided.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Settlement, Spend } from '../../domain/authorization/budget.ts'
import type { Change } from '../../domain/change.ts'
import { budgetOf } from './authorization-scene.ts'
import { fresh, type Given, resourceOf, type Scene, sceneIn, start, throughNodes, unique } from './scene.ts'

const spendOf = (more: Partial<Spend> = {}): Spend => ({
  grant: fresh('grt'),
  budget: budgetOf(),
  amount: 1,
  reservation: null,
  ...more,
})

const reserved = (
  spend: Spend,
  seconds = 30,
): Spend & { reservation: { id: Settlement['reservation'] } } => ({
  ...spend,
  reservation: { id: fresh('rsv'), until: start + seconds },
})

const settled = (
  { grant, budget, reservation }: ReturnType<typeof reserved>,
  amount: number,
): Settlement => ({
  grant,
  budget,
  reservation: reservation.id,
  amount,
})

const leftOf = async (scene: Scene, { grant, budget }: Spend, after = 0): Promise<number> =>
  (await scene.store.budgets.left(scene, grant, budget, start + after)).left

/** Registers the tests of budgets. */
export function spendingContract(given: () => Given): void {
  test('of twenty callers exactly so many spend as the budget has, on whatever node, and the others hear why not', () =>
    throughNodes(given(), async scenes => {
      const [scene] = scenes as [Scene]
      const wish = spendOf({ budget: budgetOf({ limit: 7 }) })
      const size = await scene.store.log.size(scene)
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, caller) =>
          (scenes[caller % scenes.length] as Scene).commit({ spends: [wish] }),
        ),
      )
      const refused = all.filter(({ kind }) => kind !== 'done')
      assert.equal(refused.length, 13)
      for (const one of refused) {
        assert.deepEqual(one, { kind: 'exhausted', short: [{ at: 0, leftover: 0, againAt: start + 61 }] })
      }
      assert.equal(await scene.store.log.size(scene), size + 7)
      for (const { store } of scenes) {
        assert.deepEqual(await store.budgets.left(scene, wish.grant, wish.budget, start), {
          left: 0,
          moreAt: start + 61,
        })
      }
    }))

  test('what is spent in turns is spent of what the others left, whoever was there before', () =>
    throughNodes(given(), async scenes => {
      const wish = spendOf({ budget: budgetOf({ limit: 7 }) })
      let done = 0
      for (let turn = 0; turn < 12; turn++) {
        const { kind } = await (scenes[turn % scenes.length] as Scene).commit({ spends: [wish] })
        if (kind === 'done') done++
      }
      assert.equal(done, 7)
    }))

  test('amounts of many sizes never exceed the budget, whatever order they arrive in', () =>
    throughNodes(given(), async scenes => {
      const [scene] = scenes as [Scene]
      const wish = spendOf({ budget: budgetOf({ unit: 'bytes', limit: 1000, burst: 24 }) })
      const amounts = Array.from({ length: 60 }, (_, at) => (at * 37) % 101)
      const all = await Promise.all(
        amounts.map((amount, at) =>
          (scenes[at % scenes.length] as Scene).commit({ spends: [{ ...wish, amount }] }),
        ),
      )
      const spent = amounts.filter((_, at) => all[at]?.kind === 'done').reduce((sum, one) => sum + one, 0)
      assert.ok(spent <= 1024)
      assert.equal(await leftOf(scene, wish), 1024 - spent)
      // Whoever was refused had asked for more than was left.
      const refused = amounts.filter((_, at) => all[at]?.kind !== 'done')
      assert.ok(refused.every(amount => amount > 1024 - spent))
    }))

  test('what is refused hears what is left and when it may fit, or that it never will', async () => {
    const scene = await sceneIn(given().store)
    const wish = spendOf()
    await scene.done({ spends: [{ ...wish, amount: 2 }] })
    const told = async (amount: number, after = 0) => {
      const committed = await scene.commit({ spends: [{ ...wish, amount }] }, after)
      if (committed.kind !== 'exhausted') return committed.kind
      return committed.short.flatMap(({ leftover, againAt }) => [leftover, againAt])
    }
    assert.deepEqual(await told(2), [1, start + 61])
    assert.deepEqual(await told(4), [1, null])
    assert.deepEqual(await told(2, 60), [1, start + 61])
    assert.equal(await told(2, 61), 'done')
  })

  test('a grant and each of its budgets are spent by themselves', async () => {
    const scene = await sceneIn(given().store)
    const wish = spendOf({ budget: budgetOf({ limit: 1 }) })
    await scene.done({ spends: [wish] })
    const others: readonly Spend[] = [
      { ...wish, grant: fresh('grt') },
      { ...wish, budget: { ...wish.budget, windowSeconds: 3600 } },
      { ...wish, budget: { ...wish.budget, unit: 'rows' } },
      { ...wish, budget: { ...wish.budget, unit: 'money', currency: 'EUR' } },
      { ...wish, budget: { ...wish.budget, unit: 'money', currency: 'CHF' } },
    ]
    for (const other of others) await scene.done({ spends: [other] })
    assert.equal((await scene.commit({ spends: [wish] })).kind, 'exhausted')
  })

  test('grants that share the budget of an eligibility spend it together, and settle it together, and it alone', () =>
    throughNodes(given(), async scenes => {
      const [scene] = scenes as [Scene]
      const budget = { ...budgetOf({ limit: 7 }), sharedBy: fresh('elg') }
      const grants = Array.from({ length: 5 }, () => fresh('grt'))
      const wishes = grants.map(grant => spendOf({ grant, budget }))
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, caller) =>
          (scenes[caller % scenes.length] as Scene).commit({
            spends: [wishes[caller % wishes.length] as Spend],
          }),
        ),
      )
      assert.equal(all.filter(({ kind }) => kind === 'done').length, 7)
      for (const wish of wishes) assert.equal(await leftOf(scene, wish), 0)
      const [one] = wishes as [Spend]
      const own = { ...one, budget: budgetOf({ limit: 7 }) }
      await scene.done({ spends: [own] })
      assert.equal(await leftOf(scene, own), 6, 'what it spends alone is counted alone')
      const other = { ...one, budget: { ...budget, sharedBy: fresh('elg') } }
      const bound = reserved({ ...other, amount: 7 })
      await scene.done({ spends: [bound] })
      await scene.done({ settlements: [settled(bound, 2)] })
      assert.equal(await leftOf(scene, other), 5)
      assert.equal(await leftOf(scene, one), 0)
    }))

  test('of several budgets that a change takes from either all are taken from or none', async () => {
    const scene = await sceneIn(given().store)
    const [wide, narrow] = [spendOf(), spendOf({ budget: budgetOf({ limit: 1 }) })]
    await scene.done({ spends: [wide, narrow] })
    const failed = await scene.commit({ spends: [wide, narrow] })
    assert.deepEqual(failed, { kind: 'exhausted', short: [{ at: 1, leftover: 0, againAt: start + 61 }] })
    assert.equal(await leftOf(scene, wide), 2)
    // The same budget twice in one change is taken from twice.
    assert.deepEqual(await scene.commit({ spends: [wide, wide, wide] }), {
      kind: 'exhausted',
      short: [{ at: 2, leftover: 0, againAt: start + 61 }],
    })
    await scene.done({ spends: [wide, wide] })
    assert.equal(await leftOf(scene, wide), 0)
  })

  test('every budget of a change that has not enough is told at once, by the first spend that it has not enough for', async () => {
    const scene = await sceneIn(given().store)
    const [wide, narrow, other] = [spendOf(), spendOf({ budget: budgetOf({ limit: 1 }) }), spendOf()]
    const [shared, never] = [
      { ...wide, amount: 2 },
      { ...other, amount: 4 },
    ]
    await scene.done({ spends: [narrow] })
    const committed = await scene.commit({
      spends: [wide, narrow, shared, shared, wide, never, narrow, other],
    })
    assert.deepEqual(committed, {
      kind: 'exhausted',
      short: [
        { at: 1, leftover: 0, againAt: start + 61 },
        { at: 3, leftover: 0, againAt: start + 61 },
        { at: 5, leftover: 3, againAt: null },
      ],
    })
    for (const wish of [wide, other]) assert.equal(await leftOf(scene, wish), 3, 'nothing was taken')
  })

  failureTests(given)
  settlementTests(given)
}

function failureTests(given: () => Given): void {
  test('a change that fails for another reason takes nothing, and leaves all of it to those in its group', async () => {
    const scene = await sceneIn(given().store)
    const wish = spendOf({ budget: budgetOf({ limit: 1 }) })
    const subject = unique()
    await scene.done({ signals: [{ subject, kind: 'narrowed' }] })
    const claim = { key: unique(), until: start + 60 }
    await scene.done({ claims: [claim] })
    const failing: readonly (readonly [Partial<Change>, string])[] = [
      [{ bases: [{ epoch: 0, subjects: [subject] }] }, 'stale'],
      [{ claims: [claim] }, 'replayed'],
      [{ takes: [{ kind: 'enrollment', key: unique() }] }, 'absent'],
      [{ removals: [{ remove: 'resource', id: unique(), ifVersion: 1 }] }, 'conflict'],
    ]
    for (const [change, kind] of failing) {
      const twice = await Promise.all([
        scene.commit({ ...change, spends: [wish] }),
        scene.commit({ ...change, spends: [wish] }),
      ])
      assert.deepEqual(
        twice.map(one => one.kind),
        [kind, kind],
      )
    }
    assert.equal(await leftOf(scene, wish), 1)
    const [change] = failing[3] ?? []
    const both = await Promise.all([
      scene.commit({ ...change, spends: [wish] }),
      scene.commit({ spends: [wish] }),
    ])
    assert.deepEqual(
      both.map(({ kind }) => kind),
      ['conflict', 'done'],
    )
  })

  test('a change that is exhausted changes nothing else, and leaves its marks free', async () => {
    const scene = await sceneIn(given().store)
    const wish = spendOf({ amount: 4 })
    const claim = { key: unique(), until: start + 60 }
    const resource = resourceOf()
    const size = await scene.store.log.size(scene)
    const failed = await scene.commit({
      spends: [wish],
      claims: [claim],
      puts: [{ put: 'resource', value: resource, ifVersion: 0 }],
      signals: [{ subject: unique(), kind: 'narrowed' }],
    })
    assert.equal(failed.kind, 'exhausted')
    assert.equal(await scene.store.resources.get(scene, resource.id), undefined)
    assert.equal(await scene.store.log.size(scene), size)
    assert.equal(await scene.store.signals.head(scene), 0)
    assert.equal((await scene.commit({ claims: [claim] })).kind, 'done')
  })

  test('of several reasons the first is told: stale, replayed, exhausted, unsettled, absent', async () => {
    const scene = await sceneIn(given().store)
    const exhausted = { spends: [spendOf({ amount: 9 })] }
    const unsettled = { settlements: [settled(reserved(spendOf()), 1)] }
    const absent = { takes: [{ kind: 'enrollment' as const, key: unique() }] }
    const claim = { key: unique(), until: start + 60 }
    await scene.done({ claims: [claim] })
    const kind = async (change: Partial<Change>) => (await scene.commit(change)).kind
    assert.equal(await kind({ ...absent, ...unsettled, ...exhausted, claims: [claim] }), 'replayed')
    assert.equal(await kind({ ...absent, ...unsettled, ...exhausted }), 'exhausted')
    assert.equal(await kind({ ...absent, ...unsettled }), 'unsettled')
    assert.equal(await kind(absent), 'absent')
  })

  test('an amount that is negative, fractional or no number is refused before it joins a group', async () => {
    const scene = await sceneIn(given().store)
    for (const amount of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      await assert.rejects(scene.commit({ spends: [spendOf({ amount })] }), `${amount}`)
      const settlement = settled(reserved(spendOf()), amount)
      await assert.rejects(scene.commit({ settlements: [settlement] }), `${amount}`)
    }
  })
}

function settlementTests(given: () => Given): void {
  test('a reservation is spent as its bound until it is settled, once, with what it came to', async () => {
    const scene = await sceneIn(given().store)
    const held = reserved(spendOf({ amount: 3 }))
    await scene.done({ spends: [held] })
    assert.equal(await leftOf(scene, held), 0)
    await scene.done({ settlements: [settled(held, 1)] }, 5)
    assert.equal(await leftOf(scene, held), 2)
    const settlement = settled(held, 0)
    assert.deepEqual(await scene.commit({ settlements: [settlement] }, 6), { kind: 'unsettled', settlement })
    assert.equal(await leftOf(scene, held), 2)
  })

  test('of twenty callers exactly one settles a reservation', () =>
    throughNodes(given(), async scenes => {
      const [scene] = scenes as [Scene]
      const held = reserved(spendOf({ amount: 3 }))
      await scene.done({ spends: [held] })
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, caller) =>
          (scenes[caller % scenes.length] as Scene).commit({ settlements: [settled(held, 1)] }),
        ),
      )
      assert.equal(all.filter(({ kind }) => kind === 'done').length, 1)
      assert.equal(all.filter(({ kind }) => kind === 'unsettled').length, 19)
      assert.equal(await leftOf(scene, held), 2)
    }))

  test('unsettled at its end, the bound stands as spent: who never settles gains nothing', async () => {
    const scene = await sceneIn(given().store)
    const held = reserved(spendOf({ amount: 2 }), 10)
    await scene.done({ spends: [held] })
    assert.equal((await scene.commit({ settlements: [settled(held, 0)] }, 11)).kind, 'unsettled')
    assert.equal(await leftOf(scene, held, 11), 1)
    assert.equal(await leftOf(scene, held, 61), 3)
  })

  test('more than was reserved is taken in full, so that the next calls are refused', async () => {
    const scene = await sceneIn(given().store)
    const held = reserved(spendOf({ amount: 1 }))
    await scene.done({ spends: [held] })
    await scene.done({ settlements: [settled(held, 9)] })
    assert.equal(await leftOf(scene, held), 0)
    assert.equal((await scene.commit({ spends: [{ ...held, reservation: null }] })).kind, 'exhausted')
  })

  test('the sweep takes no budget of which anything counts, or may be settled, and those that say nothing any more', async () => {
    const scene = await sceneIn(given().store)
    const [plain, short] = [spendOf(), spendOf({ budget: budgetOf({ windowSeconds: 1 }) })]
    const held = reserved(short, 300)
    await scene.done({ spends: [plain, held] })
    const sweep = (after: number) =>
      scene.store.sweeping.sweep(start + after, { signalsBeforeMs: start * 1000 })
    await sweep(60)
    // Somebody may have read the clock in the last second in which it counts, and commit ten seconds later.
    await sweep(71)
    assert.equal(await leftOf(scene, plain, 60), 2)
    await sweep(72)
    assert.equal(await leftOf(scene, plain, 60), 3)
    await sweep(300)
    await scene.done({ settlements: [settled(held, 0)] }, 300)
    await Promise.all([sweep(400), scene.done({ spends: [short] }, 400)])
    assert.equal(await leftOf(scene, short, 400), 2)
  })

  test('a reservation is settled under its own grant and budget alone, and in its own tenant', async () => {
    const { store } = given()
    const [scene, other] = [await sceneIn(store), await sceneIn(store)]
    const held = reserved(spendOf({ amount: 3 }))
    await scene.done({ spends: [held] })
    const settlement = settled(held, 0)
    const foreign: readonly Settlement[] = [
      { ...settlement, grant: fresh('grt') },
      { ...settlement, budget: budgetOf({ windowSeconds: 61 }) },
      { ...settlement, reservation: fresh('rsv') },
    ]
    for (const wrong of foreign) {
      assert.equal((await scene.commit({ settlements: [wrong] })).kind, 'unsettled')
    }
    assert.equal((await other.commit({ settlements: [settlement] })).kind, 'unsettled')
    await other.done({ spends: [{ ...held, reservation: null }] })
    assert.equal(await leftOf(scene, held), 0)
    await scene.done({ settlements: [settlement] })
    assert.equal(await leftOf(scene, held), 3)
  })
}
