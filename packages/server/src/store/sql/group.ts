// One group of changes in one transaction: what each member becomes, decided over the whole group at once.

import { Fault } from '@writ/sdk/protocol/fault'
import type { EventId } from '@writ/sdk/protocol/identifier'
import { entryText } from '../../domain/audit-entry.ts'
import type { BudgetState } from '../../domain/authorization/budget.ts'
import type { Change, Claim, Committed, Signal } from '../../domain/change.ts'
import { leafHash } from '../../domain/merkle.ts'
import type { SignalAt } from '../store.ts'
import { entryLimit, type Member } from './admission.ts'
import { budgetRows, type Left, readBudgets, takeFrom } from './counts/spending.ts'
import { type Row, type Scalar, type Step, type Steps, step, Violation } from './engine/engine.ts'
import { operationsOf } from './operations.ts'
import type { Mark, ReplayMemory } from './replay.ts'
import { mergeUse, type UseRow } from './uses.ts'
import type { GroupWriter } from './writer.ts'

/** What a group needs besides its members. */
export interface GroupTools {
  readonly write: GroupWriter
  eventId(index: number): EventId
  /** Decides on replay marks where the process owns the store; otherwise the database does. */
  readonly replays: ReplayMemory | undefined
  /** Whether this last use, of a key or of a version by somebody, should be written again. */
  isTouchDue(tenant: string, name: string, at: number): boolean
}

export interface GroupResult {
  /** Of each member, in order. */
  readonly outcomes: readonly (Committed | Fault)[]
  /** The tenant of each member, in order. */
  readonly tenants: readonly string[]
  readonly signals: ReadonlyMap<string, readonly SignalAt[]>
  /** Keys by their thumbprints, and uses by version and caller. */
  readonly touched: readonly { readonly tenant: string; readonly name: string; readonly at: number }[]
  /** How many entries each tenant's log has now. */
  readonly sizes: ReadonlyMap<string, number>
  /** The replay marks of those that are in. */
  readonly marks: readonly Mark[]
}

interface Head {
  size: number
  epoch: number
  ordinal: number
  readonly swept: number
}

/** The state of a group while its members are decided one after the other. */
interface Run {
  readonly tools: GroupTools
  readonly heads: Map<string, Head>
  /** The last epoch at which a subject was narrowed, as far as it matters to the group. */
  readonly narrowed: Map<string, number>
  readonly fences: Map<string, number>
  /** The replay marks that nobody left before this group. */
  readonly marks: Map<string, { readonly mark: Mark; owned: boolean }>
  readonly signals: Map<string, SignalAt[]>
  readonly touches: Map<
    string,
    readonly [tenant: string, thumbprint: string, at: number, origin: string | null]
  >
  /** By tenant, version and caller: one row each, since a statement may not touch a row twice. */
  readonly uses: Map<string, UseRow>
  /** Budgets by tenant, grant and name, as the members before left them; those that changed are written at the end. */
  readonly budgets: Map<string, BudgetState>
  readonly changedBudgets: Map<string, Left>
  readonly rows: { readonly entries: Scalar[][]; readonly signals: Scalar[][] }
}

const named = (tenant: string, name: string): string => `${tenant}\0${name}`

