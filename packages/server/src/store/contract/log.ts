// The contract of the audit log: leaves as hashed, found by what they name, one checkpoint that only grows.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseId } from '@writ/sdk/protocol/identifier'
import { leafHash } from '../../domain/merkle.ts'
import type { EntryFilter } from '../store.ts'
import { bytes, entry, type Given, sceneIn, start, unique } from './scene.ts'

/** Registers the tests of the log. */
export function logContract(given: () => Given): void {
  test('entries are leaves with an id, their index and their time, read by id and by range', async () => {
    const scene = await sceneIn(given().store)
    const drafts = [entry({ reason: 'a' }), entry({ reason: 'b' }), entry({ reason: 'c' })] as const
    const { first } = await scene.done({ entries: [drafts[0], drafts[1]] }, 7)
    const second = await scene.done({ entries: [drafts[2]] }, 8)
    assert.deepEqual([first.index, second.first.index, await scene.store.log.size(scene)], [0, 2, 3])
    const stored = await scene.store.log.range(scene, 0, 10)
    assert.deepEqual(
      stored.map(({ text }) => {
        const { index, time, reason } = JSON.parse(text)
        return [index, time, reason]
      }),
      [
        [0, new Date((start + 7) * 1000).toISOString(), 'a'],
        [1, new Date((start + 7) * 1000).toISOString(), 'b'],
        [2, new Date((start + 8) * 1000).toISOString(), 'c'],
      ],
    )
    assert.deepEqual(await scene.store.log.range(scene, 1, 2), stored.slice(1, 2))
    assert.deepEqual(await scene.store.log.range(scene, 3, 9), [])
    for (const { index, text } of stored) {
      const { id } = JSON.parse(text)
      assert.equal(parseId('evt', id), id)
      assert.deepEqual(await scene.store.log.entry(scene, id), { index, text })
    }
    assert.equal(await scene.store.log.entry(scene, unique()), undefined)
    const hashes = Buffer.concat(stored.map(({ text }) => leafHash(text)))
    assert.deepEqual(Buffer.from(await scene.store.log.hashes(scene, 0, 3)), hashes)
    assert.deepEqual(Buffer.from(await scene.store.log.hashes(scene, 1, 2)), hashes.subarray(32, 64))
  })

  test('entries are found by agent, person, type, request and time, all together and in order', async () => {
    const scene = await sceneIn(given().store)
    const [agent, person, requestId] = [unique(), unique(), unique()]
    await scene.done({ entries: [entry({ agent, type: 'a.b' }), entry({ agent, person, requestId })] }, 0)
    await scene.done(
      { entries: [entry({ person, type: 'a.b' }), entry({ agent, type: 'a.b', requestId })] },
      10,
    )
    const find = async (filter: EntryFilter, after = -1, limit = 10) =>
      (await scene.store.log.find(scene, filter, after, limit)).map(({ index }) => index)
    const at = (seconds: number) => (start + seconds) * 1000
    const expected: readonly [EntryFilter, readonly number[]][] = [
      [{}, [0, 1, 2, 3]],
      [{ agent }, [0, 1, 3]],
      [{ person }, [1, 2]],
      [{ type: 'a.b' }, [0, 2, 3]],
      [{ requestId }, [1, 3]],
      [{ agent, type: 'a.b' }, [0, 3]],
      [{ agent, person }, [1]],
      [{ agent: agent.toUpperCase() }, []],
      [{ sinceMs: at(10) }, [2, 3]],
      [{ sinceMs: at(10) + 1 }, []],
      [{ untilMs: at(10) }, [0, 1]],
      [{ untilMs: at(10) + 1 }, [0, 1, 2, 3]],
      [{ agent, sinceMs: at(0), untilMs: at(5) }, [0, 1]],
    ]
    for (const [filter, found] of expected)
      assert.deepEqual(await find(filter), found, JSON.stringify(filter))
    assert.deepEqual(await find({ agent }, 0), [1, 3])
    assert.deepEqual(await find({ agent }, 0, 1), [1])
    assert.deepEqual(await find({ agent }, 3), [])
  })

  test('entries are found among many thousands as by looking at each of them', async () => {
    const scene = await sceneIn(given().store)
    const agents = Array.from({ length: 50 }, unique)
    const [rare, requestId] = [unique(), unique()]
    for (let block = 0; block < 10; block++) {
      const entries = Array.from({ length: 1000 }, (_, at) =>
        entry({
          agent: agents[(block * 7 + at) % (at < 900 ? 3 : 50)] ?? null,
          person: (block * 1000 + at) % 2777 === 0 ? rare : null,
          type: at % 500 === 499 ? 'b.rare' : 'a.usual',
          requestId: at % 4096 === 77 ? requestId : unique(),
        }),
      )
      await scene.done({ entries: [entry(), ...entries.slice(1)] }, block * 60)
    }
    const all = (await scene.store.log.range(scene, 0, 10_000)).map(({ index, text }) => ({
      index,
      ...JSON.parse(text),
    }))
    assert.equal(all.length, 10_000)
    const at = (seconds: number) => (start + seconds) * 1000
    const time = ({ time }: { time: string }) => Date.parse(time)
    const expected: readonly [EntryFilter, (one: (typeof all)[0]) => boolean][] = [
      [{ agent: agents[0] ?? '' }, one => one.agent === agents[0]],
      [{ agent: agents[40] ?? '' }, one => one.agent === agents[40]],
      [{ person: rare }, one => one.person === rare],
      [{ requestId }, one => one.request_id === requestId],
      [{ type: 'b.rare' }, one => one.type === 'b.rare'],
      [{ type: 'b.rare', agent: agents[40] ?? '' }, one => one.type === 'b.rare' && one.agent === agents[40]],
      [{ sinceMs: at(240), untilMs: at(360) }, one => time(one) >= at(240) && time(one) < at(360)],
      [{ sinceMs: at(480), person: rare }, one => time(one) >= at(480) && one.person === rare],
      [{ type: unique() }, () => false],
    ]
    for (const [filter, is] of expected) {
      const indexes = all.filter(is).map(({ index }) => index)
      const found: number[] = []
      for (let after = -1; ; after = found.at(-1) ?? 0) {
        const page = await scene.store.log.find(scene, filter, after, 300)
        found.push(...page.map(({ index }) => index))
        if (page.length < 300) break
      }
      assert.deepEqual(found, indexes, JSON.stringify(filter))
    }
  })

  test('a checkpoint is replaced by a larger one only, and its tiles come with it', async () => {
    const scene = await sceneIn(given().store)
    const { log } = scene.store
    assert.equal(await log.checkpoint(scene), undefined)
    const [first, second, never] = [bytes(8192), bytes(8192), bytes(8192)]
    assert.equal(
      await log.publish(scene, 300, 'three hundred', [{ level: 0, index: 0, hashes: first }]),
      true,
    )
    for (const size of [0, 299, 300]) {
      assert.equal(await log.publish(scene, size, 'no', [{ level: 0, index: 1, hashes: never }]), false)
    }
    assert.deepEqual(await log.checkpoint(scene), { size: 300, note: 'three hundred' })
    assert.deepEqual(await log.tile(scene, 0, 0), first)
    assert.equal(await log.tile(scene, 0, 1), undefined)
    const more = [
      { level: 0, index: 1, hashes: second },
      { level: 1, index: 0, hashes: never },
    ]
    assert.equal(await log.publish(scene, 600, 'six hundred', more), true)
    assert.deepEqual(await log.checkpoint(scene), { size: 600, note: 'six hundred' })
    assert.deepEqual([await log.tile(scene, 0, 1), await log.tile(scene, 1, 0)], [second, never])
    // What was published stands: a second version of a tile would be a second tree.
    assert.equal(await log.publish(scene, 700, 'seven', [{ level: 0, index: 0, hashes: second }]), true)
    assert.deepEqual(await log.tile(scene, 0, 0), first)
  })
}
