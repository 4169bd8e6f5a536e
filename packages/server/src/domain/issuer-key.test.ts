// The life of issuer keys over random histories with clocks that are set: property 42 of the threat model.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { watchKeys } from '../keys/watch.ts'
import type { Versioned } from './change.ts'
import {
  activeOf,
  type IssuerKey,
  type IssuerKeyState,
  isPublished,
  isRotationDue,
  type KeyLife,
  moveKey,
  plan,
  stagedOf,
  type Times,
} from './issuer-key.ts'

const life: KeyLife = { tokenSeconds: 300, skewSeconds: 5 }
const publishSeconds = 120
const start = 1_000_000_000

const key = (kid: string, state: IssuerKeyState, at: number, activatesAt = at): Versioned<IssuerKey> => ({
  kid,
  purpose: 'token',
  alg: 'ES256',
  jwk: null,
  sealed: 'v1',
  state,
  createdAt: at,
  activatesAt,
  retiresAt: null,
  stateAt: at,
  version: 1,
})

const times = (now: number, seen = Number.POSITIVE_INFINITY): Times => ({
  now,
  latestAt: now,
  seenSeconds: () => seen,
})

interface Token {
  readonly kid: string
  readonly iat: number
  readonly exp: number
  /** When it has expired by true time; undefined where the clock that signed it was wrong. */
  readonly trueEnd: number | undefined
}

type Command =
  | { readonly do: 'wait' | 'set'; readonly seconds: number }
  | { readonly do: 'rotate' | 'sign' | 'restart' }

/** One node with a clock that is set, the true time beside it, and everything it ever signed. */
class World {
  keys: Versioned<IssuerKey>[] = [key('k0', 'active', start)]
  now = start
  true = start
  tokens: Token[] = []
  #made = 1
  #highest = start
  #watch = watchKeys(() => this.true)

  run(command: Command): void {
    if (command.do === 'wait') this.#pass(command.seconds)
    if (command.do === 'set') this.now += command.seconds
    if (command.do === 'rotate' && stagedOf(this.keys, 'token') === undefined) {
      this.keys.push(key(`k${this.#made++}`, 'staged', this.now, this.now + publishSeconds))
    }
    if (command.do === 'sign') this.#sign()
    // Nothing of the clock's past survives a restart while it runs ahead of nothing.
    if (command.do === 'restart' && this.now >= this.#highest) this.#watch = watchKeys(() => this.true)
    this.#tick()
    this.check()
  }

  // The loop looks each second; longer waits are cut so that it looks in between, too.
  #pass(seconds: number): void {
    for (let left = seconds; left > 0; left -= 60) {
      const step = Math.min(60, left)
      this.now += step
      this.true += step
      this.#tick()
      this.check()
    }
  }

  #tick(): void {
    this.#highest = Math.max(this.#highest, this.now)
    const steps = plan(this.keys, this.#watch.look(this.now, this.keys), life)
    for (const { from, to } of steps) {
      const at = this.keys.findIndex(each => each.kid === from.kid)
      assert.equal(this.keys[at]?.version, from.version)
      this.keys[at] = { ...to, version: from.version + 1 }
    }
  }

  #sign(): void {
    const signing = activeOf(this.keys, 'token')
    assert.ok(signing)
    const exp = this.now + life.tokenSeconds
    this.tokens.push({
      kid: signing.kid,
      iat: this.now,
      exp,
      trueEnd: this.now === this.true ? exp : undefined,
    })
  }

  check(): void {
    const signers = this.keys.filter(each => each.state === 'active')
    assert.equal(signers.length, 1, 'exactly one key signs at every instant')
    assert.ok(this.keys.filter(each => each.state === 'staged').length <= 1, 'one successor at most')
    assert.equal(new Set(this.keys.map(each => each.kid)).size, this.keys.length, 'no kid twice')
    const byKid = new Map(this.keys.map(each => [each.kid, each]))
    for (const token of this.tokens) {
      const its = byKid.get(token.kid)
      assert.ok(its)
      if (token.iat <= this.now + life.skewSeconds && this.now < token.exp) {
        assert.ok(isPublished(its, this.now), 'unexpired by our clock: its key is in the JWKS')
      }
      if (token.trueEnd !== undefined && this.true < token.trueEnd) {
        assert.notEqual(its.state, 'retired', 'unexpired in truth: its key has not gone')
      }
    }
  }
}

