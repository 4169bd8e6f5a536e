// What every rotator of leases is held to: a value per lease, made once however often it is asked for, and ended for good.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Secret } from '@writ/sdk/protocol/secret'
import {
  cutEverywhere,
  type Harness,
  type Says,
  type Scene,
  saying,
  soonMs,
  strict,
} from './contract-scene.ts'
import type { LeaseContext, LeaseRotator } from './rotator.ts'

export interface LeaseRotatorHarness<O> extends Harness {
  readonly rotator: LeaseRotator<O>
  /** Whether the upstream ends a value at its end without being told. */
  readonly endsByItself: boolean
}

interface Leases<O> extends Scene<O> {
  readonly rotator: LeaseRotator<O>
  /** A handle that no other lease has. */
  fresh(): string
  contextOf(handle: string, more?: Partial<LeaseContext<O>>): LeaseContext<O>
  /** Issues a value for it. */
  issued(handle: string): Promise<Secret<string>>
}

const leaseSeconds = 600

/** Registers the tests that a rotator of leases has to pass. */
export function leaseRotatorContract<O>(name: string, harness: LeaseRotatorHarness<O>): void {
  const { rotator, endsByItself } = harness
  strict(name, harness, rotator.options)
  const options = (given: object): O => rotator.options.parse(given)
  const says = saying<O, Leases<O>>({ name, harness, options }, scene => leasesOf(scene, rotator))
  living(says)
  repeating(says)
  refusing(says)
  if (endsByItself) ending(says)
}

function leasesOf<O>(scene: Scene<O>, rotator: LeaseRotator<O>): Leases<O> {
  const contextOf: Leases<O>['contextOf'] = (handle, more) => {
    const now = scene.now()
    const { options, secret } = scene
    const signal = new AbortController().signal
    const secretName = 'held-to-contract'
    return { options, secretName, handle, expiresAt: now + leaseSeconds, secret, now, signal, ...more }
  }
  return {
    ...scene,
    rotator,
    fresh: () => rotator.handleOf(scene.options, lettersOf(randomBytes(26))),
    contextOf,
    issued: async handle => scene.keep(await rotator.issue(contextOf(handle))),
  }
}

function lettersOf(bytes: Uint8Array): string {
  return [...bytes].map(byte => 'abcdefghijklmnopqrstuvwxyz234567'[byte & 31]).join('')
}

/** The names of everything that looks like one of ours, in order. */
async function handlesOf<O>({ rotator, contextOf }: Leases<O>): Promise<readonly string[]> {
  const { handle: _, expiresAt: __, ...context } = contextOf('')
  return [...(await rotator.handles(context))].sort()
}

function living<O>(says: Says<Leases<O>>): void {
  says('each lease has a value of its own, which works until it is ended and never again', async scene => {
    const { rotator, contextOf, upstream } = scene
    const [one, two] = [scene.fresh(), scene.fresh()]
    const [first, second] = [await scene.issued(one), await scene.issued(two)]
    assert.notEqual(first.reveal(), second.reveal())
    assert.ok((await upstream.worksWith(first, one)) && (await upstream.worksWith(second, two)))
    await rotator.revoke(contextOf(one))
    assert.deepEqual(
      [await upstream.worksWith(first, one), await upstream.worksWith(second, two)],
      [false, true],
    )
    await rotator.revoke(contextOf(two))
    assert.equal(await upstream.worksWith(second, two), false)
  })
  says('every handle that is there is found, and no other', async scene => {
    assert.deepEqual(await handlesOf(scene), [])
    const all = [scene.fresh(), scene.fresh(), scene.fresh()].sort()
    for (const handle of all) await scene.issued(handle)
    assert.deepEqual(await handlesOf(scene), all)
    for (const handle of all.slice(1)) await scene.rotator.revoke(scene.contextOf(handle))
    assert.deepEqual(await handlesOf(scene), all.slice(0, 1))
  })
  says('whoever is connected is let go at the end of the lease', async scene => {
    const { upstream } = scene
    if (upstream.enter === undefined) return
    const [one, two] = [scene.fresh(), scene.fresh()]
    const isOpen = await upstream.enter(await scene.issued(one))
    const isOtherOpen = await upstream.enter(await scene.issued(two))
    await scene.rotator.revoke(scene.contextOf(one))
    assert.deepEqual([await isOpen(), await isOtherOpen()], [false, true])
  })
  says('nothing that the upstream writes down shows a value', async scene => {
    const handle = scene.fresh()
    const value = await scene.issued(handle)
    await scene.rotator.revoke(scene.contextOf(handle))
    scene.mustHide((await scene.upstream.written?.()) ?? '')
    assert.ok(!handle.includes(value.reveal()))
  })
}

