// What other policies would have answered: recorded decisions put to a proposed set, with the records as they are now.
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Ctx } from '../context.ts'
import { approvalFor } from '../domain/authorization/approved-operation.ts'
import { requestOf, sidesOf } from '../domain/authorization/policy/entities.ts'
import { type CompiledPolicies, compilePolicies, evaluate } from '../domain/authorization/policy/evaluate.ts'
import { isOtherSpelling, spellingRule } from '../domain/authorization/policy/other-spelling.ts'
import { type Readings, readingsOf } from '../domain/authorization/policy/readings.ts'
import type { PolicySet } from '../domain/authorization/policy/set.ts'
import { sliceOf } from '../domain/authorization/policy/slice.ts'
import type { DecisionFacts, Party, Question } from '../domain/authorization/question.ts'
import type { Log, StoredEntry } from '../store/store.ts'
import { type DecisionReads, readFacts, readOnce } from './facts.ts'
import {
  type Recorded,
  type Repetition,
  recordedIn,
  repeated,
  repeatedType,
  repetitionIn,
} from './recorded.ts'

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

/** An answer of which nobody can say what it would be. */
export interface Unknown extends Pick<Recorded, 'event' | 'item' | 'request' | 'timeMs' | 'count'> {
  /** Its id alone where only a report tells of it. */
  readonly subject: Party | string
  readonly action: string
  readonly why: string
}

export interface Replay {
  readonly decisions: number
  readonly changed: readonly Changed[]
  readonly unknown: readonly Unknown[]
  /** The index to go on after; null at the end. */
  readonly next: number | null
}

const types = ['decision.evaluated', 'decision.evaluations', repeatedType] as const

/** Decisions of one page, beyond those of its last entry: batches have many, and the answer must stay one that is read. */
const mostLooks = 2000
const looksPerTurn = 50
/** To parse so much of an entry takes about as long as to look at one decision. */
const charactersOfLook = 16_384

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
  const pause = pauses()
  const decisionsOf = await readerOf(ctx, store.log, { entries, pause })
  const policies = compilePolicies(proposed)
  // Many decisions of a page are about the same records.
  const reads = { ...store, facts: readOnce(store.facts) }
  const changed: Changed[] = []
  const unknown: Unknown[] = []
  let [decisions, looks] = [0, 0]
  const look = async (recorded: Recorded | Unknown): Promise<void> => {
    decisions += recorded.count
    looks += 1
    await pause(1)
    if ('why' in recorded) return void unknown.push(recorded)
    if (!isOfPolicies(recorded)) return
    const after = await again(ctx, reads, policies, recorded)
    if (typeof after === 'string') unknown.push(unsaid(recorded, after))
    else if (after.allowed !== recorded.allowed) changed.push({ recorded, after })
  }
  for (const one of entries) {
    if (looks >= mostLooks) return { decisions, changed, unknown, next: one.entry.index - 1 }
    for (const recorded of await decisionsOf(one)) await look(recorded)
  }
  return { decisions, changed, unknown, next }
}

type Pause = (looks: number) => Promise<void>

/** Everything comes from memory: without a pause after so much work nobody else would be served meanwhile. */
function pauses(): Pause {
  let done = 0
  return async looks => {
    done += looks
    if (done < looksPerTurn) return
    done = 0
    await nextTurn()
  }
}

interface Typed {
  readonly entry: StoredEntry
  readonly type: (typeof types)[number]
}

interface Reading {
  readonly entries: readonly Typed[]
  readonly pause: Pause
}

/**
 * What gives the decisions of an entry, which is parsed when it is come to: a page of them is more than one turn has
 * time for. Of what was reported, it is the decision that was repeated, wherever in the log that stands.
 */
