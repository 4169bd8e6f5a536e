// Replay of long pages: no more of a page is parsed than is looked at, and everybody else is served meanwhile.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ctx } from '../context.ts'
import type { EntryFilter } from '../store/store.ts'
import { type ReplayDeps, replay } from './replay.ts'

interface Kept {
  readonly type: string
  readonly decision: unknown
}

const entryText = ({ type, decision }: Kept, id: number): string => {
  const time = '2026-07-01T00:00:00.000Z'
  return JSON.stringify({ id: `evt_${id}`, type, time, outcome: 'refused', request_id: `r${id}`, decision })
}

/** A log of these entries, with the indices of those whose text anybody read. */
function logOf(kept: readonly Kept[]) {
  const read = new Set<number>()
  const find = async (_: unknown, { type }: EntryFilter, after: number, limit: number) =>
    kept
      .map((entry, index) => ({ entry, index }))
      .filter(({ entry, index }) => entry.type === type && index > after)
      .slice(0, limit)
      .map(({ entry, index }) => ({
        index,
        get text() {
          read.add(index)
          return entryText(entry, index)
        },
      }))
  return { read, deps: { store: { log: { find } } } as unknown as ReplayDeps }
}

const page = { sinceMs: 0, untilMs: null, after: -1, limit: 500 }
const none = { source: '', digest: '' }

/** No policies had a say in it, so that nothing is read for it. */
const item = JSON.stringify({ decision: false, subject: 'agent:agt_1', rule: 'halt:hlt_1' })

test('entries beyond the end of a page are not parsed', async () => {
  const batch = { type: 'decision.evaluations', decision: { items: Array(100).fill(item) } }
  const { read, deps } = logOf(Array(30).fill(batch))
  const { decisions, next } = await replay({} as Ctx, deps, none, page)
  assert.deepEqual([decisions, next], [2000, 19])
  assert.equal(Math.max(...read), 19)
})

test('others have their turns while long entries are parsed, of whatever type and whatever is in them', async () => {
  const long = 'x'.repeat(60_000)
  for (const type of ['decision.evaluated', 'decision.evaluations', 'decision.repeated']) {
    const { deps } = logOf(Array(100).fill({ type, decision: { note: long } }))
    let [turns, isOver] = [0, false]
    const count = (): void => {
      turns += 1
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)
    await replay({} as Ctx, deps, none, page)
    isOver = true
    assert.ok(turns >= 5, `${turns} turns for ${type}`)
  }
})
