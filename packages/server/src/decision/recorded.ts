// The way back from an entry of the log to the questions that were answered in it: what `entry.ts` writes, read again.
import type { ApprovalId, InstanceId } from '@writ/sdk/protocol/identifier'
import { typed } from '../domain/authorization/policy/mentioned.ts'
import type { Party, Question } from '../domain/authorization/question.ts'
import { itemFacts, kept, needsQuotes } from './entry.ts'

/** A decision as it was recorded, with as much of its question as the entry has. */
export interface Recorded {
  readonly event: string
  /** Which of the items of a batch, from 0; null where the entry is about one. */
  readonly item: number | null
  readonly request: string
  readonly timeMs: number
  /** How often it was answered so: more than once where a resource gave it again from its memory. */
  readonly count: number
  /** Between which instants that was, where it was more than one. */
  readonly spanMs: readonly [number, number]
  readonly allowed: boolean
  /** `granted`, `policy`, or what refused and by which rule. */
  readonly rule: string
  readonly policies: readonly string[]
  readonly policyVersion: number
  readonly question: Question
  /** Score of everybody who had one. */
  readonly risks: ReadonlyMap<string, number>
  /** Attributes that were claimed, none of which was recorded. */
  readonly claimed: number
  /** A name in the question that the entry has only the beginning of. */
  readonly isCut: boolean
  /** Arguments that the entry has only the beginning of; they are not among those of the question. */
  readonly cutArguments: ReadonlySet<string>
}

interface LoggedEntry {
  readonly id: string
  readonly type: string
  readonly time: string
  readonly outcome: string
  readonly instance: string | null
  readonly resource: string | null
  readonly action: string | null
  readonly decision: Facts | null
  readonly request_id: string
}

type Facts = Readonly<Record<string, unknown>>
type Common = Pick<Recorded, 'event' | 'request' | 'timeMs'>

export const repeatedType = 'decision.repeated'

/** What a resource reported of an answer that it gave again from its memory: the question stands in the first entry. */
export interface Repetition extends Common {
  /** The request of the first entry. */
  readonly decidedBy: string
  readonly subject: string
  readonly action: string
  readonly count: number
  readonly spanMs: Recorded['spanMs']
}

/** The report of an entry by its text; undefined where it is none. */
export function repetitionIn(text: string): Repetition | undefined {
  const { type, id, request_id, time, action, decision } = JSON.parse(text) as LoggedEntry
  if (type !== repeatedType || decision === null) return undefined
  const { decided_by: decidedBy, subject, count, first_at: first, last_at: last } = decision
  return {
    event: id,
    request: request_id,
    timeMs: Date.parse(time),
    decidedBy: String(decidedBy),
    subject: String(subject),
    action: action ?? '',
    count: Number(count),
    spanMs: [Date.parse(String(first)), Date.parse(String(last))],
  }
}

/** The decision as it was repeated; undefined where the first one is another than the report says. */
export function repeated(first: Recorded | undefined, repetition: Repetition): Recorded | undefined {
  const { decidedBy, subject, action, ...again } = repetition
  if (first === undefined || !first.allowed || first.request !== decidedBy) return undefined
  const { question } = first
  if (question.subject.id !== subject || question.operation.action !== action) return undefined
  return { ...first, ...again, item: null }
}

/** The decisions of an entry by its text; none where it records that nothing was decided. */
export function recordedIn(text: string): readonly Recorded[] {
  const entry = JSON.parse(text) as LoggedEntry
  const { id: event, request_id: request, time, decision } = entry
  const common = { event, request, timeMs: Date.parse(time) }
  if (decision === null) return []
  if (Array.isArray(decision['items']))
    return decision['items'].flatMap((item, at) => {
      const facts = itemFacts(item, decision['common'])
      return read(common, facts, { item: at, allowed: facts['decision'] === true })
    })
  const { instance, resource, action } = entry
  const facts = { ...decision, instance: instance ?? undefined, resource, action }
  return read(common, facts, { item: null, allowed: entry.outcome === 'allowed' })
}

function read(common: Common, facts: Facts, answer: Pick<Recorded, 'item' | 'allowed'>): Recorded[] {
  // The entry of a caller that might not ask, or of a question that was none, has no subject.
  if (typeof facts['subject'] !== 'string' || typeof facts['rule'] !== 'string') return []
  const given = textsIn(facts, 'arguments').map(argumentIn)
  const cut = given.flatMap(one => ('value' in one ? [] : [one.names]))
  return [
    {
      ...common,
      ...answer,
      count: 1,
      spanMs: [common.timeMs, common.timeMs],
      rule: facts['rule'],
      policies: textsIn(facts, 'policies'),
      policyVersion: Number(facts['policy_version'] ?? 0),
      question: questionIn(facts, common.timeMs, Object.fromEntries(given.flatMap(pairOf))),
      risks: new Map(pairsIn(facts, 'risk').map(([id, score]) => [id, Number(score)])),
      claimed: Number(facts['claimed'] ?? 0),
      isCut: names.some(name => [facts[name]].flat().some(isCut)) || cut.some(isNameless),
      cutArguments: new Set(cut.flat()),
    },
  ]
}

