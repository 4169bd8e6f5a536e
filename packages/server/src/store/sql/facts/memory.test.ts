// The memory of facts: what it may keep, whatever arrives in whatever order, and that it stays small.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { memoryOf } from './memory.ts'

interface Facts {
  readonly epoch: number
  readonly name: string
  readonly remembered?: boolean
}

const tenant = 't'
const place = (key: string, ...subjects: string[]) => ({ tenant, key, subjects: [key, ...subjects] })
const signal = (epoch: number, subject: string) => ({ epoch, subject, kind: 'changed' as const, atMs: 0 })

const memoryAt = (seen = { epoch: 0 }) =>
  memoryOf<Facts>({
    seen: () => seen.epoch,
    refresh: (facts, epoch) => ({ ...facts, epoch, remembered: true }),
  })

test('facts read before a signal about them are not kept, also when they arrive after it', () => {
  const memory = memoryAt()
  memory.forget(tenant, [signal(5, 'a')])
  memory.keep(place('a'), { epoch: 4, name: 'old' })
  assert.equal(memory.get(tenant, 'a'), undefined)
  memory.keep(place('a'), { epoch: 5, name: 'new' })
  assert.equal(memory.get(tenant, 'a')?.name, 'new')
})

test('older facts never replace newer ones', () => {
  const memory = memoryAt()
  memory.keep(place('a'), { epoch: 7, name: 'new' })
  memory.keep(place('a'), { epoch: 6, name: 'old' })
  assert.equal(memory.get(tenant, 'a')?.name, 'new')
})

test('a signal about anything the facts rest on ends them, in its own tenant only', () => {
  const memory = memoryAt()
  memory.keep(place('a', 'key:k'), { epoch: 1, name: 'a' })
  memory.forget('other', [signal(2, 'key:k')])
  assert.equal(memory.get(tenant, 'a')?.name, 'a')
  memory.forget(tenant, [signal(2, 'key:other')])
  assert.equal(memory.get(tenant, 'a')?.name, 'a')
  memory.forget(tenant, [signal(2, 'key:k')])
  assert.equal(memory.get(tenant, 'a'), undefined)
})

test('a signal that the facts already know of ends nothing', () => {
  const memory = memoryAt()
  memory.keep(place('a'), { epoch: 3, name: 'a' })
  memory.forget(tenant, [signal(3, 'a')])
  assert.equal(memory.get(tenant, 'a')?.name, 'a')
})

test('when signals were missed, everything of the tenant goes, and what was read before does not come back', () => {
  const memory = memoryAt()
  memory.keep(place('a'), { epoch: 3, name: 'a' })
  memory.lose(tenant, 9)
  assert.equal(memory.get(tenant, 'a'), undefined)
  memory.keep(place('a'), { epoch: 8, name: 'a' })
  assert.equal(memory.get(tenant, 'a'), undefined)
  memory.keep(place('a'), { epoch: 9, name: 'a' })
  assert.equal(memory.get(tenant, 'a')?.name, 'a')
})

test('what is remembered says so, with the epoch up to which it is known to hold', () => {
  const seen = { epoch: 2 }
  const memory = memoryAt(seen)
  memory.keep(place('a'), { epoch: 2, name: 'a' })
  assert.deepEqual(memory.get(tenant, 'a'), { epoch: 2, name: 'a', remembered: true })
  seen.epoch = 8
  assert.equal(memory.get(tenant, 'a')?.epoch, 8)
})

test('the memory is bounded, and keeps what was used last', () => {
  const memory = memoryAt()
  for (let at = 0; at < 10_000; at++) memory.keep(place(`${at}`), { epoch: 0, name: `${at}` })
  assert.ok(memory.get(tenant, '0'))
  for (let at = 10_000; at < 15_000; at++) memory.keep(place(`${at}`), { epoch: 0, name: `${at}` })
  assert.ok(memory.get(tenant, '0'))
  const kept = Array.from({ length: 15_000 }, (_, at) => at).filter(at => memory.get(tenant, `${at}`))
  assert.equal(kept.length, 10_000)
})

test('never tells facts that a signal already told to it has overtaken, in any order of reads and signals', () => {
  const step = fc.oneof(
    // A write of one of three records, told at once; a read that began a few epochs ago and arrives now.
    fc.record({ write: fc.integer({ min: 0, max: 2 }) }),
    fc.record({ read: fc.integer({ min: 0, max: 2 }), late: fc.integer({ min: 0, max: 3 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      const seen = { epoch: 0 }
      const memory = memoryAt(seen)
      const lastWrite = [0, 0, 0]
      for (const one of steps) {
        if ('write' in one) {
          seen.epoch += 1
          lastWrite[one.write] = seen.epoch
          memory.forget(tenant, [signal(seen.epoch, `${one.write}`)])
        } else {
          const epoch = Math.max(0, seen.epoch - one.late)
          memory.keep(place(`${one.read}`), { epoch, name: `${epoch}` })
        }
        for (const [key, written] of lastWrite.entries()) {
          const told = memory.get(tenant, `${key}`)
          if (told !== undefined) assert.ok(Number(told.name) >= written)
        }
      }
    }),
    { numRuns: 1000 },
  )
})

test('a memory that has heard thousands of signals still refuses what was read before those it forgot', () => {
  const memory = memoryAt()
  for (let epoch = 1; epoch <= 5000; epoch++) memory.forget(tenant, [signal(epoch, `${epoch}`)])
  memory.keep(place('1'), { epoch: 0, name: 'old' })
  assert.equal(memory.get(tenant, '1'), undefined)
  memory.keep(place('x'), { epoch: 4999, name: 'x' })
  assert.equal(memory.get(tenant, 'x')?.name, 'x')
  memory.keep(place('5000'), { epoch: 4999, name: 'old' })
  assert.equal(memory.get(tenant, '5000'), undefined)
})