async function readerOf(
  ctx: Ctx,
  log: Pick<Log, 'find'>,
  { entries, pause }: Reading,
): Promise<(one: Typed) => Promise<readonly (Recorded | Unknown)[]>> {
  const parse = async <T>({ text }: StoredEntry, read: (text: string) => T): Promise<T> => {
    await pause(text.length / charactersOfLook)
    return read(text)
  }
  const repetitions = new Map<number, Repetition>()
  for (const { entry, type } of entries) {
    const repetition = type === repeatedType ? await parse(entry, repetitionIn) : undefined
    if (repetition !== undefined) repetitions.set(entry.index, repetition)
  }
  const requests = new Set([...repetitions.values()].map(({ decidedBy }) => decidedBy))
  const found = await Promise.all(
    [...requests].map(requestId => log.find(ctx, { type: 'decision.evaluated', requestId }, -1, 1)),
  )
  const firsts = new Map<string, Recorded | undefined>()
  for (const [at, requestId] of [...requests].entries()) {
    const [entry] = found[at] ?? []
    firsts.set(requestId, entry && (await parse(entry, recordedIn))[0])
  }
  return async ({ entry }) => {
    const repetition = repetitions.get(entry.index)
    if (repetition === undefined) return parse(entry, recordedIn)
    const why = 'the decision that was given again is not in the log'
    return [repeated(firsts.get(repetition.decidedBy), repetition) ?? { ...repetition, item: null, why }]
  }
}

function unsaid({ question, event, item, request, timeMs, count }: Recorded, why: string): Unknown {
  const { subject, operation } = question
  return { event, item, request, timeMs, count, subject, action: operation.action, why }
}

/** The entries of all types in the order of the log. */
async function entriesIn(ctx: Ctx, log: Pick<Log, 'find'>, { after, limit, sinceMs, untilMs }: Window) {
  const found = await Promise.all(
    types.map(type =>
      log.find(ctx, { type, sinceMs, ...(untilMs === null ? {} : { untilMs }) }, after, limit + 1),
    ),
  )
  const all = types
    .flatMap((type, at) => (found[at] ?? []).map((entry): Typed => ({ entry, type })))
    .sort((a, b) => a.entry.index - b.entry.index)
  const entries = all.slice(0, limit)
  return { entries, next: all.length > limit ? (entries.at(-1)?.entry.index ?? null) : null }
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
  const read = await readFacts(ctx, reads, recorded.question, { fresh: false })
  const facts: DecisionFacts = { ...read.facts, risks: recorded.risks }
  if (recorded.question.foreign === null && facts.resource === undefined)
    return 'the resource is not registered any more'
  let verdict: Verdict | string = 'it was given at no instant'
  for (const ms of new Set(recorded.spanMs)) {
    verdict = answerAt(policies, recorded, { facts, question: questionAt(recorded, ms) })
    // Given again over an instant at which it changes, it is one that changes.
    if (typeof verdict === 'string' || verdict.allowed !== recorded.allowed) break
  }
  return verdict
}

/** The question as it was at the instant: what else it says did not change while the answer was remembered. */
function questionAt({ question }: Recorded, nowMs: number): Question {
  const { context } = question
  const later = Math.floor((nowMs - context.nowMs) / 1000)
  const aged = (seconds: number | null): number | null => (seconds === null ? null : seconds + later)
  const { authenticationAge, keyAge } = context
  return {
    ...question,
    context: { ...context, nowMs, authenticationAge: aged(authenticationAge), keyAge: aged(keyAge) },
  }
}

function answerAt(
  policies: CompiledPolicies,
  recorded: Recorded,
  { question, facts }: Pick<Case, 'question' | 'facts'>,
): Verdict | string {
  const reasons = new Set<string>()
  for (const party of [...question.chain, question.subject]) {
    if (isGone(party, facts)) return `the ${party.kind} is not registered any more`
    const unknown = unknownOf(policies, recorded, { question, facts, party })
    if (unknown !== undefined) return unknown
    if (isOtherSpelling(policies.sliced.statements, question))
      return refusing(party, { reasons: [spellingRule], errors: [] })
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
