// The engine on a real store, with kinds that misbehave: refuse, are away, crash, race, sleep past their lease.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import { type DrainFacts, moveRotation, newRotation, type Rotation } from '../domain/rotation.ts'
import { defaultTenant } from '../domain/tenant.ts'
import { openStore } from '../store/sql/open.ts'
import type { Store } from '../store/store.ts'
import { advanceRotations, decideBeginning, type EngineDeps, entryOf } from './engine.ts'
import type { Kind, Look } from './kind.ts'

const start = 1_700_000_000
const rules = { drainSeconds: 10, drainLimitSeconds: 100, spreadSeconds: 0 }

const ctxAt = (now: number): Ctx => ({
  tenant: defaultTenant,
  issuer: 'https://issuer.example',
  now,
  nowMs: now * 1000,
  requestId: `request-${now}`,
  traceId: undefined,
  peer: undefined,
  note: () => undefined,
})

interface Script {
  /** What a look does; the rotation as it stands is given. */
  look(ctx: Ctx, rotation: Rotation): Look | Promise<Look>
  unforced?: string
  facts?: () => DrainFacts
}

const scripted = (script: Script): Kind => ({
  kind: 'secret',
  proof: 'last_use',
  ...(script.unforced !== undefined && { unforced: script.unforced }),
  targets: async () => ({ items: [], next: null }),
  async begin(ctx, deps, ask) {
    const about = {
      id: newId('rot', deps.randomBytes),
      kind: 'secret' as const,
      target: ask.target,
      owner: 'usr_owner',
      reason: ask.reason,
      from: 'v1',
      proof: 'last_use' as const,
      limitAt: ctx.now + 50,
      emergency: ask.emergency,
    }
    return { rotation: newRotation(about, ctx.now), parts: {} }
  },
  look: async (ctx, _deps, { version: _, ...rotation }) => script.look(ctx, rotation),
  drain: async () => script.facts?.() ?? { proof: 'last_use', users: [] },
  reach: async () => [],
  holders: async () => [],
})

interface Site {
  readonly store: Store
  readonly deps: EngineDeps
  readonly bugs: unknown[]
  begin(target?: string, emergency?: boolean): Promise<Rotation>
  at(now: number): Promise<number>
  see(id: string): Promise<Rotation>
}

async function site(t: TestContext, script: Script): Promise<Site> {
  const store = await openStore({ kind: 'sqlite', file: ':memory:' }, { randomBytes })
  t.after(() => store.close())
  await store.tenants.ensure({ id: defaultTenant, issuer: 'https://issuer.example', createdAt: start })
  const bugs: unknown[] = []
  const kindDeps = { store, rules, randomBytes, signal: new AbortController().signal }
  const deps: EngineDeps = {
    kinds: [scripted(script)],
    commit: store.commit,
    onError: (_rotation, error) => void bugs.push(error),
    kindDeps: kindDeps as Partial<EngineDeps['kindDeps']> as EngineDeps['kindDeps'],
  }
  return {
    store,
    deps,
    bugs,
    async begin(target = 'sec_1', emergency = false) {
      const ask = { target, reason: 'test', batch: null, emergency, alg: null }
      const { rotation, change } = await decideBeginning(ctxAt(start), deps, 'secret', ask)
      const entries = [entryOf(ctxAt(start), 'rotation.begun', rotation)] as const
      const committed = await store.commit(ctxAt(start), { ...change, entries })
      if (committed.kind !== 'done') throw new Fault('conflict', committed.kind)
      return rotation
    },
    at: now => advanceRotations(ctxAt(now), deps, undefined),
    async see(id) {
      const { version: _, ...rotation } = (await store.rotations.get(ctxAt(start), id)) ?? {}
      return rotation as Rotation
    },
  }
}

const move =
  (...moves: Parameters<typeof moveRotation>[1][]) =>
  (ctx: Ctx, rotation: Rotation): Look => ({
    rotation: moves.reduce((one, next) => moveRotation(one, next, ctx.now), rotation),
  })