function repeating<O>(says: Says<Leases<O>>): void {
  says('asked for twice there is one, and the last answer is the one that works', async scene => {
    const handle = scene.fresh()
    await scene.issued(handle)
    const value = await scene.issued(handle)
    assert.ok(await scene.upstream.worksWith(value, handle))
    assert.deepEqual(await handlesOf(scene), [handle])
    for (const _ of [1, 2, 3]) await scene.rotator.revoke(scene.contextOf(handle))
    assert.equal(await scene.upstream.worksWith(value, handle), false)
  })
  says('what was never made is ended', async scene => scene.rotator.revoke(scene.contextOf(scene.fresh())))
  says('killed anywhere while it is made, it is made again, or ended', async scene => {
    const { rotator, contextOf, upstream } = scene
    await cutEverywhere(scene, async () => {
      const handle = scene.fresh()
      let value: Secret<string> | undefined
      return {
        async act() {
          value = await scene.issued(handle)
        },
        async after() {
          assert.ok(value && (await upstream.worksWith(value, handle)))
          await rotator.revoke(contextOf(handle))
          assert.deepEqual(await handlesOf(scene), [])
        },
      }
    })
  })
  says('killed anywhere while it is ended, it is ended again by another node', async scene => {
    const { rotator, contextOf, upstream } = scene
    await cutEverywhere(scene, async () => {
      const handle = scene.fresh()
      const value = await scene.issued(handle)
      return {
        act: () => rotator.revoke(contextOf(handle)),
        async after() {
          assert.equal(await upstream.worksWith(value, handle), false)
          assert.deepEqual(await handlesOf(scene), [])
        },
      }
    })
  })
  says('two nodes that issue the same lease at once leave one value, which works', async scene => {
    const handle = scene.fresh()
    await Promise.all([1, 2, 3].map(() => scene.tried(() => scene.issued(handle))))
    const value = await scene.issued(handle)
    assert.ok(await scene.upstream.worksWith(value, handle))
    assert.deepEqual(await handlesOf(scene), [handle])
    await scene.rotator.revoke(scene.contextOf(handle))
    assert.deepEqual(await handlesOf(scene), [])
  })
  says('twenty at once get a value each, and two nodes end them at once', async scene => {
    const handles = Array.from({ length: 20 }, () => scene.fresh())
    const values = await Promise.all(handles.map(handle => scene.issued(handle)))
    assert.equal(new Set(values.map(value => value.reveal())).size, handles.length)
    for (const [at, value] of values.entries())
      assert.ok(await scene.upstream.worksWith(value, handles[at] ?? null))
    const twice = [...handles, ...handles].map(handle =>
      scene.tried(() => scene.rotator.revoke(scene.contextOf(handle))),
    )
    await Promise.all(twice)
    for (const handle of handles) await scene.rotator.revoke(scene.contextOf(handle))
    assert.deepEqual(await handlesOf(scene), [])
  })
}

function refusing<O>(says: Says<Leases<O>>): void {
  says('a refusal is told as one, and nothing is left of it', async scene => {
    const { rotator, contextOf, upstream } = scene
    const [made, wanted] = [scene.fresh(), scene.fresh()]
    const value = await scene.issued(made)
    await upstream.refuse(true)
    await scene.refused('conflict', () => rotator.issue(contextOf(wanted)))
    await scene.refused('conflict', () => rotator.revoke(contextOf(made)))
    await upstream.refuse(false)
    assert.deepEqual(await handlesOf(scene), [made])
    assert.ok(await upstream.worksWith(value, made))
    await rotator.revoke(contextOf(made))
  })
  says('a handle that was not made for a lease is not touched', async scene => {
    const { rotator, contextOf } = scene
    const handle = scene.fresh()
    const value = await scene.issued(handle)
    const wrong = [
      '',
      'postgres',
      `${handle}"`,
      `${handle}\u0000`,
      `${handle} `,
      `${handle}'; --`,
      `x${handle}`,
    ]
    for (const one of [...wrong, handle.slice(0, -1), `${handle}a`, handle.toUpperCase()]) {
      await scene.refused('conflict', () => rotator.revoke(contextOf(one)))
      await scene.refused('conflict', () => rotator.issue(contextOf(one)))
    }
    assert.ok(await scene.upstream.worksWith(value, handle))
  })
  says('an upstream that is away is tried again', async scene => {
    const { rotator, contextOf, wire } = scene
    const handle = scene.fresh()
    await wire.leave()
    await scene.refused('temporarily_unavailable', () => rotator.issue(contextOf(handle)))
    await scene.refused('temporarily_unavailable', () => rotator.revoke(contextOf(handle)))
    await scene.refused('temporarily_unavailable', () => handlesOf(scene))
    await wire.mend()
    assert.ok(await scene.upstream.worksWith(await scene.issued(handle), handle))
  })
  says('an upstream that was away between two leases is not missed', async scene => {
    for (const _ of [1, 2, 3]) {
      await scene.issued(scene.fresh())
      await scene.wire.leave()
      await scene.wire.mend()
    }
  })
  says('whoever stops waiting is let go, before and while it is asked', async scene => {
    const { rotator, wire } = scene
    const handle = scene.fresh()
    await scene.issued(handle)
    for (const name of ['issue', 'revoke'] as const) {
      const aborted = scene.contextOf(handle, { signal: AbortSignal.abort() })
      await scene.refused('temporarily_unavailable', async () => void (await rotator[name](aborted)))
      wire.hang()
      const began = performance.now()
      const waiting = scene.contextOf(handle, { signal: AbortSignal.timeout(100) })
      await scene.refused('temporarily_unavailable', async () => void (await rotator[name](waiting)))
      assert.ok(performance.now() - began < soonMs)
      await wire.mend()
    }
    await rotator.revoke(scene.contextOf(handle))
    assert.deepEqual(await handlesOf(scene), [])
  })
}

function ending<O>(says: Says<Leases<O>>): void {
  says('the upstream ends it at its end, even where nobody comes', async scene => {
    const handle = scene.fresh()
    const expiresAt = scene.now() + 2
    const value = scene.keep(await scene.rotator.issue(scene.contextOf(handle, { expiresAt })))
    assert.ok(await scene.upstream.worksWith(value, handle))
    for (
      const deadline = performance.now() + 20_000;
      await scene.upstream.worksWith(value, handle);
      await pause(100)
    )
      assert.ok(performance.now() < deadline, 'it still works')
    assert.ok(scene.now() >= expiresAt)
  })
}
