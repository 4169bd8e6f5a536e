// What other policies would have answered: recorded decisions put to a proposed set, with the records as they are now.
import type { Ctx } from '../context.ts'
import { approvalFor } from '../domain/authorization/approved-operation.ts'
import { requestOf, sidesOf } from '../domain/authorization/policy/entities.ts'
import { type CompiledPolicies, compilePolicies, evaluate } from '../domain/authorization/policy/evaluate.ts'
import { type Readings, readingsOf } from '../domain/authorization/policy/readings.ts'
import type { PolicySet } from '../domain/authorization/policy/set.ts'
import { sliceOf } from '../domain/authorization/policy/slice.ts'
import type { DecisionFacts, Party, Question } from '../domain/authorization/question.ts'
import type { Log } from '../store/store.ts'
import { type DecisionReads, readFacts, readOnce } from './facts.ts'
import { type Recorded, recordedIn } from './recorded.ts'

export interface ReplayDeps {
  readonly store: DecisionReads & { readonly log: Pick<Log, 'find'> }
}

export interface Window {
  /** Epoch milliseconds, of the instants at which it was decided. */
  readonly sinceMs: number
  readonly untilMs: number | null
  /** The index of the log after which it goes on. */
  readonly after: number
  /** How many entries are looked at. */
  readonly limit: number
}

/** An answer that would be another one. */
export interface Changed {
  readonly recorded: Recorded
  readonly after: Verdict
}

export interface Verdict {
  readonly allowed: boolean
  /** `policy:<id>`, `policy_error:<id>` or `policy:no_permit` where it refuses; null where it allows. */
  readonly rule: string | null
  readonly party: string | null
  readonly policies: readonly string[]
}

export interface Replay {
  readonly decisions: number
  readonly changed: readonly Changed[]
  /** How many could not be replayed, by why. */
  readonly left: ReadonlyMap<string, number>
  /** The index to go on after; null at the end. */
  readonly next: number | null
}

const types = ['decision.evaluated', 'decision.evaluations'] as const

/**
 * One page of the window. Only the policies are judged anew: what was refused for another reason stays refused, and
 * what an agent was granted stays granted. Writes nothing.
 */
export async function replay(
  ctx: Ctx,
  { store }: ReplayDeps,
  proposed: Pick<PolicySet, 'source' | 'digest'>,
  window: Window,
): Promise<Replay> {
  const { entries, next } = await entriesIn(ctx, store.log, window)
  const policies = compilePolicies(proposed)
  // Many decisions of a page are about the same records.
  const reads = { ...store, facts: readOnce(store.facts) }
  const changed: Changed[] = []
  const left = new Map<string, number>()
  let decisions = 0
  for (const recorded of entries.flatMap(({ text }) => recordedIn(text))) {
    decisions += 1
    if (!isOfPolicies(recorded)) continue
    const after = await again(ctx, reads, policies, recorded)
    if (typeof after === 'string') left.set(after, (left.get(after) ?? 0) + 1)
    else if (after.allowed !== recorded.allowed) changed.push({ recorded, after })
  }
  return { decisions, changed, left, next }
}

/** The entries of all types in the order of the log. */
async function entriesIn(ctx: Ctx, log: Pick<Log, 'find'>, { after, limit, sinceMs, untilMs }: Window) {
  const found = await Promise.all(
    types.map(type =>
      log.find(ctx, { type, sinceMs, ...(untilMs === null ? {} : { untilMs }) }, after, limit + 1),
    ),
  )
  const all = found.flat().sort((a, b) => a.index - b.index)
  const entries = all.slice(0, limit)
  return { entries, next: all.length > limit ? (entries.at(-1)?.index ?? null) : null }
}

/** Whether policies had a say in it: they come last, and lift no other refusal. */
function isOfPolicies({ allowed, rule }: Recorded): boolean {
  return allowed || /^policy(?:_error)?:/.test(rule) || rule === 'approval:required'
}

