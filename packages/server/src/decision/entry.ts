// The entry of a decision: what was asked, by whom it was answered, and every input that a replay needs. No argument more.
import type { Ctx } from '../context.ts'
import { type Actor, type EntryDraft, excerpt } from '../domain/audit-entry.ts'
import { typedId } from '../domain/authorization/policy/schema.ts'
import type { Party, Question } from '../domain/authorization/question.ts'
import type { Caller } from '../domain/caller.ts'
import type { Decided } from './decided.ts'

/** How much of a text of others an entry keeps. */
export const kept = 256

export interface Answered {
  readonly question: Question
  readonly decided: Decided
}

export function entryOf(ctx: Ctx, caller: Caller, { question, decided }: Answered): EntryDraft {
  const { subject, chain } = question
  const parties = [...chain, subject]
  const { refusal } = decided
  return {
    type: 'decision.evaluated',
    outcome: decided.allowed ? 'allowed' : 'refused',
    reason: refusal?.say ?? null,
    agent: subject.kind === 'agent' ? excerpt(subject.id, kept) : null,
    instance: subject.kind === 'agent' && subject.instance !== null ? excerpt(subject.instance, kept) : null,
    person: parties.find(({ kind }) => kind === 'person')?.id ?? null,
    chain: parties.flatMap(actorsOf),
    resource: excerpt(question.operation.resource, kept),
    action: excerpt(question.operation.action, kept),
    decision: { rule: ruleOf(decided), grants: decided.grants, epoch: caller.basis.epoch },
    facts: { ...byOf(ctx, caller), ...inputsOf(question, decided) },
    ...askedBy(ctx, caller),
  }
}

/**
 * Many answers in one entry: each item is its own JSON, in the order of the request. What all of them have alike is said
 * once, in `common`: the items of one request differ in little, and a leaf of the log holds 64 KiB.
 */
export function entryOfMany(
  ctx: Ctx,
  caller: Caller,
  answers: readonly (Answered | { readonly problem: string })[],
): EntryDraft {
  const items = answers.map(itemOf)
  const common = commonOf(items)
  const agents = new Set(
    answers.map(answer =>
      'problem' in answer || answer.question.subject.kind !== 'agent' ? null : answer.question.subject.id,
    ),
  )
  const [agent = null] = agents.size === 1 ? agents : []
  return {
    type: 'decision.evaluations',
    outcome: answers.every(answer => !('problem' in answer) && answer.decided.allowed)
      ? 'allowed'
      : 'refused',
    // The one agent that all of them are about; where there are several, the items say which.
    agent: agent === null ? null : excerpt(agent, kept),
    decision: { rule: 'evaluations', epoch: caller.basis.epoch },
    facts: {
      ...byOf(ctx, caller),
      ...(Object.keys(common).length === 0 ? {} : { common: JSON.stringify(common) }),
      items: items.map(item => JSON.stringify(without(item, common))),
    },
    ...askedBy(ctx, caller),
  }
}

export type Facts = Readonly<Record<string, unknown>>

/** What is asked of each item by whoever counts, and told of it to whoever reads. */
const itemsOwn: ReadonlySet<string> = new Set(['decision', 'rule', 'grants', 'action', 'object', 'party'])

/** The members that all answers have alike; an item that was no question has none of them. */
function commonOf(items: readonly Facts[]): Facts {
  const [first, ...others] = items.filter(item => !Object.hasOwn(item, 'problem'))
  if (first === undefined || others.length === 0) return {}
  const isCommon = ([name, value]: readonly [string, unknown]): boolean => {
    const text = JSON.stringify(value)
    return !itemsOwn.has(name) && others.every(other => JSON.stringify(other[name]) === text)
  }
  return Object.fromEntries(Object.entries(first).filter(isCommon))
}

function without(item: Facts, common: Facts): Facts {
  return Object.fromEntries(Object.entries(item).filter(([name]) => !Object.hasOwn(common, name)))
}

/** The facts of an item of a batch, with what is common to all. The inverse of what `entryOfMany` writes. */
export function itemFacts(item: unknown, common: unknown): Facts {
  const own = JSON.parse(String(item)) as Facts
  return typeof common === 'string' && !Object.hasOwn(own, 'problem')
    ? { ...JSON.parse(common), ...own }
    : own
}

function itemOf(answer: Answered | { readonly problem: string }): Facts {
  if ('problem' in answer)
    return { decision: false, rule: 'invalid_request', problem: excerpt(answer.problem, kept) }
  const { question, decided } = answer
  return {
    decision: decided.allowed,
    rule: ruleOf(decided),
    grants: decided.grants,
    resource: excerpt(question.operation.resource, kept),
    action: excerpt(question.operation.action, kept),
    ...(question.subject.kind === 'agent' && question.subject.instance !== null
      ? { instance: excerpt(question.subject.instance, kept) }
      : {}),
    ...inputsOf(question, decided),
  }
}

