// The decision as a list of checks over values: the first that refuses names the party and the rule. Deny on doubt.
import { isAgentLive, isKeyLive } from '../agent.ts'
import { type Grant, isGrantLive } from '../grant.ts'
import { approvalFor } from './approved-operation.ts'
import { type Covers, uncovered } from './ceiling.ts'
import { haltOn } from './halt.ts'
import type { DecisionFacts, Party, Question, Refusal } from './question.ts'
import { isSessionLive } from './session.ts'
import { actionProblem } from './spelling.ts'

/** What the policies in force say of one party. */
export interface PolicyVerdict {
  readonly allowed: boolean
  /** The policies that decided. */
  readonly reasons: readonly string[]
  /** Those that failed: one is enough to refuse. */
  readonly errors: readonly string[]
  /** Whether the answer may be another at another instant. */
  readonly readsClock: boolean
}

/** What a judge asks of others: engines for policies and details, and the name of the tenant. */
export interface Rules {
  readonly tenant: string
  policy(party: Party, granted: boolean): PolicyVerdict
  /** Whether the condition of a grant of the party holds, and whether another instant may say otherwise. */
  condition(
    text: string,
    party: Party,
  ): { readonly holds: true | false | 'error'; readonly readsClock: boolean }
  readonly covers: Covers
  /** The same rules over another question or other facts: what would be, if. */
  over(question: Question, facts: DecisionFacts): Rules
}

export interface Judged {
  readonly refusal: Refusal | null
  /** What the permission rests on: one grant for each agent. */
  readonly grants: readonly Grant[]
  readonly reasons: readonly string[]
  readonly readsClock: boolean
}

interface Case {
  readonly question: Question
  readonly facts: DecisionFacts
  readonly rules: Rules
  /** Whoever is on the chain, then who makes the call: each must be allowed. */
  readonly parties: readonly Party[]
}

type Check = (given: Case) => Refusal | undefined

/** In this order, so that what ends everything is told before what lacks. */
const checks: readonly Check[] = [halted, unfit, outOfSession, misspelt, aboveCeiling, notApproved]

/** Whether the operation is allowed, with who and what refused it. Pure: everything it looks at was read before. */
export function judge(question: Question, facts: DecisionFacts, rules: Rules): Judged {
  const given: Case = { question, facts, rules, parties: [...question.chain, question.subject] }
  for (const check of checks) {
    const refusal = check(given)
    if (refusal !== undefined) return refused(refusal)
  }
  const held = grantsOf(given)
  if ('refusal' in held) return refused(held.refusal)
  return underPolicies(given, held.grants)
}

function refused(refusal: Refusal): Judged {
  return { refusal, grants: [], reasons: [], readsClock: false }
}

/** How refusals and policies call a party. */
export function partyName(party: Party): string {
  return party.kind === 'other' ? `${party.type}:${party.id}` : party.id
}

const nowOf = ({ question }: Case): number => Math.floor(question.context.nowMs / 1000)

function halted({ question, facts, rules, parties }: Case): Refusal | undefined {
  const { operation, foreign, ceiling } = question
  const resource = foreign === null ? operation.resource : null
  const tool = operation.object?.type === 'tool' ? `${operation.resource}#${operation.object.id}` : null
  for (const party of parties) {
    const isCaller = party === question.subject
    const halt = haltOn(facts.halts, {
      agent: party.kind === 'agent' ? party.id : null,
      instance: party.kind === 'agent' ? party.instance : null,
      person: party.kind === 'person' ? party.id : null,
      keys: isCaller ? [question.context.key, ceiling?.token?.boundTo ?? null] : [],
      grants: isCaller ? (ceiling?.grants ?? []) : [],
      resource,
      tool,
      tenant: rules.tenant,
    })
    if (halt !== undefined)
      return {
        party: partyName(party),
        by: 'halt',
        rule: halt.id,
        say: `A halt of this ${halt.kind} stands.`,
      }
  }
  return undefined
}

function unfit(given: Case): Refusal | undefined {
  for (const party of given.parties) {
    const rule = whyUnfit(given, party)
    if (rule !== undefined)
      return { party: partyName(party), by: 'standing', rule, say: standingSays(party, rule) }
  }
  return undefined
}

function standingSays(party: Party, rule: string): string {
  return `The ${party.kind} ${partyName(party)} may not act now: ${rule.replaceAll('_', ' ')}.`
}