/** Decides and writes a group. The order of a member's failures: stale, replayed, spent or absent, conflict. */
export function* commitGroup(members: readonly Member[], tools: GroupTools): Steps<GroupResult> {
  const { write } = tools
  const tenants = [...new Set(members.map(member => member.tenant))].sort()
  const marks = marksOf(members)
  const asked = tools.replays === undefined ? [step(write.replay.claim, [...marks.values()])] : []
  const [headRows = [], claimed = []] = yield [
    step(
      write.heads,
      tenants.map(tenant => [tenant]),
    ),
    ...asked,
  ]
  const run: Run = {
    tools,
    heads: new Map(headRows.map(row => [row['tenant'] as string, { ...row } as unknown as Head])),
    narrowed: new Map(),
    fences: new Map(),
    marks: freshOf(marks, claimed, tools.replays),
    signals: new Map(),
    touches: new Map(),
    uses: new Map(),
    budgets: new Map(),
    changedBudgets: new Map(),
    rows: { entries: [], signals: [] },
  }
  yield* readDoubts(run, members)
  yield* readBudgets(run, write.budget, members)
  const outcomes: (Committed | Fault)[] = []
  for (const member of members) outcomes.push(yield* decide(run, member))
  const result = {
    outcomes,
    tenants: members.map(member => member.tenant),
    signals: run.signals,
    touched: touchedOf(run),
    marks: ownedOf(run),
    sizes: new Map([...run.heads].map(([tenant, { size }]) => [tenant, size])),
  }
  return { result, last: lastSteps(run) }
}

/** Each replay mark of the group once; where members show the same one, remembered as long as any of them asks. */
function marksOf(members: readonly Member[]): ReadonlyMap<string, Mark> {
  const marks = new Map<string, Mark>()
  for (const { tenant, now, change } of members) {
    for (const { key, until } of change.claims ?? []) {
      const name = named(tenant, key)
      const known = marks.get(name)
      const mark: Mark = [tenant, key, until, now]
      marks.set(
        name,
        known === undefined ? mark : [tenant, key, Math.max(until, known[2]), Math.min(now, known[3])],
      )
    }
  }
  return marks
}

/** Those that were not there before, as the database or the memory says. */
function freshOf(
  marks: ReadonlyMap<string, Mark>,
  claimed: readonly Row[],
  memory: ReplayMemory | undefined,
): Run['marks'] {
  const fresh: Run['marks'] = new Map()
  if (memory !== undefined) {
    for (const [name, mark] of marks) if (memory.isFresh(mark)) fresh.set(name, { mark, owned: false })
    return fresh
  }
  for (const row of claimed) {
    const name = named(row['tenant'] as string, row['key'] as string)
    const mark = marks.get(name)
    if (mark !== undefined) fresh.set(name, { mark, owned: false })
  }
  return fresh
}

/** The first claim whose mark was left before: in the store, by an earlier member that is in, or by this change. */
function replayedOf({ marks }: Run, { tenant, change }: Member): Claim | undefined {
  const own = new Set<string>()
  return change.claims?.find(({ key }) => {
    const state = marks.get(named(tenant, key))
    return state === undefined || state.owned || own.size === own.add(key).size
  })
}

/** Reads what narrowed since the members decided, and the fences they hold; nothing where all is up to date. */
function* readDoubts(
  run: Run,
  members: readonly Member[],
): Generator<readonly Step[], void, readonly (readonly Row[])[]> {
  const since = new Map<string, Scalar[]>()
  const leases = new Set<string>()
  for (const { tenant, change } of members) {
    if (change.fence !== undefined) leases.add(change.fence.lease)
    const head = run.heads.get(tenant)
    for (const { epoch, subjects } of change.bases ?? []) {
      if (head === undefined || epoch >= head.epoch) continue
      for (const subject of subjects) {
        const known = since.get(named(tenant, subject))
        if (known === undefined) since.set(named(tenant, subject), [tenant, subject, epoch])
        else known[2] = Math.min(known[2] as number, epoch)
      }
    }
  }
  if (since.size === 0 && leases.size === 0) return
  const [narrowed = [], fences = []] = yield [
    step(run.tools.write.signal.narrowed, [...since.values()]),
    step(
      run.tools.write.fences,
      [...leases].map(name => [name]),
    ),
  ]
  for (const row of narrowed) {
    run.narrowed.set(named(row['tenant'] as string, row['subject'] as string), row['epoch'] as number)
  }
  for (const row of fences) run.fences.set(row['name'] as string, row['fence'] as number)
}

