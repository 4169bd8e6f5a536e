// Grouped commits beyond the contract: a member that spoils its transaction, a queue that is full.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import { sceneIn, start, unique } from '../contract/scene.ts'
import { openSqlite } from './engine/sqlite.ts'
import { storeOver } from './open.ts'

const inMemory = async () => {
  const engine = openSqlite(':memory:')
  const database = { kind: 'sqlite', file: ':memory:' } as const
  return { engine, store: await storeOver({ database, engine, randomBytes, onError: () => {} }) }
}

test('a member that breaks the transaction of its group fails alone; the others are committed one by one', async () => {
  const { store } = await inMemory()
  const scene = await sceneIn(store)
  const claim = { key: unique(), until: start + 60 }
  // No use case can say this: the type forbids it, and the schema is the last to know.
  const poison = { signals: [{ subject: unique(), kind: 'impossible' as 'changed' }] }
  const [before, spoilt, claimed, replayed] = await Promise.allSettled([
    scene.commit(),
    scene.commit(poison),
    scene.commit({ claims: [claim] }),
    scene.commit({ claims: [claim] }),
  ])
  assert.ok(before.status === 'fulfilled' && before.value.kind === 'done')
  assert.ok(spoilt.status === 'rejected')
  assert.ok(claimed.status === 'fulfilled' && claimed.value.kind === 'done')
  assert.ok(replayed.status === 'fulfilled' && replayed.value.kind === 'replayed')
  assert.equal(await store.log.size(scene), 2)
  assert.equal(await store.signals.head(scene), 0)
  await store.close()
})

test('a queue that is full turns changes away at once, and those that wait are committed', async () => {
  const { store } = await inMemory()
  const scene = await sceneIn(store)
  const all = await Promise.allSettled(Array.from({ length: 21_000 }, () => scene.commit()))
  const refused = all.filter(one => one.status === 'rejected')
  assert.equal(refused.length, 1000)
  assert.ok(refused.every(({ reason }) => isFault(reason) && reason.code === 'temporarily_unavailable'))
  assert.equal(await store.log.size(scene), 20_000)
  await store.close()
})

test('changes of one turn of the loop share a transaction, 256 at most', async () => {
  const { store } = await inMemory()
  const scene = await sceneIn(store)
  await Promise.all(Array.from({ length: 300 }, () => scene.commit()))
  assert.deepEqual([store.gauges.commit().groups, store.gauges.commit().changes], [2, 300])
  await store.close()
})
