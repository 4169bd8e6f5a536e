// What is halted: a gap, a late or older message forgets no halt, and a lift holds only from a newer one than the halt.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Halted, parseMessage, type StreamMessage } from '../../protocol/revocation.ts'
import { createFeed, type Source, type Verdict } from './feed.ts'
import { createHalts } from './halts.ts'

const message = (type: StreamMessage['type'], epoch: number, halted?: Halted): StreamMessage => ({
  type,
  epoch,
  at: 1000 + epoch,
  narrowed: [],
  ...(halted === undefined ? {} : { halted }),
})
const at = (epoch: number, ...subjects: string[]): Halted => ({ epoch, subjects })

test('a halt is known with the snapshot, and what says nothing of halts takes none back', () => {
  const feed = createFeed(900_000)
  assert.equal(feed.isHalted('burn'), false)
  const stream = feed.openStream(0)
  stream.accept(message('snapshot', 5, at(5, 'burn')), 1)
  stream.accept(message('narrowed', 6), 2)
  stream.accept(message('heartbeat', 6), 3)
  feed.openStream(4).accept(message('snapshot', 7), 5)
  assert.equal(feed.isHalted('burn'), true)
  assert.equal(feed.isHalted('echo'), false)
})

test('an older word forgets no halt and revives none, from whatever source it comes', () => {
  const feed = createFeed(900_000)
  const [slow, fast] = [feed.openStream(0), feed.openStream(0)]
  slow.accept(message('snapshot', 5, at(5)), 1)
  fast.accept(message('snapshot', 5, at(5)), 1)
  fast.accept(message('narrowed', 8, at(8, 'burn')), 2)
  // A stream that lags may go on from where it was: what it says of halts is older.
  assert.equal(slow.accept(message('narrowed', 6, at(7)), 3), 'current')
  assert.equal(feed.isHalted('burn'), true)
  feed.openPoll(4).accept(message('heartbeat', 8, at(9)), 5)
  assert.equal(feed.isHalted('burn'), false, 'lifted')
  slow.accept(message('narrowed', 8, at(8, 'burn')), 6)
  assert.equal(feed.isHalted('burn'), false, 'lifted it stays')
})

test('a message that is refused teaches nothing of halts, and a gap only adds what it says', () => {
  const feed = createFeed(900_000)
  const stream = feed.openStream(0)
  stream.accept(message('snapshot', 5, at(5, 'burn')), 1)
  assert.equal(feed.openStream(2).accept(message('snapshot', 4, at(9)), 3), 'refused')
  assert.equal(feed.openStream(2).accept(message('narrowed', 9, at(9)), 3), 'refused')
  assert.equal(stream.accept(message('heartbeat', 9, at(9)), 4), 'gap')
  assert.equal(feed.isHalted('burn'), true)
})

test('of two words about one epoch, what either halts is halted', () => {
  const halts = createHalts()
  halts.learn(at(5, 'burn'))
  halts.learn(at(5, 'echo'))
  assert.deepEqual([halts.has('burn'), halts.has('echo')], [true, true])
  halts.learn(at(6, 'echo'))
  assert.deepEqual([halts.has('burn'), halts.has('echo')], [false, true])
})

test('whatever is lost, doubled or overtaken on the way: what is known is what stood at the newest epoch heard of', () => {
  const tools = ['a', 'b', 'c']
  fc.assert(
    fc.property(
      fc.array(fc.subarray(tools), { minLength: 1, maxLength: 12 }),
      fc.array(fc.nat({ max: 11 }), { minLength: 1, maxLength: 30 }),
      (history, heard) => {
        const halts = createHalts()
        let newest = -1
        for (const index of heard) {
          const epoch = index % history.length
          halts.learn(at(epoch, ...(history[epoch] ?? [])))
          newest = Math.max(newest, epoch)
          for (const tool of tools) assert.equal(halts.has(tool), history[newest]?.includes(tool))
        }
      },
    ),
    { numRuns: 1000 },
  )
})

test('a member that is not understood is no message at all, and too many halts are not believed', () => {
  const good = { type: 'snapshot', epoch: 1, at: 1, narrowed: [] }
  assert.ok(parseMessage(good) !== undefined)
  assert.ok(parseMessage({ ...good, halted: at(1, 'x'), later: ['unknown'] }) !== undefined)
  const bad: unknown[] = [
    null,
    [],
    ['x'],
    { epoch: 1 },
    { subjects: [] },
    { epoch: '1', subjects: [] },
    { epoch: 1.5, subjects: [] },
    { epoch: 1, subjects: [7] },
    { epoch: 1, subjects: { length: 0 } },
    { epoch: 1, subjects: Array.from({ length: 10_001 }, (_, index) => `${index}`) },
  ]
  for (const halted of bad) assert.equal(parseMessage({ ...good, halted }), undefined, JSON.stringify(halted))
})

test('verdicts are the same with and without halts', () => {
  const verdicts = (halted?: Halted): readonly Verdict[] => {
    const feed = createFeed(900_000)
    const said: Verdict[] = []
    const tell = (source: Source, type: StreamMessage['type'], epoch: number): void => {
      said.push(source.accept(message(type, epoch, halted), epoch))
    }
    const stream = feed.openStream(0)
    tell(stream, 'snapshot', 1)
    tell(stream, 'heartbeat', 3)
    tell(feed.openPoll(3), 'narrowed', 3)
    tell(feed.openPoll(3), 'heartbeat', 3)
    tell(stream, 'narrowed', 2)
    return said
  }
  assert.deepEqual(verdicts(at(9, 'burn')), verdicts())
})
