// The contract of `commit`: all or nothing, in order, each member of a group by itself.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import type { Change, Committed } from '../../domain/change.ts'
import type { TenantId } from '../../domain/tenant.ts'
import { agentOf, entry, type Given, grantOf, keyOf, type Scene, sceneIn, start, unique } from './scene.ts'

const kinds = (all: readonly Committed[]): readonly string[] => all.map(({ kind }) => kind)

/** Everything that one change can write, and how to see whether it was written. */
function everything() {
  const agent = agentOf()
  const key = keyOf({ owner: agent.id })
  const grant = grantOf({ agent: agent.id })
  const once = unique()
  const answer = unique()
  const change: Partial<Change> = {
    puts: [
      { put: 'agent', value: agent, ifVersion: 0 },
      { put: 'key', value: key, ifVersion: 0 },
      { put: 'grant', value: grant, ifVersion: 0 },
    ],
    creates: [{ kind: 'enrollment', key: once, value: 'v', expiresAt: start + 60 }],
    remembers: [{ key: answer, request: 'r', status: 201, body: '{}', until: start + 60 }],
    signals: [{ subject: grant.id, kind: 'narrowed' }],
    touches: [{ thumbprint: key.thumbprint, from: '192.0.2.1' }],
  }
  const written = async ({ store, tenant }: Scene): Promise<readonly boolean[]> => [
    (await store.agents.get({ tenant }, agent.id)) !== undefined,
    (await store.keys.byThumbprint({ tenant }, key.thumbprint)) !== undefined,
    (await store.grants.get({ tenant }, grant.id)) !== undefined,
    (await store.oneTimes.peek({ tenant }, 'enrollment', once, start)) !== 'absent',
    (await store.remembering.recall({ tenant }, answer, start)) !== undefined,
    (await store.signals.after({ tenant }, 0, 100)).length > 0,
    (await store.keys.ofOwner({ tenant }, agent.id)).some(({ use }) => use !== null),
    (await store.log.size({ tenant })) > 0,
  ]
  return { change, written }
}

