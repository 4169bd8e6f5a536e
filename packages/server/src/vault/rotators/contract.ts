// What every rotator is held to, whatever it rotates: a way from the old to the new that can be cut anywhere.
import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { Secret } from '@writ/sdk/protocol/secret'
import {
  cutEverywhere,
  type Harness,
  type Says,
  type Scene,
  saying,
  soonMs,
  strict,
} from './contract-scene.ts'
import type { Held, Rotator, RotatorContext } from './rotator.ts'

export interface RotatorHarness<O> extends Harness {
  readonly rotator: Rotator<O>
}

interface Versions<O> extends Scene<O> {
  readonly rotator: Rotator<O>
  contextOf(current: Held | null, next: Held, more?: Partial<RotatorContext<O>>): RotatorContext<O>
  /** As it is stored before the upstream hears of it. */
  proposed(current: Held | null): Promise<Held>
  /** Stages, and answers the version with what the upstream chose. */
  staged(current: Held | null, next: Held): Promise<Held>
  /** The whole way to a version in use. */
  promoted(current: Held | null): Promise<Held>
  works(held: Held): Promise<boolean>
}

/** Registers the tests that a rotator of versions has to pass. */
export function rotatorContract<O>(name: string, harness: RotatorHarness<O>): void {
  const { rotator } = harness
  strict(name, harness, rotator.options)
  const options = (given: object): O => rotator.options.parse(given)
  const says = saying<O, Versions<O>>({ name, harness, options }, scene => versionsOf(scene, rotator))
  leading(says)
  repeating(says)
  refusing(says)
  if (rotator.sessions) seeing(says)
}

function versionsOf<O>(scene: Scene<O>, rotator: Rotator<O>): Versions<O> {
  const contextOf: Versions<O>['contextOf'] = (current, next, more) => ({
    options: scene.options,
    rotation: `rot_${next.number}`,
    secretName: 'held-to-contract',
    current,
    next,
    secret: scene.secret,
    now: scene.now(),
    signal: new AbortController().signal,
    ...more,
  })
  const proposed: Versions<O>['proposed'] = async current => {
    const number = (current?.number ?? 0) + 1
    const { next: _, ...context } = contextOf(current, { value: new Secret(''), handle: null, number })
    return scene.keep({ ...(await rotator.propose(context)), number })
  }
  const staged: Versions<O>['staged'] = async (current, next) => {
    const chosen = await rotator.stage(contextOf(current, next))
    return scene.keep({ ...next, ...chosen })
  }
  return {
    ...scene,
    rotator,
    contextOf,
    proposed,
    staged,
    async promoted(current) {
      const next = await staged(current, await proposed(current))
      await rotator.verify(contextOf(current, next))
      await rotator.promote(contextOf(current, next))
      return next
    },
    works: held => scene.upstream.worksWith(held.value, held.handle),
  }
}

function leading<O>(says: Says<Versions<O>>): void {
  says('the old one works until it is retired, the new one from its staging on', async scene => {
    const { rotator, contextOf, proposed, staged, works } = scene
    let current = await scene.promoted(null)
    assert.ok(await works(current))
    for (const _ of [1, 2, 3]) {
      const next = await staged(current, await proposed(current))
      const step = contextOf(current, next)
      assert.notEqual(next.value.reveal(), current.value.reveal())
      assert.ok((await works(current)) && (await works(next)), 'staged')
      await rotator.verify(step)
      await rotator.promote(step)
      assert.ok((await works(current)) && (await works(next)), 'promoted')
      await rotator.retire(contextOf(next, current))
      assert.deepEqual([await works(current), await works(next)], [false, true])
      current = next
    }
  })
  says('a successor that is given up leaves the one in use as it was', async ({ rotator, ...scene }) => {
    const current = await scene.promoted(null)
    const unheard = await scene.proposed(current)
    await rotator.retire(scene.contextOf(current, unheard))
    assert.ok(await scene.works(current))
    const next = await scene.staged(current, await scene.proposed(current))
    for (const _ of [1, 2]) await rotator.retire(scene.contextOf(current, next))
    assert.deepEqual([await scene.works(current), await scene.works(next)], [true, false])
    const again = await scene.promoted(current)
    assert.ok((await scene.works(current)) && (await scene.works(again)))
  })
  says('no two values are alike, and nothing that the upstream writes down shows one', async scene => {
    const values = new Set<string>()
    for (let time = 0; time < 20; time += 1) values.add((await scene.proposed(null)).value.reveal())
    assert.equal(values.size, 20)
    const held = await scene.promoted(null)
    await scene.rotator.retire(scene.contextOf(null, held))
    scene.mustHide((await scene.upstream.written?.()) ?? '')
  })
}

