// Group commit: changes of requests in flight share one transaction, and each is answered once that is durable.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import type { EventId } from '@writ/sdk/protocol/identifier'
import type { Change, Committed, RecordKind } from '../../domain/change.ts'
import type { SignalAt, Store, StoreGauges } from '../store.ts'
import { admit, type Member } from './admission.ts'
import { type Engine, type Steps, step, Uncertain } from './engine/engine.ts'
import { commitGroup, type GroupResult } from './group.ts'
import type { Codec } from './records/record.ts'
import type { ReplayMemory } from './replay.ts'
import type { GroupWriter } from './writer.ts'

/** Changes in one transaction: enough to spread the cost of its flush, few enough to stay short. */
const groupLimit = 256
/** Changes that may wait; more are turned away at once, so that memory stays bounded when the store is slow. */
const queueLimit = 20_000
/** A change that waited longer is turned away: its caller has gone, and others wait behind it. */
const waitMs = 5000
/** Keys, and versions by caller, whose last use is remembered, so that it is written at most once a second. */
const touchLimit = 10_000

export interface Committer {
  readonly commit: Store['commit']
  readonly gauges: StoreGauges
  /** Commits what waits, then takes no more. */
  close(): Promise<void>
}

export interface CommitTools {
  readonly engine: Engine
  readonly write: GroupWriter
  readonly codecs: ReadonlyMap<RecordKind, Codec>
  eventId(index: number): EventId
  readonly replays: ReplayMemory | undefined
  /** Called after each durable commit and before its answers, as is `signalled`; they must not throw. */
  grown(tenant: string, size: number): void
  signalled(tenant: string, signals: readonly SignalAt[]): void
}

interface Waiting {
  readonly member: Member
  readonly since: number
  resolve(committed: Committed): void
  reject(error: unknown): void
}

const gone = (): Fault =>
  new Fault('temporarily_unavailable', 'The store cannot take this now.', { kind: 'store_unavailable' })

export function committerOver(tools: CommitTools): Committer {
  const queue: Waiting[] = []
  const touches = touchMemory()
  const gauge = { groups: 0, changes: 0, lastMs: 0 }
  let running: Promise<void> | undefined
  let closed = false

  // One group at a time; setImmediate lets every request that arrived in this turn of the loop join the next.
  const drain = async (): Promise<void> => {
    while (queue.length > 0) {
      await new Promise(resolve => setImmediate(resolve))
      const startedAt = performance.now()
      const group = queue.splice(0, groupLimit).filter(waiting => {
        const isLate = startedAt - waiting.since > waitMs
        if (isLate) waiting.reject(gone())
        return !isLate
      })
      if (group.length === 0) continue
      await settle(tools, touches, group)
      gauge.lastMs = performance.now() - startedAt
      gauge.groups += 1
      gauge.changes += group.length
    }
    running = undefined
  }
  return {
    commit({ tenant, now, nowMs }, change: Change) {
      const member: Member = { tenant, now, nowMs, change }
      if (closed || queue.length >= queueLimit) return Promise.reject(gone())
      const refused = admit(member, tools.codecs)
      if (refused !== undefined) return Promise.reject(refused)
      return new Promise<Committed>((resolve, reject) => {
        queue.push({ member, since: performance.now(), resolve, reject })
        running ??= drain()
      })
    },
    gauges: { commit: () => ({ ...gauge }) },
    async close() {
      closed = true
      await running
    },
  }
}

/** Commits a group and answers its members; where one of them spoils the transaction, each alone. */
async function settle(tools: CommitTools, touches: TouchMemory, group: readonly Waiting[]): Promise<void> {
  const members = group.map(({ member }) => member)
  const groupTools = { ...tools, isTouchDue: touches.isDue }
  let result: GroupResult
  try {
    result = await transactSurely(tools, () => commitGroup(members, groupTools))
  } catch (error) {
    if (isFault(error) || group.length === 1) {
      for (const waiting of group) waiting.reject(error)
      return
    }
    for (const waiting of group) await settle(tools, touches, [waiting])
    return
  }
  // From here on it is durable: nothing may undo it or do it again.
  touches.written(result.touched)
  tools.replays?.add(result.marks)
  for (const [tenant, size] of result.sizes) tools.grown(tenant, size)
  for (const [tenant, signals] of result.signals) tools.signalled(tenant, signals)
  for (const [at, outcome] of result.outcomes.entries()) {
    if (isFault(outcome)) group[at]?.reject(outcome)
    else group[at]?.resolve(outcome)
  }
}

/** Commits; when the connection broke during the COMMIT, finds out through another one whether it happened. */
async function transactSurely(tools: CommitTools, body: () => Steps<GroupResult>): Promise<GroupResult> {
  try {
    return await tools.engine.transact(body)
  } catch (error) {
    if (!(error instanceof Uncertain)) throw error
    const result = error.result as GroupResult
    const at = result.outcomes.findIndex(outcome => !isFault(outcome) && outcome.kind === 'done')
    const [witness, tenant] = [result.outcomes[at], result.tenants[at]]
    if (witness === undefined || isFault(witness) || witness.kind !== 'done' || tenant === undefined)
      throw gone()
    const { first } = witness
    const happened = await surely(() => hasHappened(tools, tenant, first))
    if (happened) return result
    throw gone()
  }
}

/** Asks again while the database is away, for as long as somebody may wait. */
async function surely<R>(ask: () => Promise<R>): Promise<R> {
  for (const startedAt = performance.now(); ; ) {
    try {
      return await ask()
    } catch (error) {
      if (!isFault(error) || performance.now() - startedAt > waitMs) throw error
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
}

/**
 * Whether the entry is there. The lock on the head row makes the answer final: while the broken transaction is still
 * open, nobody else gets it.
 */
const hasHappened = (
  tools: CommitTools,
  tenant: string,
  entry: { id: string; index: number },
): Promise<boolean> =>
  tools.engine.transact(function* look(): Steps<boolean> {
    yield [step(tools.write.heads, [[tenant]])]
    const [found] = yield [step(tools.write.log.has, [[tenant, entry.index, entry.id]])]
    return { result: found?.length === 1 }
  })

interface TouchMemory {
  isDue(tenant: string, name: string, at: number): boolean
  written(touched: GroupResult['touched']): void
}

/** When each last use was last written, the newest uses only. */
function touchMemory(): TouchMemory {
  const last = new Map<string, number>()
  return {
    isDue: (tenant, name, at) => (last.get(`${tenant}\0${name}`) ?? -1) < at,
    written(touched) {
      for (const { tenant, name, at } of touched) {
        const whole = `${tenant}\0${name}`
        last.delete(whole)
        last.set(whole, at)
        if (last.size > touchLimit) last.delete(last.keys().next().value as string)
      }
    },
  }
}