/** One move with each look, until the end. */
const oneByOne = (ctx: Ctx, rotation: Rotation): Look => {
  const next = { staged: 'promote', active: 'drain', retiring: 'retire' } as const
  const moved = moveRotation(rotation, next[rotation.state as keyof typeof next], ctx.now)
  return { rotation: moved }
}

test('what has nothing to wait for goes to its end in one run, with an entry for each move', async t => {
  const { store, begin, at, see } = await site(t, { look: oneByOne })
  const { id } = await begin()
  assert.equal(await at(start), 3)
  assert.equal((await see(id)).state, 'retired')
  const entries = await store.log.find(ctxAt(start), {}, -1, 10)
  assert.deepEqual(
    entries.map(({ text }) => JSON.parse(text).type),
    ['rotation.begun', 'rotation.active', 'rotation.retiring', 'rotation.retired'],
  )
  assert.equal(await at(start + 1000), 0)
})

test('an upstream that is away is tried again ever more slowly, and blocks the rotation at its limit', async t => {
  let looks = 0
  const away = () => {
    looks += 1
    throw new Fault('temporarily_unavailable', 'The database does not answer.')
  }
  const { begin, at, see } = await site(t, { look: away })
  const { id } = await begin()
  for (let now = start; now < start + 49; now += 1) await at(now)
  assert.ok(looks >= 4 && looks <= 7, `${looks} looks`)
  assert.deepEqual(
    [(await see(id)).state, (await see(id)).problem],
    ['staged', 'The database does not answer.'],
  )
  for (let now = start + 50; now < start + 130; now += 1) await at(now)
  const blocked = await see(id)
  assert.deepEqual([blocked.state, blocked.resumes], ['blocked', 'staged'])
  assert.equal(blocked.problem, 'The database does not answer.')
})

test('an upstream that refuses blocks at once, and the rotation goes on by itself once it was mended', async t => {
  let isMended = false
  const { begin, at, see } = await site(t, {
    look: (ctx, rotation) => {
      if (!isMended) throw new Fault('conflict', 'The role may not be changed; grant it.')
      return oneByOne(ctx, rotation)
    },
  })
  const { id } = await begin()
  await at(start)
  assert.deepEqual(
    [(await see(id)).state, (await see(id)).problem],
    ['blocked', 'The role may not be changed; grant it.'],
  )
  isMended = true
  await at(start + 61)
  assert.equal((await see(id)).state, 'retired')
})

test('one that does not go on by its limit is blocked and names its owner, and is not touched meanwhile', async t => {
  let isDrained = false
  const { begin, at, see } = await site(t, {
    look: (ctx, rotation) => {
      if (rotation.state === 'staged') return move('promote')(ctx, rotation)
      if (!isDrained) return { rotation: { ...rotation, dueAt: ctx.now + 5 } }
      return move('drain', 'retire')(ctx, rotation)
    },
  })
  const { id } = await begin()
  await at(start)
  assert.equal((await see(id)).limitAt, start + rules.drainLimitSeconds)
  for (let now = start; now <= start + 99; now += 1) await at(now)
  assert.equal((await see(id)).state, 'active')
  for (let now = start + 100; now <= start + 110; now += 1) await at(now)
  const blocked = await see(id)
  assert.equal(blocked.state, 'blocked')
  assert.match(blocked.problem ?? '', /usr_owner, or end it by force/)
  isDrained = true
  for (let now = start + 111; now <= start + 300; now += 1) await at(now)
  assert.equal((await see(id)).state, 'retired')
})

test('nobody is told to end by force what is not', async t => {
  const { begin, at, see } = await site(t, {
    unforced: 'It would be lost.',
    look: (ctx, rotation) =>
      rotation.state === 'staged' ? move('promote')(ctx, rotation) : { rotation: { ...rotation } },
  })
  const { id } = await begin()
  for (const now of [start, start + rules.drainLimitSeconds]) await at(now)
  const { state, problem } = await see(id)
  assert.equal(state, 'blocked')
  assert.match(problem ?? '', /usr_owner\.$/)
})

