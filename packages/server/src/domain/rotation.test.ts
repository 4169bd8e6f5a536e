// The state machine of rotations and the rule of the drain, held to in any order of moves and at any instant.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type DrainFacts,
  drainOf,
  hasEnded,
  moveRotation,
  newRotation,
  type Rotation,
  type RotationMove,
} from './rotation.ts'
import { spread } from './schedule.ts'

const rotation = newRotation(
  {
    id: 'rot_00000000000000000000000000' as Rotation['id'],
    kind: 'secret',
    target: 'sec_1',
    owner: null,
    reason: 'test',
    from: 'v1',
    proof: 'last_use',
    limitAt: 1000,
  },
  100,
)

const moves: readonly RotationMove[] = ['promote', 'drain', 'retire', 'block', 'unblock', 'fail']

const attempt = (from: Rotation, move: RotationMove, at: number): Rotation | undefined => {
  try {
    return moveRotation(from, move, at)
  } catch {
    return undefined
  }
}

test('whatever is tried, a successor that was in use stays in use, and an end is an end', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...moves), { maxLength: 20 }), tried => {
      let at = 100
      let current = rotation
      let wasActive = false
      for (const move of tried) {
        const next = attempt(current, move, ++at)
        if (next === undefined) continue
        assert.equal(hasEnded(current), false, `${current.state} ${move}`)
        wasActive ||= next.state === 'active'
        if (wasActive) assert.notEqual(next.state, 'failed')
        // The predecessor ends only through the states that say so.
        if (next.state === 'retired') assert.equal(current.state, 'retiring')
        if (next.state === 'retiring') assert.ok(['active', 'blocked'].includes(current.state))
        assert.equal(next.state === 'blocked', next.resumes !== null)
        assert.equal(hasEnded(next), next.dueAt === null)
        current = next
      }
    }),
  )
})

test('a blocked rotation goes on from where it stood', () => {
  for (const before of ['staged', 'active', 'retiring'] as const) {
    const standing = { ...rotation, state: before }
    const blocked = moveRotation({ ...standing, problem: 'x' }, 'block', 200)
    assert.equal(blocked.problem, 'x')
    const again = moveRotation(blocked, 'unblock', 300)
    assert.deepEqual([again.state, again.resumes, again.problem], [before, null, null])
  }
})

const user = fc.record({
  caller: fc.string(),
  from: fc.constant(null),
  firstUsedAt: fc.constant(null),
  lastUsedAt: fc.integer({ min: 0, max: 10_000 }),
  until: fc.option(fc.integer({ min: 0, max: 10_000 })),
})

test('nothing is drained before everybody was silent for the window, and everything is after it', () => {
  fc.assert(
    fc.property(
      fc.array(user, { maxLength: 5 }),
      fc.integer({ min: 0, max: 10_000 }),
      fc.integer({ min: 0, max: 20_000 }),
      fc.integer({ min: 1, max: 1000 }),
      (users, activeAt, now, seconds) => {
        const drain = drainOf({ activeAt }, { proof: 'last_use', users }, now, seconds)
        const silent = users.every(one => one.lastUsedAt + seconds <= now && (one.until ?? 0) <= now)
        assert.equal(drain.isDrained, silent && activeAt + seconds <= now)
        assert.equal(drain.isDrained, drain.clearAt <= now)
        if (drain.isDrained) assert.equal(drain.remaining, 0)
        // The instant that is told holds, as long as nobody uses it again.
        const then = drainOf(
          { activeAt },
          { proof: 'last_use', users },
          Math.max(now, drain.clearAt),
          seconds,
        )
        assert.equal(then.isDrained, true)
      },
    ),
  )
})

test('a live session keeps the old version, whatever time has passed; records and tokens have their own meters', () => {
  const at = { activeAt: 0 }
  const sessions: DrainFacts = { proof: 'live_sessions', users: [], sessions: 1 }
  assert.equal(drainOf(at, sessions, 99_999, 1).isDrained, false)
  assert.equal(drainOf(at, { ...sessions, sessions: 0 }, 99_999, 1).isDrained, true)
  assert.deepEqual(drainOf(at, { proof: 'no_records', remaining: 3 }, 9, 1).remaining, 3)
  assert.equal(drainOf(at, { proof: 'no_records', remaining: 0 }, 9, 1).isDrained, true)
  assert.deepEqual(drainOf(at, { proof: 'last_token', expiresAt: 50 }, 20, 1).remaining, 30)
  assert.equal(drainOf(at, { proof: 'last_token', expiresAt: 50 }, 50, 1).isDrained, true)
})

test('ten thousand targets spread evenly over the jitter, the same way each time', () => {
  const seconds = 100
  const counts = new Array<number>(seconds).fill(0)
  for (let at = 0; at < 10_000; at += 1) {
    const put = spread(`ins_${at}`, seconds)
    assert.ok(put >= 0 && put < seconds)
    assert.equal(put, spread(`ins_${at}`, seconds))
    counts[put] = (counts[put] ?? 0) + 1
  }
  // A hundred on average; half as many again in one second is five standard deviations away.
  assert.ok(Math.max(...counts) < 150, `${Math.max(...counts)}`)
  assert.equal(spread('x', 0), 0)
})
