// What every rotator is held to, whatever it rotates: a way from the old to the new that can be cut anywhere.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { type Code, type Fault, isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import type { Held, LeaseRotator, Rotator, RotatorContext } from './rotator.ts'
import { type Lost, stretch, type Wire } from './testing/wire.ts'

/** A real upstream, of its own for one test. */
export interface Upstream {
  /** As a person writes them; whatever the rotator connects to is reached through the wire. */
  readonly options: Readonly<Record<string, unknown>>
  /** The other secrets of the vault that they name. */
  readonly secrets: Readonly<Record<string, string>>
  /** Whether somebody who has it is let in now; asked past the wire. */
  worksWith(value: Secret<string>, handle: string | null): Promise<boolean>
  /** Whether it refuses, from now on, whatever the administrator of the rotator wants to change. */
  refuse(isRefusing: boolean): Promise<void>
  /** Everything that it wrote down about what it was asked, where it can be read. */
  written?(): Promise<string>
  /** A session that stays open; answers whether it still is. */
  enter?(value: Secret<string>): Promise<() => Promise<boolean>>
  close(): Promise<void>
}

interface Harness {
  /** Makes one whose port is reached by `through`: what the rotator is told is the port that it answers. */
  open(through: (port: number) => Promise<number>): Promise<Upstream>
  /** Changes of the options of which each has to be refused, with what an attacker would write there. */
  readonly hostile: readonly Readonly<Record<string, unknown>>[]
  /** What of a value is secret, where that is not the whole. */
  secretsOf?(value: string): readonly string[]
}

export interface RotatorHarness<O> extends Harness {
  readonly rotator: Rotator<O>
}

export interface LeaseRotatorHarness<O> extends Harness {
  readonly rotator: LeaseRotator<O>
  /** Whether the upstream ends a value at its end without being told. */
  readonly endsByItself: boolean
}

/** What one test has: the upstream, the wire to it, and the promise that nothing it saw showed a secret. */
interface Scene<O> {
  readonly upstream: Upstream
  readonly wire: Wire
  readonly options: O
  /** Remembers a value that nothing may show. */
  keep<T extends { readonly value: Secret<string> } | Secret<string>>(kept: T): T
  secret(name: string): Promise<Secret<string>>
  /** The fault of an act that has to be refused: with this code, a sentence, and no secret anywhere in it. */
  refused(code: Code, act: () => Promise<unknown>): Promise<Fault>
  /** Acts; a failure has to be one that is tried again. Answers whether it was done. */
  tried(act: () => Promise<unknown>): Promise<boolean>
}

type Says<S> = (title: string, body: (scene: S) => Promise<void>) => void

const soonMs = 5000
const losses: readonly Lost[] = ['request', 'answer']
/** More pieces than any step sends: a step that is still cut then does not come to its end. */
const mostPieces = 60

function sceneOf<O>({ secretsOf }: Harness, upstream: Upstream, [wire, options]: [Wire, O]): Scene<O> {
  const kept = new Set<string>()
  const keepText = (text: string): void => {
    for (const part of secretsOf?.(text) ?? [text]) kept.add(part)
  }
  Object.values(upstream.secrets).forEach(keepText)
  const faultOf = async (act: () => Promise<unknown>): Promise<Fault | undefined> => {
    try {
      await act()
      return undefined
    } catch (error) {
      const shown = `${inspect(error, { depth: 10, showHidden: true })} ${JSON.stringify(error)} ${String(error)}`
      for (const secret of kept) assert.ok(!shown.includes(secret), 'an error shows a secret')
      assert.ok(isFault(error), shown)
      assert.match(error.message, /^[^\p{Cc}]{10,500}$/u)
      return error
    }
  }
  return {
    upstream,
    wire,
    options,
    keep(value) {
      keepText((value instanceof Secret ? value : value.value).reveal())
      return value
    },
    async secret(name) {
      const value = upstream.secrets[name]
      assert.ok(value !== undefined, `the rotator asked for a secret that its options do not name: ${name}`)
      return new Secret(value)
    },
    async refused(code, act) {
      const fault = await faultOf(act)
      assert.equal(fault?.code, code, fault?.message ?? 'it was not refused')
      return fault as Fault
    },
    async tried(act) {
      const fault = await faultOf(act)
      assert.ok(fault === undefined || fault.code === 'temporarily_unavailable', fault?.message)
      return fault === undefined
    },
  }
}

function saying<O, S extends Scene<O>>(
  { name, harness, options }: { name: string; harness: Harness; options: (given: object) => O },
  widen: (scene: Scene<O>) => S,
): Says<S> {
  return (title, body) =>
    void test(`${name}: ${title}`, async t => {
      let wire: Wire | undefined
      const upstream = await harness.open(async port => {
        wire = await stretch(port)
        return wire.port
      })
      t.after(async () => {
        await wire?.close()
        await upstream.close()
      })
      assert.ok(wire, 'the upstream is reached through the wire')
      await body(widen(sceneOf(harness, upstream, [wire, options(upstream.options)])))
    })
}

/** Cuts the wire at each piece in turn, both ways, until the act comes through; after each cut it is done again. */
async function cutEverywhere<O>(
  { wire, tried }: Scene<O>,
  round: () => Promise<{ act: () => Promise<unknown>; after: () => Promise<void> }>,
): Promise<void> {
  for (const lost of losses) {
    for (let nth = 1; ; nth += 1) {
      assert.ok(nth < mostPieces, 'it does not come to its end')
      const { act, after } = await round()
      wire.cut(lost, nth)
      const isDone = await tried(act)
      const { wasCut } = wire
      await wire.mend()
      assert.ok(wasCut || isDone, 'it failed on a whole wire')
      await act()
      await after()
      if (!wasCut) break
    }
  }
}

function strict<O>(name: string, harness: Harness, options: Rotator<O>['options']): void {
  const says = (title: string, body: (given: Readonly<Record<string, unknown>>) => void): void =>
    void test(`${name}: ${title}`, async t => {
      const upstream = await harness.open(async port => port)
      t.after(() => upstream.close())
      body(upstream.options)
    })
  says('options with an unknown or a missing member, or of another type, are refused', given => {
    assert.ok(options.safeParse(given).success)
    for (const wrong of [
      null,
      [],
      'options',
      1,
      { ...given, unknown: 1 },
      { ...given, __proto__: null, x: 1 },
    ])
      assert.ok(!options.safeParse(wrong).success, JSON.stringify(wrong))
    assert.ok(!options.safeParse({}).success)
    for (const name of Object.keys(given))
      for (const value of [null, { $ne: 1 }, () => 1, '\u0000'])
        assert.ok(!options.safeParse({ ...given, [name]: value }).success, name)
  })
  says('options with what an attacker would write there are refused', given => {
    assert.ok(harness.hostile.length > 0)
    for (const change of harness.hostile)
      assert.ok(!options.safeParse({ ...given, ...change }).success, JSON.stringify(change))
  })
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
    now: Math.floor(Date.now() / 1000),
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
    const written = (await scene.upstream.written?.()) ?? ''
    assert.ok(!written.includes(held.value.reveal()))
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
