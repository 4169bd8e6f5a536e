// One decision: facts are read at once, the domain judges them, and what would have to be committed is the answer.
import { leastDetail } from '@writ/sdk/protocol/details/index'
import { type GrantId, newId } from '@writ/sdk/protocol/identifier'
import type { Ctx } from '../context.ts'
import { isApprovalAwaited } from '../domain/authorization/awaited-approval.ts'
import { type Judged, judge, partyName, type Rules } from '../domain/authorization/judge.ts'
import type { DecisionFacts, Question, Refusal } from '../domain/authorization/question.ts'
import { smallestGrant } from '../domain/authorization/smallest-grant.ts'
import { type Planned, plannedSpends } from '../domain/authorization/spending.ts'
import type { Basis } from '../domain/change.ts'
import type { Grant } from '../domain/grant.ts'
import type { Decided } from './decided.ts'
import { type DecisionReads, type Read, readFacts, tokenSubjects } from './facts.ts'
import { rulesOf } from './rules.ts'

export interface DecideDeps {
  readonly store: DecisionReads
  readonly randomBytes: (length: number) => Uint8Array
}

export interface DecideOptions {
  /** Read past the memory: after a stale commit, and before a refusal is told. */
  readonly fresh: boolean
  /** The amounts are upper bounds of some that are told later. */
  readonly reserve?: boolean
  /** Grants that are passed over: a budget of theirs has not enough. */
  readonly without?: ReadonlySet<GrantId>
}

/**
 * Decides; writes nothing. Whoever answers commits the bases and spends with it, and tells a refusal only where it was
 * decided afresh: memory may lag behind what was granted a moment ago.
 */
export async function decide(
  ctx: Ctx,
  deps: DecideDeps,
  asked: Question,
  options: DecideOptions,
): Promise<Decided> {
  const read = without(await readFacts(ctx, deps.store, asked, options), options.without)
  const question = withKeyAge(asked, read.facts)
  const ended = options.fresh ? await tokenEnded(ctx, deps, question) : undefined
  const rules = rulesOf(ctx, question, read.facts, read.facts.policies.active)
  const judged = ended === undefined ? judge(question, read.facts, rules) : refusing(ended)
  const known = { ...common(read, question, judged), shadow: shadowOf(ctx, question, read, judged) }
  if (judged.refusal !== null) {
    const refusal = awaiting(question, read.facts, { rules, refusal: judged.refusal }) ?? judged.refusal
    const detail = leastDetail(question.operation)
    const smallest = smallestGrant({ question, facts: read.facts, refusal }, rules, detail) ?? null
    return { ...known, ...nothing, allowed: false, refusal, smallest }
  }
  const planned = spendsOf(ctx, deps, { question, grants: judged.grants, reserve: options.reserve === true })
  if ('untold' in planned)
    return { ...known, ...nothing, allowed: false, refusal: untold(question, planned), smallest: null }
  const { spends } = planned
  const ends = [...read.ends, ...judged.grants.map(({ expiresAt }) => expiresAt)].filter(end => end !== null)
  return {
    ...known,
    allowed: true,
    refusal: null,
    grants: judged.grants.map(({ id }) => id),
    spends,
    bases: [...read.bases, ...grantBases(read, judged)],
    until: ends.length === 0 ? null : Math.min(...ends),
    cacheable: spends.length === 0 && !judged.readsClock,
    smallest: null,
  }
}

function without(read: Read, grants: ReadonlySet<GrantId> = new Set()): Read {
  if (grants.size === 0) return read
  const agents = [...read.facts.agents].map(
    ([id, known]) => [id, { ...known, grants: known.grants.filter(grant => !grants.has(grant.id)) }] as const,
  )
  return { ...read, facts: { ...read.facts, agents: new Map(agents) } }
}

/** How old the key is that the caller's client proved: where we registered it we know, and nobody else's word counts. */
function withKeyAge(question: Question, { agents }: DecisionFacts): Question {
  const { context, subject } = question
  const key = agents.get(subject.id)?.keys?.find(({ thumbprint }) => thumbprint === context.key)
  if (key === undefined) return question
  return { ...question, context: { ...context, keyAge: Math.floor(context.nowMs / 1000) - key.createdAt } }
}

interface Spending {
  readonly question: Question
  readonly grants: readonly Grant[]
  readonly reserve: boolean
}

function spendsOf(ctx: Ctx, { randomBytes }: DecideDeps, { question, grants, reserve }: Spending): Planned {
  // Most grants have no budget, and an id for nothing costs randomness on every call.
  if (grants.every(({ budgets }) => (budgets?.length ?? 0) === 0)) return { spends: [] }
  const reservation = reserve ? newId('rsv', randomBytes) : null
  return plannedSpends({ grants, amounts: question.context.amounts, reservation, now: ctx.now })
}

function untold(
  question: Question,
  { untold: { grant, budget } }: Extract<Planned, { readonly untold: unknown }>,
): Refusal {
  const { unit, currency } = budget
  const what = currency === null ? unit : `${unit} in ${currency}`
  const say = `The grant ${grant} has a budget of ${what}, and nobody said how much this takes.`
  return { party: partyName(question.subject), by: 'budget', rule: grant, say }
}

/** The refusal of policies that only an approval of this operation would lift: that can be asked for. */
function awaiting(
  question: Question,
  facts: DecisionFacts,
  { rules, refusal }: { readonly rules: Rules; readonly refusal: Refusal },
): Refusal | undefined {
  if (refusal.by !== 'policy' || !isApprovalAwaited(question, facts, rules)) return undefined
  const say = 'Policies ask for an approval of this operation.'
  return { party: refusal.party, by: 'approval', rule: 'required', say }
}

/** A refusal rests on nothing that could end: to tell it is right whatever happened meanwhile. */
const nothing = { grants: [], spends: [], bases: [], until: null, cacheable: false } as const

function common({ facts }: Read, { operation, context }: Question, { reasons }: Judged) {
  return {
    keyAge: context.keyAge,
    policy: { version: facts.policies.active?.number ?? 0, reasons },
    risks: Object.fromEntries([...facts.risks].filter(([, score]) => score > 0)),
    recorded: facts.resource?.actions?.actions[operation.action]?.recorded ?? [],
  }
}

function refusing(refusal: Refusal): Judged {
  return { refusal, grants: [], reasons: [], readsClock: false }
}

/** What a commit would call stale for ever: the token was dead before anybody asked. */
async function tokenEnded(ctx: Ctx, { store }: DecideDeps, question: Question): Promise<Refusal | undefined> {
  const { ceiling, subject } = question
  if (ceiling?.token === undefined) return undefined
  const isEnded = await store.signals.isNarrowed(ctx, tokenSubjects(ctx, question), ceiling.token.epoch)
  if (!isEnded) return undefined
  return {
    party: subject.id,
    by: 'ceiling',
    rule: 'token_ended',
    say: 'Something that the token rests on has ended.',
  }
}

/** Only policies are in trial: what was refused for another reason would be refused as well. */
function shadowOf(ctx: Ctx, question: Question, { facts }: Read, judged: Judged): Decided['shadow'] {
  const { shadow } = facts.policies
  if (shadow === undefined) return null
  const isPolicies = judged.refusal === null || /^policy/.test(judged.refusal.by)
  const allowed = isPolicies && judge(question, facts, rulesOf(ctx, question, facts, shadow)).refusal === null
  return { version: shadow.number, allowed }
}

function grantBases({ epochs }: Read, { grants }: Judged): readonly Basis[] {
  return grants.map(({ id, agent }) => ({ epoch: epochs.get(agent) ?? 0, subjects: [id] }))
}
