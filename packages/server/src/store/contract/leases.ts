// The contract of leases: one holder at a time, a fence that grows, and writes that an old fence cannot make.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Given, sceneIn, unique } from './scene.ts'

const fenceOf = (held: { readonly fence: number } | 'held'): number => (held === 'held' ? -1 : held.fence)

/** Registers the tests of leases. */
export function leaseContract(given: () => Given): void {
  test('a lease has one holder until it is released, and its holder keeps its fence', async () => {
    const { leases } = given().store
    const [name, one, two] = [unique(), unique(), unique()]
    const fence = fenceOf(await leases.hold(name, one, 30))
    assert.ok(fence > 0)
    assert.equal(await leases.hold(name, two, 30), 'held')
    assert.equal(fenceOf(await leases.hold(name, one, 30)), fence)
    await leases.release(name, two)
    assert.equal(await leases.hold(name, two, 30), 'held')
    await leases.release(name, one)
    assert.ok(fenceOf(await leases.hold(name, two, 30)) > fence)
    assert.equal(await leases.hold(name, one, 30), 'held')
    assert.notEqual(await leases.hold(unique(), one, 30), 'held')
  })

  test('a lease that ran out goes to the next, under a new fence', async () => {
    const { leases } = given().store
    const [name, one, two] = [unique(), unique(), unique()]
    const fence = fenceOf(await leases.hold(name, one, 0.05))
    const deadline = Date.now() + 5000
    let next = await leases.hold(name, two, 30)
    while (next === 'held') {
      assert.ok(Date.now() < deadline, 'the lease runs out')
      await new Promise(resolve => setTimeout(resolve, 10))
      next = await leases.hold(name, two, 30)
    }
    assert.ok(next.fence > fence)
    assert.equal(await leases.hold(name, one, 30), 'held')
  })

  test('a write under a fence is made while nobody else had the lease, and never after', async () => {
    const scene = await sceneIn(given().store)
    const { leases } = scene.store
    const [lease, one, two] = [unique(), unique(), unique()]
    const old = fenceOf(await leases.hold(lease, one, 30))
    assert.equal((await scene.commit({ fence: { lease, fence: old } })).kind, 'done')
    assert.equal((await scene.commit({ fence: { lease, fence: old + 1 } })).kind, 'stale')
    assert.equal((await scene.commit({ fence: { lease: unique(), fence: 1 } })).kind, 'stale')
    await leases.release(lease, one)
    const current = fenceOf(await leases.hold(lease, two, 30))
    assert.equal((await scene.commit({ fence: { lease, fence: old } })).kind, 'stale')
    assert.equal((await scene.commit({ fence: { lease, fence: current } })).kind, 'done')
  })
}