function isStale(run: Run, { tenant, change }: Member, head: Head): boolean {
  if (change.fence !== undefined && run.fences.get(change.fence.lease) !== change.fence.fence) return true
  // Before the kept signals begin nothing can be told; after the head, the basis is of another history.
  return (change.bases ?? []).some(
    ({ epoch, subjects }) =>
      epoch < head.swept ||
      epoch > head.epoch ||
      subjects.some(subject => (run.narrowed.get(named(tenant, subject)) ?? 0) > epoch),
  )
}

function* decide(
  run: Run,
  member: Member,
): Generator<readonly Step[], Committed | Fault, readonly (readonly Row[])[]> {
  const head = run.heads.get(member.tenant)
  if (head === undefined)
    return new Fault('not_found', 'There is no such tenant.', { kind: 'unknown_tenant' })
  if (isStale(run, member, head)) return { kind: 'stale' }
  const replayed = replayedOf(run, member)
  if (replayed !== undefined) return { kind: 'replayed', claim: replayed }
  const spent = takeFrom(run.budgets, member)
  if (!(spent instanceof Map)) return spent
  const entries = entryRows(run, member, head)
  if (entries === undefined) return new Fault('invalid_value', 'The audit entry of this is too long.')
  const operations = operationsOf(run.tools.write, member, () => ++head.ordinal)
  if (operations.length > 0) {
    const failed = yield* inSavepoint(operations)
    if (failed !== undefined) return failed
  }
  for (const [name, left] of spent) {
    run.budgets.set(name, left.state)
    run.changedBudgets.set(name, left)
  }
  return accept(run, member, head, entries)
}

/** Runs what can fail by itself; undefined when all of it is done, and otherwise none of it is. */
function* inSavepoint(
  operations: ReturnType<typeof operationsOf>,
): Generator<readonly Step[], Committed | undefined, readonly (readonly Row[])[]> {
  let failed: Committed | undefined
  try {
    const steps = operations.flatMap(operation => operation.steps)
    const [, ...rows] = yield [{ text: 'savepoint member' }, ...steps]
    for (const operation of operations) {
      const own = rows.splice(0, operation.steps.length)
      failed ??= operation.judge(own)
    }
  } catch (error) {
    if (!(error instanceof Violation)) throw error
    let at = error.step - 1
    const broken = operations.find(operation => {
      at -= operation.steps.length
      return at < 0
    })
    if (broken === undefined) throw error
    failed = broken.violated
  }
  yield [{ text: failed === undefined ? 'release savepoint member' : 'rollback to savepoint member' }]
  return failed
}

function entryRows(run: Run, { tenant, change, nowMs }: Member, head: Head): Scalar[][] | undefined {
  const rows: Scalar[][] = []
  for (const draft of change.entries) {
    const index = head.size + rows.length
    const id = run.tools.eventId(index)
    const text = entryText({ ...draft, id, index, timeMs: nowMs })
    // At most three bytes a unit: only a long text is measured.
    if (text.length * 3 > entryLimit && Buffer.byteLength(text) > entryLimit) return undefined
    const { type, agent, person, requestId } = draft
    const named = [type, agent ?? null, person ?? null, requestId]
    rows.push([tenant, index, id, nowMs, ...named, leafHash(text), text])
  }
  return rows
}

