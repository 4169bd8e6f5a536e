// Who enforces a halt: counted among those that are there, whoever comes and goes while it is waited for.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AdminClient } from '@writ/sdk/admin'
import { confirmed } from './confirmation.ts'

type Looks = readonly (readonly number[])[]

/** An authority whose points have these epochs at each look; the last look stays. `epoch`: what is waited for. */
function authority(epoch: number, looks: Looks): AdminClient {
  let look = 0
  const call = () => {
    const epochs = looks[Math.min(look, looks.length - 1)] ?? []
    look += 1
    return Promise.resolve({ epoch, items: epochs.map(each => ({ label: 'api', node: 'a', epoch: each })) })
  }
  return { call } as unknown as AdminClient
}

test('a point that confirmed and left speaks for no other', async () => {
  const { points, confirmed: many } = await confirmed(authority(7, [[7, 3], [3]]))
  assert.deepEqual([points, many], [1, 0])
})

test('all that are there are waited for, also those that came meanwhile', async () => {
  const seen = await confirmed(
    authority(7, [
      [7, 3],
      [7, 7, 6],
      [8, 7, 7],
    ]),
  )
  assert.deepEqual([seen.points, seen.confirmed, seen.afterMs.length], [3, 3, 3])
  assert.deepEqual(await confirmed(authority(7, [[]])), { points: 0, confirmed: 0, afterMs: [], lastMs: 0 })
})
