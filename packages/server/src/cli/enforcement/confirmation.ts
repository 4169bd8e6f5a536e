// Waits until every connected enforcement point has said that it enforces everything up to now.
import { setTimeout as pause } from 'node:timers/promises'
import type { AdminClient } from '@writ/sdk/admin'

export interface Confirmed {
  readonly points: number
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
  const at = new Map<number, number>()
  let { items } = first
  for (;;) {
    const nowMs = performance.now() - sinceMs
    for (const [index, point] of items.entries())
      if (point.epoch >= first.epoch && !at.has(index)) at.set(index, nowMs)
    if (at.size >= items.length || nowMs > boundMs) break
    await pause(everyMs)
    items = (await admin.call('enforcement-points.list', {})).items
  }
  const afterMs = [...at.values()].map(Math.round)
  return {
    points: items.length,
    confirmed: Math.min(items.length, at.size),
    afterMs,
    lastMs: Math.max(0, ...afterMs),
  }
}