/** The member is in: it gets the next epochs and indexes, without a gap whatever failed before it. */
function accept(
  run: Run,
  { tenant, now, nowMs, change }: Member,
  head: Head,
  entries: Scalar[][],
): Committed {
  for (const signal of signalsOf(run, change)) {
    const epoch = ++head.epoch
    run.rows.signals.push([tenant, epoch, signal.subject, signal.kind, nowMs])
    const ofTenant = run.signals.get(tenant) ?? []
    ofTenant.push({ ...signal, epoch, atMs: nowMs })
    run.signals.set(tenant, ofTenant)
    if (signal.kind === 'narrowed') run.narrowed.set(named(tenant, signal.subject), epoch)
  }
  for (const { thumbprint, from } of change.touches ?? []) {
    if (!run.tools.isTouchDue(tenant, thumbprint, now)) continue
    const newest = run.touches.get(named(tenant, thumbprint))
    if (newest === undefined || newest[2] < now) {
      run.touches.set(named(tenant, thumbprint), [tenant, thumbprint, now, from])
    }
  }
  for (const { version, caller, from, until } of change.uses ?? []) {
    const use = useOf(version, caller)
    const name = named(tenant, use)
    // What is over at once is written like the last use of a key; what lasts has an end that must not be missed.
    if (until === null && !run.uses.has(name) && !run.tools.isTouchDue(tenant, use, now)) continue
    run.uses.set(name, mergeUse(run.uses.get(name), [tenant, version, caller, now, now, from, until]))
  }
  for (const { key } of change.claims ?? []) {
    const state = run.marks.get(named(tenant, key))
    if (state !== undefined) state.owned = true
  }
  head.size += entries.length
  run.rows.entries.push(...entries)
  const first = entries[0] as Scalar[]
  return { kind: 'done', first: { id: first[2] as string, index: first[1] as number }, epoch: head.epoch }
}

/** The change's own signals, and `changed` for each record it writes without one: no memory may miss a write. */
function signalsOf({ tools }: Run, change: Change): readonly Signal[] {
  const { signals = [], puts = [], removals = [] } = change
  if (puts.length === 0 && removals.length === 0) return signals
  const subjects = new Set(removals.map(removal => removal.id))
  for (const { put, value } of puts) {
    const codec = tools.write.records.get(put)?.codec
    if (codec !== undefined) subjects.add(codec.subjectOf(value))
  }
  for (const { subject } of signals) subjects.delete(subject)
  return [...signals, ...[...subjects].map(subject => ({ subject, kind: 'changed' as const }))]
}

/** What the memory of last uses calls a use; no key has such a name. */
const useOf = (version: string, caller: string): string => `${version}\0${caller}`

const touchedOf = (run: Run): GroupResult['touched'] => [
  ...[...run.touches.values()].map(([tenant, name, at]) => ({ tenant, name, at })),
  ...[...run.uses.values()].map(([tenant, version, caller, , at]) => ({
    tenant,
    name: useOf(version, caller),
    at,
  })),
]

const ownedOf = (run: Run): readonly Mark[] =>
  [...run.marks.values()].flatMap(({ mark, owned }) => (owned ? [mark] : []))

function lastSteps(run: Run): readonly Step[] {
  const { write } = run.tools
  const last: Step[] = []
  const owned = ownedOf(run)
  if (run.tools.replays !== undefined) {
    // One that has already passed decides nothing any more.
    const lasting = owned.filter(([, , until, now]) => until >= now)
    if (lasting.length > 0) last.push(step(write.replay.keep, lasting))
  } else if (owned.length < run.marks.size) {
    // A change that failed may be decided again: its marks go with it.
    const unowned = [...run.marks.values()].flatMap(({ mark: [tenant, key], owned }) =>
      owned ? [] : [[tenant, key]],
    )
    last.push(step(write.replay.unclaim, unowned))
  }
  if (run.rows.entries.length === 0) return last
  const heads = [...run.heads].map(([tenant, { size, epoch, ordinal }]) => [tenant, size, epoch, ordinal])
  last.push(step(write.log.append, run.rows.entries), step(write.advance, heads))
  if (run.touches.size > 0) last.push(step(write.touch, [...run.touches.values()]))
  if (run.changedBudgets.size > 0) last.push(step(write.budget.write, budgetRows(run.changedBudgets)))
  if (run.uses.size > 0) last.push(step(write.use, [...run.uses.values()]))
  if (run.rows.signals.length > 0) {
    last.push(step(write.signal.add, run.rows.signals))
    if (write.notify !== undefined) {
      last.push(
        step(
          write.notify,
          [...run.signals.keys()].map(tenant => [tenant]),
        ),
      )
    }
  }
  return last
}
