// Waits until every connected enforcement point has said that it enforces everything up to now.
import { setTimeout as pause } from 'node:timers/promises'
import type { AdminClient } from '@writ/sdk/admin'

export interface Confirmed {
  readonly points: number
  /** Of those that were connected at the end of the wait. */
  readonly confirmed: number
  /** When each of them was first seen to enforce it, in milliseconds after the wait began. */
  readonly afterMs: readonly number[]
  readonly lastMs: number
}

/** The bound that is promised; whoever has not confirmed by then denies everything by itself soon after. */
const boundMs = 2000
const everyMs = 20

/** `sinceMs`: when it became true, by `performance.now()`; the beginning of the wait unless it is told. */
export async function confirmed(admin: AdminClient, sinceMs = performance.now()): Promise<Confirmed> {
  const first = await admin.call('enforcement-points.list', {})
  const afterMs: number[] = []
  let { items } = first
  for (;;) {
    const nowMs = performance.now() - sinceMs
    // Counted anew at each look: they come and go meanwhile, and one that has left speaks for no other.
    const enforcing = items.filter(({ epoch }) => epoch >= first.epoch).length
    while (afterMs.length < enforcing) afterMs.push(Math.round(nowMs))
    if (enforcing === items.length || nowMs > boundMs)
      return { points: items.length, confirmed: enforcing, afterMs, lastMs: Math.max(0, ...afterMs) }
    await pause(everyMs)
    items = (await admin.call('enforcement-points.list', {})).items
  }
}
