// Finds the entries that made a record what it is: each by its type, near the instant that the record carries.
import type { Ctx } from '../context.ts'
import type { Log } from '../store/store.ts'
import { disorderMs, indexAt } from './by-time.ts'

/** An entry as it reads in the log; its `text` is the leaf. */
export interface LoggedEntry {
  readonly id: string
  readonly index: number
  readonly time: string
  readonly type: string
  readonly outcome: string
  readonly reason: string | null
  readonly agent: string | null
  readonly instance: string | null
  readonly key: string | null
  readonly person: string | null
  readonly chain: readonly { readonly sub: string; readonly kind: string }[]
  readonly resource: string | null
  readonly action: string | null
  readonly decision: Readonly<Record<string, unknown>> | null
  readonly request_id: string
  readonly trace_id: string | null
  readonly peer: string | null
}

/** What is looked for. */
export interface Trace {
  /** Types that are rare beside tokens: all entries of the type around the instant are looked at. */
  readonly types: readonly string[]
  /** Epoch seconds, as the record has it. */
  readonly at: number
  /** By how much the entry may be older than that. */
  readonly earlierSeconds?: number
  readonly isIt: (entry: LoggedEntry) => boolean
}

/** How many entries of a type are looked at: administration comes in bursts, never in tens of thousands. */
const mostLooked = 512
const pageLooked = 128

/** The entry as it reads. */
export function readEntry(text: string): LoggedEntry {
  return JSON.parse(text) as LoggedEntry
}

/** The entries of the trace in their order; what is not found near its instant is left out, not searched everywhere. */
export async function findTrace(
  log: Pick<Log, 'size' | 'range' | 'find'>,
  scope: Pick<Ctx, 'tenant'>,
  { types, at, earlierSeconds = 0, isIt }: Trace,
): Promise<readonly LoggedEntry[]> {
  const fromMs = (at - earlierSeconds) * 1000 - disorderMs
  const from = await indexAt(log, scope, await log.size(scope), fromMs)
  const untilMs = (at + 1) * 1000 + disorderMs
  const found: LoggedEntry[] = []
  for (const type of types) {
    let after = from - 1
    for (let looked = 0; looked < mostLooked; looked += pageLooked) {
      const page = (await log.find(scope, { type }, after, pageLooked)).map(({ text }) => readEntry(text))
      const near = page.filter(({ time }) => Date.parse(time) < untilMs)
      found.push(...near.filter(isIt))
      const last = page.at(-1)
      if (last === undefined || near.length < page.length || page.length < pageLooked) break
      after = last.index
    }
  }
  return found.sort((a, b) => a.index - b.index)
}
