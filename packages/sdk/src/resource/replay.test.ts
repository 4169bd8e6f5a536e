// Replay stores: the contract on each, racing processes on the shared one, and bounded memory on the other.
import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { isFault } from '../protocol/fault.ts'
import { memoryReplayStore } from './replay.ts'
import { replayContract } from './replay-contract.ts'
import { sharedReplayStore } from './shared-replay.ts'

const folder = mkdtempSync(join(tmpdir(), 'writ-replay-'))
after(() => rmSync(folder, { recursive: true }))
let files = 0
const newFile = (): string => join(folder, `marks-${files++}.db`)

replayContract('memory', () => memoryReplayStore())
replayContract('shared', () => sharedReplayStore(newFile()))

test('memory: refuses on doubt when every mark it can hold still matters, and recovers when they expire', () => {
  const store = memoryReplayStore(3)
  for (const mark of ['a', 'b', 'c']) assert.equal(store.claim(mark, 1066, 1000), true)
  assert.throws(
    () => store.claim('d', 1066, 1001),
    error => isFault(error) && error.code === 'temporarily_unavailable',
  )
  assert.equal(store.claim('a', 1066, 1001), false)
  assert.equal(store.claim('d', 1133, 1067), true)
})

test('shared: one of twenty racing processes claims each mark, on a file that only its owner may read', async () => {
  const file = newFile()
  const racer = fileURLToPath(new URL('./testing/replay-racer.ts', import.meta.url))
  const marks = 25
  const racers = Array.from({ length: 20 }, () =>
    fork(racer, [file, String(marks)], { execArgv: ['--conditions=writ-source'] }),
  )
  await Promise.all(racers.map(child => once(child, 'message')))
  const results = racers.map(async child => {
    const [won] = (await once(child, 'message')) as [boolean[]]
    return won
  })
  for (const child of racers) child.send('go')
  const won = await Promise.all(results)
  for (let mark = 0; mark < marks; mark += 1) {
    assert.equal(won.filter(list => list[mark]).length, 1, `mark ${mark}`)
  }
  assert.equal(statSync(file).mode & 0o777, 0o600)
})

test('shared: another process that opens the file later still refuses, and a closed file refuses on doubt', () => {
  const file = newFile()
  const first = sharedReplayStore(file)
  assert.equal(first.claim('a', 1066, 1000), true)
  first.close()
  const second = sharedReplayStore(file)
  assert.equal(second.claim('a', 1066, 1001), false)
  second.close()
  assert.throws(
    () => second.claim('b', 1066, 1001),
    error => isFault(error) && error.code === 'temporarily_unavailable',
  )
})

test('shared: does not open what is not such a file', () => {
  assert.throws(() => sharedReplayStore(fileURLToPath(import.meta.url)), /not a database/)
  assert.throws(() => sharedReplayStore(join(folder, 'missing', 'marks.db')), /ENOENT/)
})