test('a bug in one kind is logged, stops no other rotation, and ends nothing', async t => {
  const { begin, at, see, bugs } = await site(t, {
    look: (ctx, rotation) => {
      if (rotation.target === 'sec_broken') throw new TypeError('x is undefined')
      return oneByOne(ctx, rotation)
    },
  })
  const broken = await begin('sec_broken')
  const sound = await begin('sec_sound')
  await at(start)
  assert.equal((await see(sound.id)).state, 'retired')
  const { state, problem } = await see(broken.id)
  assert.equal(state, 'staged')
  assert.ok(!problem?.includes('undefined'))
  assert.equal(bugs.length, 1)
})

test('of two who begin at once one begins; an emergency overtakes what stands', async t => {
  const { begin, see } = await site(t, { look: oneByOne })
  const both = await Promise.allSettled([begin(), begin()])
  const won = both.filter(one => one.status === 'fulfilled')
  assert.equal(won.length, 1)
  const [lost] = both.filter(one => one.status === 'rejected')
  assert.ok(isFault(lost?.reason) && lost.reason.code === 'conflict')
  const { id } = (won[0] as PromiseFulfilledResult<Rotation>).value
  await assert.rejects(begin(), error => isFault(error) && error.why?.['rotation'] === id)
  const emergency = await begin('sec_1', true)
  assert.equal((await see(id)).state, 'failed')
  assert.match((await see(id)).problem ?? '', new RegExp(emergency.id))
})

test('a node that slept past its lease changes nothing, and the other one goes on from what was committed', async t => {
  const { store, deps, begin, see } = await site(t, { look: oneByOne })
  const { id } = await begin()
  const lease = await store.leases.hold('loop:rotations', 'sleeper', 1)
  assert.notEqual(lease, 'held')
  const mine = { lease: 'loop:rotations', fence: (lease as { fence: number }).fence }
  await store.leases.release('loop:rotations', 'sleeper')
  const taken = await store.leases.hold('loop:rotations', 'other', 60)
  await advanceRotations(ctxAt(start), deps, mine)
  assert.equal((await see(id)).state, 'staged')
  const theirs = { lease: 'loop:rotations', fence: (taken as { fence: number }).fence }
  await advanceRotations(ctxAt(start), deps, theirs)
  assert.equal((await see(id)).state, 'retired')
})

test('a look whose commit fails is made again, and what it did upstream counts once', async t => {
  const done = new Set<string>()
  let failures = 3
  const made = await site(t, {
    look: (ctx, rotation) => {
      done.add(rotation.state)
      return oneByOne(ctx, rotation)
    },
  })
  const { id } = await made.begin()
  const commit: Store['commit'] = async (ctx, change) => {
    if (failures-- > 0) throw new Fault('temporarily_unavailable', 'The store is away.')
    return made.store.commit(ctx, change)
  }
  for (let run = 0; run < 5; run += 1) {
    await advanceRotations(ctxAt(start + run), { ...made.deps, commit }, undefined).catch(error =>
      assert.ok(isFault(error) && error.code === 'temporarily_unavailable'),
    )
  }
  assert.equal((await made.see(id)).state, 'retired')
  assert.deepEqual([...done], ['staged', 'active', 'retiring'])
})

test('one that has much to do at once keeps none of the others waiting for its end', async t => {
  let isOtherDone = false
  const made = await site(t, {
    look(ctx, rotation) {
      if (rotation.target === 'sec_short') {
        isOtherDone ||= rotation.state === 'retiring'
        return oneByOne(ctx, rotation)
      }
      // Something to commit with each look, and more of it at once.
      return isOtherDone ? oneByOne(ctx, rotation) : { rotation: { ...rotation, dueAt: ctx.now }, parts: {} }
    },
  })
  const long = await made.begin('sec_long')
  const short = await made.begin('sec_short')
  await made.at(start)
  for (const { id } of [long, short]) assert.equal((await made.see(id)).state, 'retired')
})
