// The contract beyond one process: what another node sees, and what a store holds after it was closed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFault } from '@writ/sdk/protocol/fault'
import type { Store } from '../store.ts'
import {
  agentOf,
  entry,
  type Given,
  type Opened,
  type Scene,
  sceneIn,
  start,
  unique,
  until,
} from './scene.ts'
import { listen } from './signals.ts'

async function withAnother(given: Given, use: (other: Store) => Promise<void>): Promise<void> {
  const other = await given.opened.another?.()
  if (other === undefined) throw new Error('a store of several nodes opens another')
  try {
    await use(other)
  } finally {
    await other.close()
  }
}

/** Registers the tests of stores that several nodes share. */
export function nodesContract(given: () => Given): void {
  test('another node sees a commit as soon as it is answered, and decides stale on it', () =>
    withAnother(given(), async other => {
      const scene = await sceneIn(given().store)
      const far = scene.through(other)
      const agent = agentOf()
      const { epoch } = await scene.done({ puts: [{ put: 'agent', value: agent, ifVersion: 0 }] })
      assert.deepEqual(await other.agents.get(far, agent.id), { ...agent, version: 1 })
      await scene.done({ signals: [{ subject: agent.id, kind: 'narrowed' }] })
      assert.equal((await far.commit({ bases: [{ epoch, subjects: [agent.id] }] })).kind, 'stale')
    }))

  test('a subscriber on another node hears everything, in order and once, whoever commits', () =>
    withAnother(given(), async other => {
      const scene = await sceneIn(given().store)
      const far = scene.through(other)
      const listeners = [listen(scene), listen(far)]
      await Promise.all(
        Array.from({ length: 60 }, (_, at) =>
          (at % 2 === 0 ? scene : far).done({ signals: [{ subject: unique(), kind: 'changed' }] }),
        ),
      )
      await until(() => listeners.every(({ heard }) => heard.length >= 60), 'every signal on both nodes')
      const expected = await scene.store.signals.after(scene, 0, 100)
      for (const { heard, stop } of listeners) {
        assert.deepEqual(heard, expected)
        stop()
      }
    }))

  test('what one node remembers ends with a signal of another', () =>
    withAnother(given(), async other => {
      const scene: Scene = await sceneIn(given().store)
      const far = scene.through(other)
      const agent = agentOf()
      await scene.done({ puts: [{ put: 'agent', value: agent, ifVersion: 0 }] })
      await until(
        async () => (await other.facts.caller(far, agent.id))?.remembered === true,
        'memory on the other node',
      )
      await scene.done({ puts: [{ put: 'agent', value: { ...agent, name: 'renamed' }, ifVersion: 1 }] })
      await until(
        async () => (await other.facts.caller(far, agent.id))?.agent?.name === 'renamed',
        'the new name on the other node',
      )
    }))
}

/** Registers the tests of what outlives a process. */
export function durabilityContract(open: () => Promise<Opened>): void {
  test('a store that is closed and opened again holds everything, and goes on where it was', async () => {
    let opened = await open()
    const scene = await sceneIn(opened.store)
    const agent = agentOf()
    const [claim, take, answer] = [unique(), unique(), unique()]
    const kept = { key: answer, request: 'r', status: 201, body: 'b', until: start + 60 }
    await scene.done({
      claims: [{ key: claim, until: start + 60 }],
      creates: [{ kind: 'enrollment', key: take, value: 'v', expiresAt: start + 60 }],
      puts: [{ put: 'agent', value: agent, ifVersion: 0 }],
      remembers: [kept],
      entries: [entry(), entry()],
    })
    await scene.done({ takes: [{ kind: 'enrollment', key: take }] })
    await opened.store.log.publish(scene, 2, 'note', [])
    const lease = await opened.store.leases.hold(claim, 'one', 30)
    const before = await opened.store.log.range(scene, 0, 10)
    if (opened.reopen === undefined) throw new Error('a durable store opens again')
    opened = await opened.reopen()
    const again = scene.through(opened.store)

    assert.deepEqual(await again.store.log.range(again, 0, 10), before)
    assert.deepEqual(await again.store.agents.get(again, agent.id), { ...agent, version: 1 })
    assert.equal(await again.store.oneTimes.peek(again, 'enrollment', take, start), 'spent')
    assert.deepEqual(await again.store.remembering.recall(again, answer, start), kept)
    assert.deepEqual(await again.store.log.checkpoint(again), { size: 2, note: 'note' })
    assert.equal(await again.store.log.publish(again, 2, 'other', []), false)
    assert.equal(await again.store.leases.hold(claim, 'two', 30), 'held')
    assert.deepEqual(await again.store.leases.hold(claim, 'one', 30), lease)
    assert.equal((await again.commit({ claims: [{ key: claim, until: start + 60 }] })).kind, 'replayed')
    assert.equal(
      (await again.commit({ puts: [{ put: 'agent', value: agent, ifVersion: 0 }] })).kind,
      'conflict',
    )
    const next = await again.done({ signals: [{ subject: agent.id, kind: 'narrowed' }] })
    assert.deepEqual([next.first.index, next.epoch], [3, 2])
    await opened.close()
  })

  test('closing finishes what is under way and refuses what comes after', async () => {
    const opened = await open()
    const scene = await sceneIn(opened.store)
    const before = Array.from({ length: 50 }, () => scene.commit())
    const closing = opened.store.close()
    const late = assert.rejects(
      scene.commit(),
      fault => isFault(fault) && fault.code === 'temporarily_unavailable',
    )
    assert.ok((await Promise.all(before)).every(({ kind }) => kind === 'done'))
    await late
    await closing
    await opened.close()
  })
}