function repeating<O>(says: Says<Versions<O>>): void {
  says('each step done twice is done once', async ({ rotator, ...scene }) => {
    const former = await scene.promoted(null)
    const stored = await scene.proposed(former)
    await scene.staged(former, stored)
    const next = await scene.staged(former, stored)
    const step = scene.contextOf(former, next)
    for (const act of ['verify', 'verify', 'promote', 'promote', 'stage', 'verify'] as const)
      await rotator[act](step)
    assert.ok((await scene.works(former)) && (await scene.works(next)))
    for (const _ of [1, 2]) await rotator.retire(scene.contextOf(next, former))
    assert.deepEqual([await scene.works(former), await scene.works(next)], [false, true])
  })
  says('a late repetition of what was retired harms no later version', async ({ rotator, ...scene }) => {
    const first = await scene.promoted(null)
    const second = await scene.promoted(first)
    await rotator.retire(scene.contextOf(second, first))
    const third = await scene.promoted(second)
    await scene.tried(() => rotator.retire(scene.contextOf(second, first)))
    assert.deepEqual([await scene.works(second), await scene.works(third)], [true, true])
  })
  for (const name of ['stage', 'verify', 'promote'] as const)
    says(`killed anywhere in ${name}, it is done again by another node from what was stored`, async scene => {
      const { rotator, contextOf, proposed, staged, works } = scene
      const current = await scene.promoted(null)
      await cutEverywhere(scene, async () => {
        const stored = await proposed(current)
        let next = name === 'stage' ? stored : await staged(current, stored)
        const stage = async (): Promise<void> => {
          next = await staged(current, stored)
        }
        return {
          act: name === 'stage' ? stage : () => rotator[name](contextOf(current, next)),
          async after() {
            await rotator.verify(contextOf(current, next))
            assert.ok((await works(current)) && (await works(next)))
            await rotator.retire(contextOf(current, next))
            assert.deepEqual([await works(current), await works(next)], [true, false])
          },
        }
      })
    })
  says('killed anywhere in retire, it is done again by another node', async scene => {
    const { rotator, contextOf, works } = scene
    let current = await scene.promoted(null)
    await cutEverywhere(scene, async () => {
      const former = current
      const next = await scene.promoted(former)
      current = next
      return {
        act: () => rotator.retire(contextOf(next, former)),
        after: async () => assert.deepEqual([await works(former), await works(next)], [false, true]),
      }
    })
  })
  says('two nodes at the same step come to the same end', async ({ rotator, ...scene }) => {
    const former = await scene.promoted(null)
    const stored = await scene.proposed(former)
    let next = stored
    const both = (act: () => Promise<unknown>): Promise<unknown> =>
      Promise.all([1, 2, 3].map(() => scene.tried(act)))
    await both(() => scene.staged(former, stored))
    next = await scene.staged(former, stored)
    for (const name of ['verify', 'promote'] as const)
      await both(() => rotator[name](scene.contextOf(former, next)))
    await rotator.verify(scene.contextOf(former, next))
    assert.ok((await scene.works(former)) && (await scene.works(next)))
    await both(() => rotator.retire(scene.contextOf(next, former)))
    await rotator.retire(scene.contextOf(next, former))
    assert.deepEqual([await scene.works(former), await scene.works(next)], [false, true])
  })
}

