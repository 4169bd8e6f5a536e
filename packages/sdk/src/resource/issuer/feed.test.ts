// The feed of ends: a stream that lies backwards, skips, holds back or never completes is not contact.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Narrowing, StreamMessage } from '../../protocol/revocation.ts'
import { createFeed } from './feed.ts'

const remember = 900_000
const message = (
  type: StreamMessage['type'],
  epoch: number,
  at: number,
  narrowed: readonly Narrowing[] = [],
): StreamMessage => ({ type, epoch, at, narrowed })

test('knows nothing and has no contact before a snapshot, whatever else is said', () => {
  const feed = createFeed(remember)
  assert.equal(feed.openStream(0).accept(message('heartbeat', 5, 1000), 10), 'refused')
  assert.equal(feed.openStream(0).accept(message('narrowed', 5, 1000, [[5, 'a']]), 10), 'refused')
  assert.equal(feed.openPoll(0).accept(message('heartbeat', 5, 1000), 10), 'refused')
  assert.equal(feed.contactAt(), Number.NEGATIVE_INFINITY)
  assert.equal(feed.openStream(0).accept(message('snapshot', 5, 1000, [[4, 'a']]), 10), 'current')
  assert.equal(feed.endedAt('a'), 4)
  assert.equal(feed.epoch(), 5)
})

test('refuses to go back: a snapshot, delta, heartbeat or poll older than what is known neither counts nor erases', () => {
  const feed = createFeed(remember)
  const stream = feed.openStream(0)
  stream.accept(message('snapshot', 9, 1000, [[7, 'dead']]), 1)
  const before = feed.contactAt()
  assert.equal(feed.openStream(100).accept(message('snapshot', 8, 1100), 101), 'refused')
  assert.equal(stream.accept(message('heartbeat', 8, 1100), 101), 'refused')
  assert.equal(stream.accept(message('narrowed', 3, 1100, [[3, 'x']]), 101), 'refused')
  assert.equal(feed.openPoll(100).accept(message('snapshot', 0, 1100), 101), 'refused')
  assert.equal(feed.contactAt(), before)
  assert.equal(feed.endedAt('dead'), 7)
  assert.equal(feed.epoch(), 9)
})

test('keeps what a later snapshot leaves out: what is dead stays dead', () => {
  const feed = createFeed(remember)
  feed.openStream(0).accept(message('snapshot', 9, 1000, [[7, 'dead']]), 1)
  assert.equal(feed.openStream(10).accept(message('snapshot', 10, 1010), 11), 'current')
  assert.equal(feed.endedAt('dead'), 7)
})

test('sees a gap when a heartbeat is ahead of everything it was told, and closes it by a poll', () => {
  const feed = createFeed(remember)
  const stream = feed.openStream(0)
  stream.accept(message('snapshot', 1, 1000), 1)
  const before = feed.contactAt()
  assert.equal(stream.accept(message('heartbeat', 3, 2000), 1001), 'gap')
  assert.equal(feed.contactAt(), before)
  assert.equal(feed.openPoll(1002).accept(message('narrowed', 2, 2002, [[2, 'a']]), 1003), 'gap')
  assert.equal(feed.endedAt('a'), 2)
  assert.equal(feed.contactAt(), before, 'there may be another page')
  assert.equal(feed.openPoll(1004).accept(message('narrowed', 3, 2004, [[3, 'b']]), 1005), 'gap')
  assert.equal(feed.openPoll(1006).accept(message('heartbeat', 3, 2006), 1007), 'current')
  assert.equal(feed.contactAt(), 1006)
  assert.equal(stream.accept(message('heartbeat', 3, 3000), 2001), 'current')
})

test('is not confused when a poll overtakes the stream', () => {
  const feed = createFeed(remember)
  const stream = feed.openStream(0)
  stream.accept(message('snapshot', 1, 1000), 1)
  feed.openPoll(5).accept(
    message('narrowed', 3, 1005, [
      [2, 'a'],
      [3, 'b'],
    ]),
    6,
  )
  assert.equal(stream.accept(message('narrowed', 2, 1004, [[2, 'a']]), 7), 'current')
  assert.equal(stream.accept(message('narrowed', 3, 1005, [[3, 'b']]), 8), 'current')
  assert.equal(feed.epoch(), 3)
})

test('refuses a narrowing from beyond the epoch that its message claims to complete', () => {
  const feed = createFeed(remember)
  assert.equal(feed.openStream(0).accept(message('snapshot', 1, 1000, [[2, 'a']]), 1), 'refused')
})

test('counts a message that was held back as contact of the instant it was made, not of its arrival', () => {
  const feed = createFeed(remember)
  const stream = feed.openStream(500)
  // The wall clock of the server is far from ours: only differences matter.
  stream.accept(message('snapshot', 1, 9_000_000), 510)
  assert.equal(stream.accept(message('heartbeat', 1, 9_001_000), 8_000), 'current')
  assert.equal(feed.contactAt(), 1500)
  // A poll is believed from the instant it was sent, and anchors the clocks anew.
  feed.openPoll(8_100).accept(message('heartbeat', 1, 9_007_600), 8_120)
  assert.equal(feed.contactAt(), 8_100)
  // A server whose clock jumped ahead cannot vouch for the future.
  stream.accept(message('heartbeat', 1, 99_000_000), 8_200)
  assert.equal(feed.contactAt(), 8_200)
})
