// What was answered from memory reaches the issuer's log: counted, signed in batches, sent until it is acknowledged.
import { randomUUID } from 'node:crypto'
import type { Agent } from '../../agent/agent.ts'
import { isFault } from '../../protocol/fault.ts'
import type { Clock } from '../clock.ts'

/** One decision and how often it was given again. */
interface Counted {
  readonly question: Readonly<Record<string, unknown>>
  /** The request in whose entry the decision itself stands. */
  readonly decidedBy: string
  count: number
  firstAt: number
  lastAt: number
}

export interface ReportsOptions {
  readonly agent: Agent
  readonly url: string
  /** The management API, for which the agent's token is. */
  readonly audience: string
  readonly clock: Clock
  readonly onTrouble: (problem: unknown) => void
}

export interface Reports {
  /** An answer from memory, now. */
  add(key: string, question: Readonly<Record<string, unknown>>, decidedBy: string): void
  /** Sends what waits and stops; what cannot be sent then is lost, and said to be. */
  close(): Promise<void>
}

/** At the latest so long after an answer its count is on its way (contract, audit): half of the ten seconds. */
const everyMs = 5000
/** Decisions of one batch; the rest goes with the next. */
const mostOfBatch = 100
/** Batches that wait while the issuer is away; beyond it the oldest are given up, which is told. */
const mostWaiting = 100

/** Of the items of one batch as JSON, in bytes: the issuer takes 128 KiB, and signing makes a third more of them. */
const mostBytesOfBatch = 64 * 1024

interface Batch {
  readonly id: string
  readonly items: readonly object[]
}

/** What the log keeps of a question: who, what, on what, from where. Arguments stay where they are used. */
function recordedOf(question: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const { subject, action, resource, context } = question
  const { instance, chain, session, task, peer, token } = context as Record<string, unknown>
  const { properties: _, ...object } = resource as Record<string, unknown>
  const { grants, jti } = token as Record<string, unknown>
  return { subject, action, resource: object, instance, chain, session, task, peer, grants, jti }
}

function itemOf({ question, decidedBy, count, firstAt, lastAt }: Counted): object {
  return {
    ...recordedOf(question),
    decided_by: decidedBy,
    count,
    first_at: firstAt,
    last_at: lastAt,
  }
}

function batchesOf(items: readonly object[]): readonly (readonly object[])[] {
  const batches: object[][] = []
  let bytes = mostBytesOfBatch
  for (const item of items) {
    const size = Buffer.byteLength(JSON.stringify(item))
    const last = batches.at(-1)
    if (last === undefined || last.length >= mostOfBatch || bytes + size > mostBytesOfBatch) {
      batches.push([item])
      bytes = size
    } else {
      last.push(item)
      bytes += size
    }
  }
  return batches
}

const isFinal = (status: number): boolean => [400, 413, 422].includes(status)

export function reportsTo({ agent, url, audience, clock, onTrouble }: ReportsOptions): Reports {
  let counted = new Map<string, Counted>()
  const waiting: Batch[] = []
  let sending: Promise<void> | undefined

  const cut = (): void => {
    const all = [...counted.values()].map(itemOf)
    counted = new Map()
    for (const items of batchesOf(all)) waiting.push({ id: randomUUID(), items })
    while (waiting.length > mostWaiting) {
      const lost = waiting.shift()
      onTrouble(new Error(`a report of ${lost?.items.length} cached decisions was given up`))
    }
  }

  const send = async ({ id, items }: Batch): Promise<'taken' | 'refused'> => {
    const report = agent.signReport({ batch: id, items })
    const answer = await agent.fetch(url, {
      method: 'POST',
      resource: audience,
      scope: 'writ:decisions:evaluate',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ report }),
      signal: AbortSignal.timeout(5000),
    })
    await answer.body?.cancel()
    if (answer.status === 200) return 'taken'
    if (isFinal(answer.status)) return 'refused'
    throw new Error(`the issuer answered a report with ${answer.status}`)
  }

  // Sent again it would be refused again, for ever, and everything behind it would wait: halved until what is refused is
  // alone, so that nobody takes the deeds of others from the log with one of its own.
  const divide = ({ items }: Batch): readonly Batch[] => {
    const half = Math.ceil(items.length / 2)
    if (items.length > 1)
      return [items.slice(0, half), items.slice(half)].map(part => ({ id: randomUUID(), items: part }))
    onTrouble(new Error('the issuer refuses the report of a cached decision; it was given up'))
    return []
  }

  // In order, one at a time. A batch keeps its id until it is acknowledged, so that its second arrival counts nothing.
  const flush = async (): Promise<void> => {
    cut()
    for (let batch = waiting[0]; batch !== undefined; batch = waiting[0]) {
      const outcome = await send(batch)
      waiting.splice(0, 1, ...(outcome === 'taken' ? [] : divide(batch)))
    }
  }
  const start = (): Promise<void> => {
    sending ??= flush()
      .catch(problem => onTrouble(isFault(problem) ? problem : (problem as Error)))
      .finally(() => {
        sending = undefined
      })
    return sending
  }
  const ticks = setInterval(() => {
    if (counted.size > 0 || waiting.length > 0) void start()
  }, everyMs).unref()

  return {
    add(key, question, decidedBy) {
      const at = Math.floor(clock.wallMs() / 1000)
      const known = counted.get(key)
      if (known === undefined) {
        counted.set(key, { question, decidedBy, count: 1, firstAt: at, lastAt: at })
        if (counted.size >= mostOfBatch) void start()
      } else {
        known.count += 1
        known.lastAt = at
      }
    },
    async close() {
      clearInterval(ticks)
      await start()
      if (counted.size > 0 || waiting.length > 0) await start()
    },
  }
}