function whyUnfit(given: Case, party: Party): string | undefined {
  const { facts } = given
  if (party.kind === 'other') return undefined
  if (party.kind !== 'agent') {
    const record = party.kind === 'person' ? facts.people.get(party.id) : facts.clients.get(party.id)
    if (record === undefined) return 'unknown'
    return record.status === 'active' ? undefined : record.status
  }
  const known = facts.agents.get(party.id)
  if (known === undefined) return 'unknown'
  if (!isAgentLive(known.agent, nowOf(given)))
    return known.agent.status === 'active' ? 'expired' : known.agent.status
  if (party.instance === null) return undefined
  // An instance holds a live key through all its rotations; one without has ended, or never was of this agent.
  const { instance } = party
  const isLive = known.keys?.some(key => key.instance === instance && isKeyLive(key, nowOf(given)))
  return isLive === true ? undefined : 'instance_without_a_key'
}

function outOfSession(given: Case): Refusal | undefined {
  const { question, facts } = given
  const { session: id } = question.context
  if (id === null) return undefined
  const { subject } = question
  const refuse = (rule: string, say: string): Refusal => ({
    party: partyName(subject),
    by: 'session',
    rule,
    say,
  })
  const { session } = facts
  if (session === undefined || session.id !== id) return refuse('unknown', 'There is no such session.')
  if (subject.kind !== 'agent' || session.agent !== subject.id)
    return refuse('of_another', 'The session is of another agent.')
  if (subject.instance !== null && session.instance !== subject.instance)
    return refuse('of_another', 'The session is of another instance.')
  return isSessionLive(session, nowOf(given)) ? undefined : refuse('ended', 'The session has ended.')
}

function misspelt({ question, facts }: Case): Refusal | undefined {
  const { operation, foreign } = question
  const party = partyName(question.subject)
  const wrong = question.misspelt ?? actionProblem(operation.action, knownActions(facts))
  if (wrong !== undefined)
    return { party, by: 'resource', rule: 'spelling', say: `A name is not in its one spelling: ${wrong}.` }
  if (foreign === null && facts.resource?.identifier !== operation.resource)
    return { party, by: 'resource', rule: 'unknown', say: 'There is no such resource.' }
  return undefined
}

/** The actions that the resource and the policies speak of. */
function knownActions({ resource, policies }: DecisionFacts): readonly string[] {
  return [
    ...Object.keys(resource?.actions?.actions ?? {}),
    ...(resource?.scopes.map(({ name }) => name) ?? []),
    ...(policies.active?.actions ?? []),
  ]
}

function aboveCeiling(given: Case): Refusal | undefined {
  const { question, facts, rules } = given
  const { ceiling, operation, foreign } = question
  if (ceiling === null) return undefined
  const refuse = (rule: string, say: string): Refusal => ({
    party: partyName(question.subject),
    by: 'ceiling',
    rule,
    say,
  })
  if (ceiling.token !== undefined && nowOf(given) >= ceiling.token.expiresAt)
    return refuse('token_expired', 'The token has expired.')
  // A token is for one resource of ours.
  if (foreign !== null || facts.resource === undefined)
    return refuse('token_of_another', 'The token is not for this resource.')
  const lacking = uncovered(ceiling, facts.resource, operation, rules.covers)
  if (lacking === undefined) return undefined
  return lacking === 'grant'
    ? refuse('token_scope', 'The scopes of the token do not cover this.')
    : refuse('token_details', 'The authorization details of the token do not cover this.')
}

type Held = { readonly grants: readonly Grant[] } | { readonly refusal: Refusal }

/** A grant for each agent of the chain; people, clients and others have none, and need a policy. */
function grantsOf(given: Case): Held {
  const grants: Grant[] = []
  for (const party of given.parties) {
    if (party.kind !== 'agent') continue
    const held = grantOf(given, party)
    if ('refusal' in held) return held
    grants.push(held.grant)
  }
  return { grants }
}

/** How near a grant came to allowing it: what is told is what the nearest one lacked. */
const nearness = ['grant', 'ceiling', 'halt', 'details', 'condition'] as const

function grantOf(
  given: Case,
  party: Party & { readonly kind: 'agent' },
): { readonly grant: Grant } | { readonly refusal: Refusal } {
  const { question, facts } = given
  let nearest: Refusal = lacksGrant(given, party)
  let best: Grant | undefined
  for (const grant of facts.agents.get(party.id)?.grants ?? []) {
    if (grant.resource !== question.operation.resource || question.foreign !== null) continue
    const lacking = whyNot(given, party, grant)
    if (lacking === undefined) {
      if (best === undefined || isBetter(grant, best)) best = grant
    } else if (nearness.indexOf(lacking.by) > nearness.indexOf(nearest.by as Near)) {
      nearest = { party: party.id, ...lacking }
    }
  }
  return best === undefined ? { refusal: nearest } : { grant: best }
}