const names = [
  'subject',
  'on_behalf_of',
  'instance',
  'resource',
  'object',
  'foreign',
  'action',
  'session',
  'task',
]

/** `excerpt` leaves these traces. */
function isCut(text: unknown): boolean {
  return typeof text === 'string' && (text.length >= kept || text.includes('[redacted]'))
}

type Argument = { readonly name: string; readonly value: unknown } | { readonly names: readonly string[] }

/** An argument as `argumentText` wrote it; where its value is not whole, the names that it may have been under. */
function argumentIn(text: string): Argument {
  const quoted = /^("(?:[^"\\]|\\.)*")=/.exec(text)?.[1] ?? ''
  const unquoted = parsed(quoted)?.value
  // Entries of before names were quoted have them as they are, quotes and all.
  const isQuoted = typeof unquoted === 'string' && needsQuotes(unquoted)
  const at = isQuoted ? quoted.length : text.indexOf('=')
  const name = isQuoted ? unquoted : text.slice(0, Math.max(0, at))
  const value = isCut(text) ? undefined : parsed(text.slice(at + 1))
  if (name !== '' && value !== undefined) return { name, ...value }
  if (isQuoted) return { names: [name] }
  return { names: [...text.matchAll(/=/g)].map(({ index }) => text.slice(0, index)) }
}

const pairOf = (one: Argument): (readonly [string, unknown])[] =>
  'value' in one ? [[one.name, one.value]] : []

/** Entries of before have a name redacted that is as long as a secret: which one it was, nobody knows. */
const isNameless = ([name]: readonly string[]): boolean => name === undefined || name.includes('[redacted]')

function parsed(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    // What an entry has only the beginning of is no JSON, and entries stand for ever: it is unknown, and no failure.
    return undefined
  }
}

function questionIn(facts: Facts, nowMs: number, given: Readonly<Record<string, unknown>>): Question {
  const text = (name: string): string | null => {
    const value = facts[name]
    return typeof value === 'string' ? value : null
  }
  const number = (name: string): number | null => {
    const value = facts[name]
    return typeof value === 'number' ? value : null
  }
  const [resource, object, foreign] = [text('resource') ?? '', text('object'), text('foreign')]
  return {
    subject: partyIn(String(facts['subject']), text('instance')),
    chain: textsIn(facts, 'on_behalf_of').map(name => partyIn(name, null)),
    operation: {
      action: text('action') ?? '',
      resource,
      object: object === null ? null : typed(object),
      arguments: given,
    },
    foreign: foreign === null ? null : { type: foreign, id: resource },
    // Grants and the token were judged before the policies; what is asked anew is the policies alone.
    ceiling: null,
    context: {
      nowMs,
      peer: text('from'),
      session: text('session'),
      task: text('task'),
      authenticationAge: number('authentication_age'),
      keyAge: number('key_age'),
      key: null,
      approval: text('approval') as ApprovalId | null,
      amounts: Object.fromEntries(
        pairsIn(facts, 'amounts').map(([unit, amount]) => [
          unit,
          unit === 'currency' ? amount : Number(amount),
        ]),
      ),
    },
    claimed: { subject: {}, object: {}, context: {} },
  }
}

function partyIn(name: string, instance: string | null): Party {
  const { type, id } = typed(name)
  switch (type) {
    case 'agent':
      return { kind: 'agent', id: id as never, instance: instance as InstanceId | null }
    case 'person':
      return { kind: 'person', id: id as never }
    case 'client':
      return { kind: 'client', id }
    default:
      return { kind: 'other', type, id }
  }
}

function textsIn(facts: Facts, name: string): readonly string[] {
  const texts = facts[name]
  return Array.isArray(texts) ? texts.map(String) : []
}

/** `name=value`, those that are whole; the values are numbers or the names of currencies, and have no `=`. */
function pairsIn(facts: Facts, name: string): readonly (readonly [string, string])[] {
  return textsIn(facts, name)
    .filter(text => !isCut(text))
    .map(text => {
      const at = text.lastIndexOf('=')
      return [text.slice(0, at), text.slice(at + 1)]
    })
}