const commands = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ do: fc.constant('wait' as const), seconds: fc.integer({ min: 1, max: 400 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('set' as const),
        seconds: fc.oneof(
          fc.constantFrom(-34_560_000, -3600, -60, -1, 1, 60, 3600, 34_560_000),
          fc.integer({ min: -2000, max: 2000 }),
        ),
      }),
    },
    { weight: 3, arbitrary: fc.constant({ do: 'rotate' as const }) },
    { weight: 5, arbitrary: fc.constant({ do: 'sign' as const }) },
    { weight: 1, arbitrary: fc.constant({ do: 'restart' as const }) },
  ),
  { maxLength: 60, size: 'max' },
)

test('the JWKS holds the key of every unexpired token at every instant, however the clock is set', () => {
  let rotations = 0
  let gone = 0
  fc.assert(
    fc.property(commands, history => {
      const world = new World()
      for (const command of history) world.run(command)
      rotations += world.keys.length - 1
      gone += world.keys.filter(each => each.state === 'retired').length
    }),
    { numRuns: 3000 },
  )
  // The property means nothing over histories in which nothing happens.
  assert.ok(rotations > 1000 && gone > 100, `${rotations} rotations, ${gone} keys retired`)
})

test('whatever happened to the clock, a staged key signs and its predecessor goes once the clock runs steadily', () => {
  fc.assert(
    fc.property(commands, history => {
      const world = new World()
      for (const command of history) world.run(command)
      world.now = Math.max(world.now, world.true)
      world.run({ do: 'wait', seconds: 600 })
      const before = activeOf(world.keys, 'token')?.kid
      world.run({ do: 'rotate' })
      assert.ok(stagedOf(world.keys, 'token'))
      world.run({ do: 'wait', seconds: publishSeconds })
      assert.notEqual(activeOf(world.keys, 'token')?.kid, before)
      assert.equal(stagedOf(world.keys, 'token'), undefined)
    }),
    { numRuns: 500 },
  )
})

test('a staged key takes over at its instant and not a second before', () => {
  const keys = [key('old', 'active', start), key('new', 'staged', start, start + 120)]
  assert.deepEqual(plan(keys, times(start + 119), life), [])
  const steps = plan(keys, times(start + 120), life)
  assert.deepEqual(
    steps.map(({ move, to }) => [move, to.kid, to.state, to.stateAt]),
    [
      ['supersede', 'old', 'retiring', start + 120],
      ['activate', 'new', 'active', start + 120],
    ],
  )
  assert.equal(steps[0]?.to.retiresAt, start + 120 + 300 + 5)
})

test('a retiring key stays until its last token has expired by every clock', () => {
  const retiring = { ...key('old', 'retiring', start), retiresAt: start + 305 }
  const keys = [retiring, key('new', 'active', start)]
  assert.deepEqual(plan(keys, times(start + 304), life), [])
  // The clock was set forwards by 400 days: by a clock that cannot be set, only two seconds went by.
  assert.deepEqual(plan(keys, times(start + 34_560_000, 2), life), [])
  assert.deepEqual(
    plan(keys, times(start + 305, 305), life).map(({ move, to }) => [move, to.kid, to.state]),
    [['retire', 'old', 'retired']],
  )
})

test('a key staged by a clock that ran ahead is not waited for until that future comes', () => {
  const keys = [key('old', 'active', start), key('new', 'staged', start + 34_560_000, start + 34_560_120)]
  assert.deepEqual(plan(keys, times(start + 10, 119), life), [])
  assert.equal(plan(keys, times(start + 10, 120), life).length, 2)
})