/** Who asked, and how it calls its request. */
export function byOf({ callerRequestId }: Ctx, caller: Caller): Readonly<Record<string, string>> {
  return {
    by: caller.id,
    ...(callerRequestId === undefined ? {} : { asked_as: excerpt(callerRequestId, 128) }),
  }
}

/** The members of an entry that say who asked. */
export function askedBy(
  ctx: Ctx,
  caller: Caller,
): Pick<EntryDraft, 'key' | 'requestId' | 'traceId' | 'peer'> {
  return {
    key: caller.key,
    requestId: ctx.requestId,
    traceId: ctx.traceId ?? null,
    peer: ctx.peer ?? null,
  }
}

export function ruleOf({ refusal, grants }: Decided): string {
  if (refusal !== null) return `${refusal.by}:${refusal.rule}`
  return grants.length > 0 ? 'granted' : 'policy'
}

function actorsOf(party: Party): readonly Actor[] {
  if (party.kind === 'other') return []
  const actor: Actor = { sub: excerpt(party.id, kept), kind: party.kind }
  return party.kind === 'agent' && party.instance !== null
    ? [actor, { sub: excerpt(party.instance, kept), kind: 'instance' }]
    : [actor]
}

type Fact = string | number | boolean | readonly string[] | null

/** What a replay needs, without what says nothing. */
function inputsOf(question: Question, decided: Decided): Readonly<Record<string, Fact>> {
  const { context, operation, ceiling, foreign, subject, chain } = question
  const facts: Record<string, Fact | undefined> = {
    party: decided.refusal?.party,
    subject: nameOf(subject),
    on_behalf_of: chain.length === 0 ? undefined : chain.map(nameOf),
    object: operation.object === null ? undefined : typedId(operation.object.type, operation.object.id),
    foreign: foreign?.type,
    from: context.peer ?? undefined,
    session: context.session ?? undefined,
    task: context.task ?? undefined,
    authentication_age: context.authenticationAge ?? undefined,
    key_age: decided.keyAge ?? undefined,
    approval: context.approval ?? undefined,
    risk: namesOf(Object.entries(decided.risks).map(([id, score]) => `${id}=${score}`)),
    amounts: namesOf(Object.entries(context.amounts).map(([unit, amount]) => `${unit}=${amount}`)),
    arguments: namesOf(recordedOf(operation.arguments, decided.recorded)),
    claimed: claimsOf(question) || undefined,
    token: ceiling?.token?.jti,
    token_grants: ceiling?.grants,
    token_scopes: ceiling?.scopes,
    policy_version: decided.policy.version,
    ...reasonsOf(decided.policy.reasons),
    shadow_version: decided.shadow?.version,
    shadow_decision: decided.shadow?.allowed,
  }
  const said: Record<string, Fact> = {}
  for (const [name, fact] of Object.entries(facts)) {
    if (fact === undefined) continue
    said[name] = typeof fact === 'string' ? excerpt(fact, kept) : fact
  }
  return said
}

const nameOf = (party: Party): string =>
  excerpt(party.kind === 'other' ? typedId(party.type, party.id) : `${party.kind}:${party.id}`, kept)

/** How many attributes were claimed; which ones is nobody's business. */
const claimsOf = ({ claimed }: Question): number =>
  Object.values(claimed).reduce((sum, attributes) => sum + Object.keys(attributes).length, 0)

/** Policies that one entry names; of a set in which more decide, how many more. */
const mostReasons = 16

/** The policies that decided, as entries name them. */
export function reasonsOf(reasons: readonly string[]): Readonly<Record<string, readonly string[] | number>> {
  if (reasons.length === 0) return {}
  const more = reasons.length - mostReasons
  return { policies: reasons.slice(0, mostReasons), ...(more > 0 ? { policies_more: more } : {}) }
}

const namesOf = (names: readonly string[]): readonly string[] | undefined =>
  names.length === 0 ? undefined : names

/** Only arguments that the map of the resource names: of the others not even that they were there. */
function recordedOf(given: Readonly<Record<string, unknown>>, names: readonly string[]): readonly string[] {
  return names.filter(name => Object.hasOwn(given, name)).map(name => argumentText(name, given[name]))
}

/** In quotes, a name ends where they do: else an `=` in it would be taken for its end. */
export const needsQuotes = (name: string): boolean => name.includes('=') || name.startsWith('"')

/** `name=value`, the value as JSON. The name is one of the map, and stands whole: what is cut is what the caller gave. */
export function argumentText(name: string, value: unknown): string {
  const head = `${needsQuotes(name) ? JSON.stringify(name) : name}=`
  return head + excerpt(JSON.stringify(value) ?? '', Math.max(0, kept - head.length))
}
