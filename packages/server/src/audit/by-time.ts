// Finds places in the log by time: entries carry the clock reading of their request and are indexed as they commit.
import type { Ctx } from '../context.ts'
import type { Log } from '../store/store.ts'

/**
 * By how much entries may stand out of the order of their times: requests take different times to their commit, and
 * may be committed by nodes whose clocks disagree.
 */
export const disorderMs = 15_000

/** Epoch milliseconds out of the text of an entry. */
export function timeMsOf(text: string): number {
  return Date.parse((JSON.parse(text) as { readonly time: string }).time)
}

/**
 * Of the first `size` entries, the index of the first at or after the instant, as if their times were in order; `size`
 * where there is none. Whoever cannot do with a place within the disorder looks around it. Throws an Error where an
 * entry is missing.
 */
export async function indexAt(
  log: Pick<Log, 'range'>,
  scope: Pick<Ctx, 'tenant'>,
  size: number,
  ms: number,
): Promise<number> {
  let low = 0
  let high = size
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const [entry] = await log.range(scope, middle, middle + 1)
    if (entry === undefined) throw new Error(`the audit log is damaged: entry ${middle} is missing`)
    if (timeMsOf(entry.text) < ms) low = middle + 1
    else high = middle
  }
  return low
}