function refusing<O>(says: Says<Versions<O>>): void {
  says('a refusal is told as one, and nothing has changed', async ({ rotator, upstream, ...scene }) => {
    const current = await scene.promoted(null)
    const next = await scene.proposed(current)
    await upstream.refuse(true)
    await scene.refused('conflict', () => rotator.stage(scene.contextOf(current, next)))
    await scene.refused('conflict', () => rotator.retire(scene.contextOf(null, current)))
    await upstream.refuse(false)
    assert.deepEqual([await scene.works(current), await scene.works(next)], [true, false])
    const staged = await scene.staged(current, next)
    await rotator.verify(scene.contextOf(current, staged))
  })
  says('a version that the upstream does not know is not verified', async ({ rotator, ...scene }) => {
    const current = await scene.promoted(null)
    const next = await scene.staged(current, await scene.proposed(current))
    await rotator.retire(scene.contextOf(current, next))
    await scene.refused('conflict', () => rotator.verify(scene.contextOf(current, next)))
  })
  says('an upstream that is away is tried again', async ({ rotator, wire, ...scene }) => {
    const current = await scene.promoted(null)
    const next = await scene.proposed(current)
    const step = scene.contextOf(current, next)
    await wire.leave()
    await scene.refused('temporarily_unavailable', () => rotator.stage(step))
    await scene.refused('temporarily_unavailable', () => rotator.verify(step))
    await scene.refused('temporarily_unavailable', () => rotator.retire(scene.contextOf(null, current)))
    await wire.mend()
    await rotator.verify(scene.contextOf(current, await scene.staged(current, next)))
    assert.ok(await scene.works(current))
  })
  says(
    'whoever stops waiting is let go, before and while it is asked',
    async ({ rotator, wire, ...scene }) => {
      const current = await scene.promoted(null)
      const next = await scene.proposed(current)
      for (const name of ['stage', 'verify', 'retire'] as const) {
        const [about, beside] = name === 'retire' ? [current, null] : [next, current]
        const aborted = scene.contextOf(beside, about, { signal: AbortSignal.abort() })
        await scene.refused('temporarily_unavailable', () => rotator[name](aborted))
        wire.hang()
        const began = performance.now()
        const waiting = scene.contextOf(beside, about, { signal: AbortSignal.timeout(100) })
        await scene.refused('temporarily_unavailable', () => rotator[name](waiting))
        assert.ok(performance.now() - began < soonMs)
        await wire.mend()
      }
      assert.ok(await scene.works(current))
    },
  )
}

function seeing<O>(says: Says<Versions<O>>): void {
  says('who is connected is seen, and is let go when the version is retired', async scene => {
    const { rotator, contextOf, upstream } = scene
    assert.ok(rotator.sessions && upstream.enter, 'the harness opens sessions')
    const former = await scene.promoted(null)
    const next = await scene.promoted(former)
    const about = contextOf(next, former)
    assert.deepEqual(await rotator.sessions(about), [])
    const [isOldOpen, isNewOpen] = [await upstream.enter(former.value), await upstream.enter(next.value)]
    const users = await rotator.sessions(about)
    assert.equal(users.length, 1)
    const [user] = users
    assert.match(user?.from ?? '', /127\.0\.0\.1|::1/)
    assert.ok(Math.abs((user?.lastUsedAt ?? 0) - about.now) < 60)
    assert.ok(!inspect(users, { depth: 10 }).includes(former.value.reveal()))
    await rotator.retire(about)
    assert.deepEqual(await rotator.sessions(about), [])
    assert.deepEqual([await isOldOpen(), await isNewOpen()], [false, true])
  })
}