test('a token signed while the clock ran ahead keeps its key in the JWKS after the clock was set back', () => {
  const keys = [key('old', 'active', start), key('new', 'staged', start, start + 120)]
  const steps = plan(keys, { ...times(start + 120), latestAt: start + 5000 }, life)
  assert.equal(steps[0]?.to.retiresAt, start + 5000 + 305)
})

test('a key superseded after another node with a fast clock wrote one stays as long as that clock demands', () => {
  const ahead = { ...key('gone', 'retired', start), stateAt: start + 900, retiresAt: start + 900 }
  const keys = [ahead, key('old', 'active', start), key('new', 'staged', start, start + 120)]
  assert.equal(plan(keys, times(start + 120), life)[0]?.to.retiresAt, start + 900 + 305)
})

test('a purpose with two signers is left for a person to judge', () => {
  const keys = [key('a', 'active', start), key('b', 'active', start), key('c', 'staged', start)]
  assert.deepEqual(plan(keys, times(start + 120), life), [])
})

test('of two that wait only the first takes over', () => {
  const keys = [key('a', 'active', start), key('b', 'staged', start), key('c', 'staged', start)]
  assert.deepEqual(
    plan(keys, times(start + 120), life).map(({ to }) => to.kid),
    ['a', 'b'],
  )
})

test('a retired key is published again while the clock is before its end', () => {
  const retired = { state: 'retired' as const, retiresAt: start + 305 }
  assert.equal(isPublished(retired, start + 304), true)
  assert.equal(isPublished(retired, start + 305), false)
  assert.equal(isPublished({ state: 'retired', retiresAt: null }, start), false)
})

test('no state can be skipped or entered twice', () => {
  const states: IssuerKeyState[] = ['staged', 'active', 'retiring', 'retired']
  const allowed = { activate: 'staged', supersede: 'active', retire: 'retiring' } as const
  for (const [move, from] of Object.entries(allowed)) {
    for (const state of states) {
      const attempt = (): IssuerKey => moveKey(key('k', state, start), move as keyof typeof allowed, start)
      if (state === from) assert.notEqual(attempt().state, state)
      else assert.throws(attempt, /cannot/)
    }
  }
})

test('nobody signs where two keys of one purpose claim to be active', () => {
  assert.equal(activeOf([key('a', 'active', start), key('b', 'active', start)], 'token'), undefined)
  assert.equal(activeOf([key('a', 'active', start)], 'checkpoint'), undefined)
})

test('a key is due for rotation after its time, unless a successor waits', () => {
  const active = key('a', 'active', start)
  assert.equal(isRotationDue([active], 'token', start + 99, 100), false)
  assert.equal(isRotationDue([active], 'token', start + 100, 100), true)
  assert.equal(isRotationDue([active, key('b', 'staged', start)], 'token', start + 100, 100), false)
  assert.equal(isRotationDue([], 'token', start + 100, 100), false)
})

test('a key that is cut is published by no clock, and one that is given up never signed', () => {
  const active = { ...key('k', 'active', start), retiresAt: null }
  const retiring = { ...key('k', 'retiring', start), retiresAt: start + 500 }
  for (const cut of [moveKey(active, 'cut', start + 1), moveKey(retiring, 'cut', start + 1)]) {
    assert.deepEqual([cut.state, cut.retiresAt], ['retired', null])
    for (const now of [0, start, start + 1000]) assert.equal(isPublished(cut, now), false)
  }
  const abandoned = moveKey(key('k', 'staged', start), 'abandon', start + 1)
  assert.equal(isPublished(abandoned, 0), false)
  for (const state of ['staged', 'retired'] as const) {
    assert.throws(() => moveKey(key('k', state, start), 'cut', start), /cannot cut/)
  }
  for (const state of ['active', 'retiring', 'retired'] as const) {
    assert.throws(() => moveKey(key('k', state, start), 'abandon', start), /cannot abandon/)
  }
})