/** What the policies say of it now; or why that cannot be said. */
async function again(
  ctx: Ctx,
  reads: DecisionReads,
  policies: CompiledPolicies,
  recorded: Recorded,
): Promise<Verdict | string> {
  if (recorded.isCut) return 'a name was too long to be recorded whole'
  const { question } = recorded
  const read = await readFacts(ctx, reads, question, { fresh: false })
  const facts: DecisionFacts = { ...read.facts, risks: recorded.risks }
  const reasons = new Set<string>()
  for (const party of [...question.chain, question.subject]) {
    if (isGone(party, facts)) return `the ${party.kind} is not registered any more`
    const unknown = unknownOf(policies, recorded, { question, facts, party })
    if (unknown !== undefined) return unknown
    const answer = evaluate(policies, { question, facts, party }, party.kind === 'agent')
    if (!answer.allowed) return refusing(party, answer)
    for (const reason of answer.reasons) reasons.add(reason)
  }
  return { allowed: true, rule: null, party: null, policies: [...reasons] }
}

function refusing(
  party: Party,
  { reasons, errors }: { readonly reasons: readonly string[]; readonly errors: readonly string[] },
): Verdict {
  const [error] = errors
  const rule = error === undefined ? `policy:${reasons[0] ?? 'no_permit'}` : `policy_error:${error}`
  return { allowed: false, rule, party: party.id, policies: error === undefined ? reasons : errors }
}

function isGone(party: Party, { agents, people, clients }: DecisionFacts): boolean {
  switch (party.kind) {
    case 'agent':
      return !agents.has(party.id)
    case 'person':
      return !people.has(party.id)
    case 'client':
      return !clients.has(party.id)
    default:
      return false
  }
}

interface Case {
  readonly question: Question
  readonly facts: DecisionFacts
  readonly party: Party
}

/** What the policies that can matter look at and the entry does not have. */
function unknownOf({ sliced }: CompiledPolicies, recorded: Recorded, asked: Case): string | undefined {
  // The engine could not be asked then either: it is refused, with or without what is missing.
  if (requestOf(asked, asked.party.kind === 'agent') === undefined) return undefined
  const statements = sliceOf(sliced, sidesOf(asked)).flatMap(at => sliced.statements[at] ?? [])
  const readings = readingsOf(statements)
  if (readings.attributes && recorded.claimed > 0) return 'claimed attributes are not recorded'
  return unknownArgument(readings, recorded, asked) ?? unknownApproval(readings, asked)
}

function unknownArgument(
  { arguments: names }: Readings,
  { question, cutArguments, timeMs }: Recorded,
  { facts }: Case,
): string | undefined {
  if (names === 'all') return 'arguments were not all recorded'
  const { resource } = facts
  // Named by the map at the time, an argument that is not in the entry was not in the call.
  const isAsThen = resource !== undefined && (resource.updatedAt + clockSpreadSeconds) * 1000 < timeMs
  const recordable = isAsThen ? (resource.actions?.actions[question.operation.action]?.recorded ?? []) : []
  for (const pointer of names) {
    const name = nameIn(pointer)
    const isKnown =
      Object.hasOwn(question.operation.arguments, name) ||
      (recordable.includes(name) && !cutArguments.has(name))
    if (!isKnown) return `the argument ${name} was not recorded`
  }
  return undefined
}

/** By how much the clocks of nodes may disagree, and one second because the record has whole ones. */
const clockSpreadSeconds = 16

/** The argument of a pointer (RFC 6901 §4): `lines/0/price` is within `lines`. */
function nameIn(pointer: string): string {
  const [first = ''] = pointer.split('/', 1)
  return first.replaceAll('~1', '/').replaceAll('~0', '~')
}

/** An approval is bound to every argument, so that without them nobody can say whether it is the one. */
function unknownApproval({ context }: Readings, { question, facts }: Case): string | undefined {
  if (question.context.approval === null || (context !== 'all' && !context.has('approval'))) return undefined
  return 'fact' in approvalFor(question, facts.approval)
    ? undefined
    : 'the approval was bound to what is not recorded'
}
