// The contract of signals: in order, without a gap, told at once.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SignalAt } from '../store.ts'
import {
  agentOf,
  type Given,
  grantOf,
  issuerKeyOf,
  keyOf,
  type Scene,
  sceneIn,
  start,
  unique,
} from './scene.ts'

/** What a subscriber of this tenant has heard. */
export function listen(scene: Scene): { readonly heard: SignalAt[]; stop(): void } {
  const heard: SignalAt[] = []
  const stop = scene.store.signals.subscribe((tenant, signals) => {
    if (tenant === scene.tenant) heard.push(...signals)
  })
  return { heard, stop }
}

/** Registers the tests of signals. */
export function signalContract(given: () => Given): void {
  test('signals are kept in the order of commits, with contiguous epochs and the instant of their change', async () => {
    const scene = await sceneIn(given().store)
    assert.equal(await scene.store.signals.head(scene), 0)
    const subjects = [unique(), unique(), unique()]
    const one = await scene.done({ signals: [{ subject: subjects[0] ?? '', kind: 'narrowed' }] })
    assert.equal(one.epoch, 1)
    assert.equal((await scene.done()).epoch, 1)
    const both = subjects.slice(1).map(subject => ({ subject, kind: 'changed' as const }))
    assert.equal((await scene.done({ signals: both }, 5)).epoch, 3)
    const all = await scene.store.signals.after(scene, 0, 10)
    assert.deepEqual(all, [
      { epoch: 1, subject: subjects[0], kind: 'narrowed', atMs: start * 1000 },
      { epoch: 2, subject: subjects[1], kind: 'changed', atMs: (start + 5) * 1000 },
      { epoch: 3, subject: subjects[2], kind: 'changed', atMs: (start + 5) * 1000 },
    ])
    assert.deepEqual(await scene.store.signals.after(scene, 1, 1), all.slice(1, 2))
    assert.deepEqual(await scene.store.signals.after(scene, 0, 10, 'narrowed'), all.slice(0, 1))
    assert.deepEqual(await scene.store.signals.after(scene, 3, 10), [])
  })

  test('what was narrowed since an instant is found from that instant on', async () => {
    const scene = await sceneIn(given().store)
    for (const after of [0, 1, 2]) {
      await scene.done(
        {
          signals: [
            { subject: `${after}`, kind: 'narrowed' },
            { subject: 'x', kind: 'changed' },
          ],
        },
        after,
      )
    }
    const since = async (ms: number) =>
      (await scene.store.signals.narrowedSince(scene, ms)).map(({ subject }) => subject)
    assert.deepEqual(await since(start * 1000), ['0', '1', '2'])
    assert.deepEqual(await since((start + 1) * 1000), ['1', '2'])
    assert.deepEqual(await since((start + 1) * 1000 + 1), ['2'])
    assert.deepEqual(await since((start + 2) * 1000 + 1), [])
  })

  test('tells whether one of several subjects was narrowed after an epoch', async () => {
    const scene = await sceneIn(given().store)
    const [gone, changed] = [unique(), unique()]
    const { epoch } = await scene.done({
      signals: [
        { subject: gone, kind: 'narrowed' },
        { subject: changed, kind: 'changed' },
      ],
    })
    const is = (subjects: readonly string[], at: number) =>
      scene.store.signals.isNarrowed(scene, subjects, at)
    assert.equal(await is([unique(), gone], 0), true)
    assert.equal(await is([gone], epoch - 1), false)
    assert.equal(await is([changed], 0), false)
    assert.equal(await is([], 0), false)
  })

  test('a subscriber hears of each commit before its answer, in order and once, until it stops', async () => {
    const scene = await sceneIn(given().store)
    const { heard, stop } = listen(scene)
    const answered = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const { epoch } = await scene.done({ signals: [{ subject: unique(), kind: 'changed' }] })
        return heard.some(signal => signal.epoch === epoch)
      }),
    )
    assert.ok(answered.every(inTime => inTime))
    assert.deepEqual(heard, await scene.store.signals.after(scene, 0, 100))
    stop()
    await scene.done({ signals: [{ subject: unique(), kind: 'changed' }] })
    assert.equal(heard.length, 20)
  })

  test('a subscriber that throws keeps nothing from the others, nor from the commit', async () => {
    const scene = await sceneIn(given().store)
    const stopThrowing = scene.store.signals.subscribe(() => {
      throw new Error('a subscriber of the contract fails on purpose')
    })
    const { heard, stop } = listen(scene)
    await scene.done({ signals: [{ subject: unique(), kind: 'narrowed' }] })
    assert.equal(heard.length, 1)
    stop()
    stopThrowing()
  })

  test('a record that is written without a signal gets one about the record it belongs to', async () => {
    const scene = await sceneIn(given().store)
    const { heard, stop } = listen(scene)
    const agent = agentOf()
    const issuerKey = issuerKeyOf()
    await scene.done({
      puts: [
        { put: 'agent', value: agent, ifVersion: 0 },
        { put: 'key', value: keyOf({ owner: agent.id }), ifVersion: 0 },
        { put: 'grant', value: grantOf({ agent: agent.id }), ifVersion: 0 },
        { put: 'issuerKey', value: issuerKey, ifVersion: 0 },
      ],
    })
    const signals = heard.map(({ subject, kind }) => [subject, kind])
    assert.deepEqual(signals, [
      [agent.id, 'changed'],
      [`issuer-key:${issuerKey.kid}`, 'changed'],
    ])
    await scene.done({
      puts: [{ put: 'agent', value: agent, ifVersion: 1 }],
      signals: [{ subject: agent.id, kind: 'narrowed' }],
    })
    assert.deepEqual(
      heard.slice(2).map(({ kind }) => kind),
      ['narrowed'],
    )
    stop()
  })

  test('a store that answers is in contact', async () => {
    const { store } = given()
    assert.equal(await store.ping(), true)
    const deadline = Date.now() + 5000
    while (Date.now() - store.signals.contactMs() > 1000) {
      assert.ok(Date.now() < deadline, 'contact is made')
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  })
}