/** Registers the tests of commits. */
export function commitContract(given: () => Given): void {
  test('a change is made whole, with its entry and its epoch', async () => {
    const scene = await sceneIn(given().store)
    const { change, written } = everything()
    const committed = await scene.done(change)
    assert.ok((await written(scene)).every(one => one))
    assert.equal(committed.first.index, 0)
    assert.equal(committed.epoch, await scene.store.signals.head(scene))
    const stored = await scene.store.log.entry(scene, committed.first.id)
    assert.equal(stored?.index, 0)
  })

  const failures: Record<string, (scene: Scene) => Promise<Partial<Change>>> = {
    async stale(scene) {
      const subject = unique()
      await scene.done({ signals: [{ subject, kind: 'narrowed' }] })
      return { bases: [{ epoch: 0, subjects: [subject] }] }
    },
    async replayed(scene) {
      const claim = { key: unique(), until: start + 60 }
      await scene.done({ claims: [claim] })
      return { claims: [claim] }
    },
    async spent(scene) {
      const take = { kind: 'enrollment', key: unique() } as const
      await scene.done({ creates: [{ ...take, value: 'v', expiresAt: start + 60 }] })
      await scene.done({ takes: [take] })
      return { takes: [take] }
    },
    absent: async () => ({ takes: [{ kind: 'enrollment', key: unique() }] }),
    conflict: async () => ({ removals: [{ remove: 'resource', id: unique(), ifVersion: 1 }] }),
  }
  for (const [kind, prepare] of Object.entries(failures)) {
    test(`a change that is ${kind} changes nothing at all`, async () => {
      const scene = await sceneIn(given().store)
      const reason = await prepare(scene)
      const before = await state(scene)
      const { change, written } = everything()
      const committed = await scene.commit({
        ...change,
        ...reason,
        claims: [{ key: unique(), until: start + 60 }, ...(reason.claims ?? [])],
        takes: [...(reason.takes ?? [])],
      })
      assert.equal(committed.kind, kind)
      assert.deepEqual(await state(scene), before)
      assert.ok((await written(scene)).slice(0, 5).every(one => !one))
    })

    test(`a change that is ${kind} leaves the marks of its claims free, for the change that comes after it`, async () => {
      const scene = await sceneIn(given().store)
      const reason = await prepare(scene)
      const claim = { key: unique(), until: start + 60 }
      assert.equal((await scene.commit({ ...reason, claims: [claim, ...(reason.claims ?? [])] })).kind, kind)
      assert.equal((await scene.commit({ claims: [claim] })).kind, 'done')
      assert.equal((await scene.commit({ claims: [claim] })).kind, 'replayed')
    })
  }

  test('of several reasons the first is told: stale, replayed, spent or absent, conflict', async () => {
    const scene = await sceneIn(given().store)
    const all = await Promise.all(Object.values(failures).map(prepare => prepare(scene)))
    const [stale, replayed, spent, , conflict] = all as [Change, Change, Change, Change, Change]
    assert.equal((await scene.commit({ ...conflict, ...spent, ...replayed, ...stale })).kind, 'stale')
    assert.equal((await scene.commit({ ...conflict, ...spent, ...replayed })).kind, 'replayed')
    assert.equal((await scene.commit({ ...conflict, ...spent })).kind, 'spent')
    assert.equal((await scene.commit({ ...conflict })).kind, 'conflict')
  })

  test('a failure names what failed', async () => {
    const scene = await sceneIn(given().store)
    const agent = agentOf()
    const claim = { key: unique(), until: start + 60 }
    const take = { kind: 'enrollment', key: unique() } as const
    await scene.done({ puts: [{ put: 'agent', value: agent, ifVersion: 0 }], claims: [claim] })
    assert.deepEqual(await scene.commit({ claims: [claim] }), { kind: 'replayed', claim })
    assert.deepEqual(await scene.commit({ takes: [take] }), { kind: 'absent', take })
    assert.deepEqual(await scene.commit({ puts: [{ put: 'agent', value: agent, ifVersion: 0 }] }), {
      kind: 'conflict',
      record: 'agent',
      id: agent.id,
    })
  })

  test('members of one group that fail leave the others, and the indexes and epochs without a gap', async () => {
    const scene = await sceneIn(given().store)
    const shared = { key: unique(), until: start + 60 }
    const agent = agentOf()
    const all = await Promise.all(
      Array.from({ length: 60 }, (_, at) => {
        if (at % 4 === 1) return scene.commit({ claims: [shared] })
        if (at % 4 === 2) return scene.commit({ puts: [{ put: 'agent', value: agent, ifVersion: 0 }] })
        if (at % 4 === 3) return scene.commit({ takes: [{ kind: 'enrollment', key: unique() }] })
        return scene.commit({
          signals: [{ subject: unique(), kind: 'changed' }],
          entries: [entry(), entry()],
        })
      }),
    )
    assert.equal(kinds(all).filter(kind => kind === 'done').length, 15 + 1 + 1)
    const size = await scene.store.log.size(scene)
    const stored = await scene.store.log.range(scene, 0, size + 1)
    assert.deepEqual(
      stored.map(({ index, text }) => [index, JSON.parse(text).index]),
      Array.from({ length: 15 * 2 + 2 }, (_, at) => [at, at]),
    )
    const signals = await scene.store.signals.after(scene, 0, 1000)
    assert.deepEqual(
      signals.map(({ epoch }) => epoch),
      Array.from({ length: 15 + 1 }, (_, at) => at + 1),
    )
    for (const committed of all) {
      if (committed.kind !== 'done') continue
      const found = await scene.store.log.entry(scene, committed.first.id)
      assert.equal(found?.index, committed.first.index)
    }
  })

  test('a mark shown by a member that fails is free for a later member of the same group', async () => {
    const scene = await sceneIn(given().store)
    const claim = { key: unique(), until: start + 60 }
    const [first, second, third] = await Promise.all([
      scene.commit({ claims: [claim], takes: [{ kind: 'enrollment', key: unique() }] }),
      scene.commit({ claims: [claim] }),
      scene.commit({ claims: [claim] }),
    ])
    assert.deepEqual(kinds([first, second, third]), ['absent', 'done', 'replayed'])
  })

  test('the same mark twice in one change is a replay', async () => {
    const scene = await sceneIn(given().store)
    const claim = { key: unique(), until: start + 60 }
    assert.equal((await scene.commit({ claims: [claim, claim] })).kind, 'replayed')
  })

  test('a basis is stale once one of its subjects was narrowed after its epoch, and not before', async () => {
    const scene = await sceneIn(given().store)
    const [subject, other] = [unique(), unique()]
    const { epoch } = await scene.done({ signals: [{ subject, kind: 'narrowed' }] })
    const basis = (at: number, ...subjects: string[]) => scene.commit({ bases: [{ epoch: at, subjects }] })
    assert.equal((await basis(epoch, subject)).kind, 'done')
    assert.equal((await basis(epoch - 1, subject)).kind, 'stale')
    assert.equal((await basis(epoch - 1, other)).kind, 'done')
    assert.equal((await basis(epoch - 1, other, subject)).kind, 'stale')
    await scene.done({ signals: [{ subject: other, kind: 'changed' }] })
    assert.equal((await basis(epoch, other)).kind, 'done')
    // An epoch that has not been yet is of another history, as after a restored backup.
    assert.equal((await basis(epoch + 2, other)).kind, 'stale')
  })

  test('each basis is judged by its own epoch', async () => {
    const scene = await sceneIn(given().store)
    const [one, two] = [unique(), unique()]
    const { epoch } = await scene.done({ signals: [{ subject: one, kind: 'narrowed' }] })
    const both = (ofOne: number, ofTwo: number) =>
      scene.commit({
        bases: [
          { epoch: ofOne, subjects: [one] },
          { epoch: ofTwo, subjects: [two] },
        ],
      })
    assert.equal((await both(epoch, epoch - 1)).kind, 'done')
    assert.equal((await both(epoch - 1, epoch)).kind, 'stale')
  })

  test('a change that narrows makes later members of its group stale, unless it fails itself', async () => {
    const scene = await sceneIn(given().store)
    const narrowing = { signals: [{ subject: unique(), kind: 'narrowed' as const }] }
    const relying = { bases: [{ epoch: 0, subjects: [narrowing.signals[0]?.subject ?? ''] }] }
    const failing = { ...narrowing, takes: [{ kind: 'enrollment' as const, key: unique() }] }
    assert.deepEqual(
      kinds(
        await Promise.all([
          scene.commit(failing),
          scene.commit(relying),
          scene.commit(narrowing),
          scene.commit(relying),
        ]),
      ),
      ['absent', 'done', 'done', 'stale'],
    )
  })

  test('a key is touched with the newest use only', async () => {
    const scene = await sceneIn(given().store)
    const key = keyOf()
    await scene.done({ puts: [{ put: 'key', value: key, ifVersion: 0 }] })
    const use = async () => (await scene.store.keys.ofOwner(scene, key.owner))[0]?.use
    const touch = (from: string, after: number) =>
      scene.done({ touches: [{ thumbprint: key.thumbprint, from }] }, after)
    assert.equal(await use(), null)
    await Promise.all([touch('a', 5), touch('b', 7), touch('c', 6)])
    assert.deepEqual(await use(), { lastUsedAt: start + 7, lastUsedFrom: 'b' })
    await touch('d', 7)
    await touch('e', 1)
    assert.deepEqual(await use(), { lastUsedAt: start + 7, lastUsedFrom: 'b' })
    await touch('f', 8)
    assert.deepEqual(await use(), { lastUsedAt: start + 8, lastUsedFrom: 'f' })
  })

  test('a tenant that was never made takes no change', async () => {
    const { store } = given()
    const ctx = { tenant: unique() as TenantId, now: start, nowMs: start * 1000 }
    await assert.rejects(store.commit(ctx, { entries: [entry()] }), isFault)
    assert.equal(await store.log.size(ctx), 0)
  })

  test('counts its groups, and what was in them', async () => {
    const scene = await sceneIn(given().store)
    const before = scene.store.gauges.commit()
    await Promise.all(Array.from({ length: 10 }, () => scene.done()))
    const now = scene.store.gauges.commit()
    assert.equal(now.changes - before.changes, 10)
    assert.ok(now.groups > before.groups && now.groups - before.groups <= 10)
    assert.ok(now.lastMs > 0)
  })
}

/** What can be seen of a tenant from outside. */
async function state({ store, tenant }: Scene): Promise<unknown> {
  const page = { limit: 100 }
  return [
    await store.log.size({ tenant }),
    await store.signals.head({ tenant }),
    await store.agents.list({ tenant }, page, {}),
    await store.grants.list({ tenant }, page, {}),
  ]
}