type Near = (typeof nearness)[number]

/** The grant that asks for less answers, and of those the one that lives longest. */
function isBetter(grant: Grant, other: Grant): boolean {
  const cost = ({ budgets, condition }: Grant): number =>
    2 * (budgets?.length ?? 0) + (condition === null || condition === undefined ? 0 : 1)
  if (cost(grant) !== cost(other)) return cost(grant) < cost(other)
  return (grant.expiresAt ?? Number.POSITIVE_INFINITY) > (other.expiresAt ?? Number.POSITIVE_INFINITY)
}

function lacksGrant({ question }: Case, party: Party): Refusal {
  const { operation, foreign } = question
  const say =
    foreign === null
      ? `No grant of ${operation.resource} covers ${operation.action}.`
      : 'The resource is none of ours, and agents have no grants there.'
  return { party: partyName(party), by: 'grant', rule: foreign === null ? 'no_grant' : 'foreign', say }
}

function whyNot(
  given: Case,
  party: Party,
  grant: Grant,
): { readonly by: Near; readonly rule: string; readonly say: string } | undefined {
  const { question, facts, rules } = given
  if (!isGrantLive(grant, nowOf(given)) || facts.resource === undefined)
    return { by: 'grant', rule: 'no_grant', say: `The grant ${grant.id} has ended.` }
  const lacking = uncovered(grant, facts.resource, question.operation, rules.covers)
  if (lacking === 'grant')
    return { by: 'grant', rule: 'no_grant', say: `No grant covers ${question.operation.action}.` }
  // A token rests on some grants of its agent, and no other one widens it.
  const { ceiling } = question
  if (ceiling !== null && party === question.subject && !ceiling.grants.includes(grant.id))
    return { by: 'ceiling', rule: 'token_grants', say: `The token does not rest on the grant ${grant.id}.` }
  const halt = haltOn(facts.halts, { grants: [grant.id], tenant: rules.tenant })
  if (halt !== undefined) return { by: 'halt', rule: halt.id, say: `A halt of the grant ${grant.id} stands.` }
  if (lacking === 'details')
    return { by: 'details', rule: grant.id, say: `The details of the grant ${grant.id} do not cover this.` }
  if (grant.condition === null || grant.condition === undefined) return undefined
  const { holds } = rules.condition(grant.condition, party)
  if (holds === true) return undefined
  const say = holds === 'error' ? 'could not be evaluated' : 'does not hold'
  return { by: 'condition', rule: grant.id, say: `The condition of the grant ${grant.id} ${say}.` }
}

/** One that is named has to count: with a bad one in its hand nobody is asked whether it was needed. */
function notApproved({ question, facts }: Case): Refusal | undefined {
  if (question.context.approval === null) return undefined
  const counts = approvalFor(question, facts.approval)
  return 'refusal' in counts ? counts.refusal : undefined
}

function underPolicies({ rules, parties }: Case, grants: readonly Grant[]): Judged {
  const reasons = new Set<string>()
  let readsClock = grants.some(
    ({ condition }) => condition != null && rules.condition(condition, parties[0] as Party).readsClock,
  )
  for (const party of parties) {
    const verdict = rules.policy(party, party.kind === 'agent')
    if (verdict.errors.length > 0 || !verdict.allowed)
      return { ...refused(policyRefusal(party, verdict)), reasons: verdict.reasons }
    for (const reason of verdict.reasons) reasons.add(reason)
    readsClock ||= verdict.readsClock
  }
  return { refusal: null, grants, reasons: [...reasons], readsClock }
}

function policyRefusal(party: Party, { errors, reasons }: PolicyVerdict): Refusal {
  const name = partyName(party)
  const [error] = errors
  if (error !== undefined)
    return {
      party: name,
      by: 'policy_error',
      rule: error,
      say: `The policy ${error} could not be evaluated.`,
    }
  const [reason] = reasons
  return reason === undefined
    ? { party: name, by: 'policy', rule: 'no_permit', say: 'No policy permits it.' }
    : { party: name, by: 'policy', rule: reason, say: `The policy ${reason} forbids it.` }
}
