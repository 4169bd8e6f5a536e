// Where rotators are held to their contract: a real upstream, a wire to it that can be cut, and an eye on every error.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { type Code, type Fault, isFault } from '@writ/sdk/protocol/fault'
import { Secret } from '@writ/sdk/protocol/secret'
import type { z } from 'zod'
import { type Lost, stretch, type Wire } from './wire.ts'

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

export interface Harness {
  /** Makes one whose port is reached by `through`: what the rotator is told is the port that it answers. */
  open(through: (port: number) => Promise<number>): Promise<Upstream>
  /** Epoch seconds, where the upstream goes by the clock; otherwise any instant will do. */
  now?(): number
  /** Changes of the options of which each has to be refused, with what an attacker would write there. */
  readonly hostile: readonly Readonly<Record<string, unknown>>[]
  /** What of a value is secret, where that is not the whole. */
  secretsOf?(value: string): readonly string[]
}

/** What one test has: the upstream, the wire to it, and the promise that nothing it saw showed a secret. */
export interface Scene<O> {
  readonly upstream: Upstream
  readonly wire: Wire
  readonly options: O
  /** Remembers a value that nothing may show. */
  keep<T extends { readonly value: Secret<string> } | Secret<string>>(kept: T): T
  now(): number
  /** Throws where a text shows one. */
  mustHide(text: string): void
  secret(name: string): Promise<Secret<string>>
  /** The fault of an act that has to be refused: with this code, a sentence, and no secret anywhere in it. */
  refused(code: Code, act: () => Promise<unknown>): Promise<Fault>
  /** Acts; a failure has to be one that is tried again. Answers whether it was done. */
  tried(act: () => Promise<unknown>): Promise<boolean>
}

export type Says<S> = (title: string, body: (scene: S) => Promise<void>) => void

export const soonMs = 5000
const losses: readonly Lost[] = ['request', 'answer']
/** More pieces than any step sends: a step that is still cut then does not come to its end. */
const mostPieces = 60

function sceneOf<O>(
  { secretsOf, now = () => 1_800_000_000 }: Harness,
  upstream: Upstream,
  [wire, options]: [Wire, O],
): Scene<O> {
  const kept = new Set<string>()
  const keepText = (text: string): void => {
    for (const part of secretsOf?.(text) ?? [text]) kept.add(part)
  }
  Object.values(upstream.secrets).forEach(keepText)
  const mustHide = (text: string): void => {
    for (const secret of kept) assert.ok(!text.includes(secret), 'a secret is shown')
  }
  const faultOf = async (act: () => Promise<unknown>): Promise<Fault | undefined> => {
    try {
      await act()
      return undefined
    } catch (error) {
      const shown = `${inspect(error, { depth: 10, showHidden: true })} ${JSON.stringify(error)} ${String(error)}`
      mustHide(shown)
      assert.ok(isFault(error), shown)
      assert.match(error.message, /^[^\p{Cc}]{10,500}$/u)
      return error
    }
  }
  return {
    upstream,
    wire,
    options,
    now,
    mustHide,
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

export function saying<O, S extends Scene<O>>(
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
export async function cutEverywhere<O>(
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

export function strict<O>(name: string, harness: Harness, options: z.ZodType<O>): void {
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
