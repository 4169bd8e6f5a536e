// The one place of the management API that writes: authority, decision, then one commit of effect, proof and entry.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { parseId } from '@writ/sdk/protocol/identifier'
import { exhaustedBudgets, recordedRefusal, replayedProof } from '../audit/refusal.ts'
import type { Ctx } from '../context.ts'
import type { Decided } from '../decision/decided.ts'
import { decideOwn, decisionFacts } from '../decision/own.ts'
import { type EntryDraft, excerpt } from '../domain/audit-entry.ts'
import { learn, mostShort, type Purses } from '../domain/authorization/purses.ts'
import { type Caller, chainOf } from '../domain/caller.ts'
import type { Basis, Change, Committed } from '../domain/change.ts'
import { managementIdentifier, permit } from './access.ts'
import { type Call, readInput } from './input.ts'
import type { About, AdminDeps, Answer, AnyOperation, Input, Plan } from './operation.ts'
import { type Memo, memoOf, openAnswer, rememberedOf } from './remembered.ts'

/** How often a decision is made again because what it rested on changed before it could be committed. */
const attempts = 4
/** How often where the operation insists. */
const insistently = 64

/**
 * Decides and commits one operation. Whatever happens to an authenticated caller is an entry: what was done or read,
 * and what was refused, together with the proof that was shown. Where the entry cannot be written nothing is done and
 * nothing is answered: `temporarily_unavailable`. Throws every Fault of the decision, `insufficient_scope`,
 * `invalid_token` when the caller's rights ended meanwhile, `invalid_dpop_proof` for a proof that was used before.
 */
export async function perform(ctx: Ctx, deps: AdminDeps, call: Call): Promise<Answer> {
  try {
    const scope = permit(call.operation.id, call.caller)
    const { input, asked } = await readInput(call.operation, call.raw)
    const memo = memoOf(ctx, deps, call, asked)
    return await decideAndCommit(ctx, deps, { call, scope, input, memo })
  } catch (error) {
    throw isFault(error) ? await recordRefusal(ctx, deps, call, error) : error
  }
}

interface Work {
  readonly call: Call
  /** The leaf that it needs. */
  readonly scope: string
  readonly input: Input<Record<string, unknown>, Record<string, unknown>, unknown>
  /** Set where the caller asked that a repetition be answered alike. */
  readonly memo: Memo | undefined
}

async function decideAndCommit(ctx: Ctx, deps: AdminDeps, work: Work): Promise<Answer> {
  const { operation, caller } = work.call
  const resource = managementIdentifier(ctx)
  const purses: Purses = new Map()
  let [tries, short, conflicts] = [0, 0, 0]
  const most = operation.insists ? insistently : attempts
  while (tries < most && short <= mostShort) {
    const first = work.memo && (await deps.store.remembering.recall(ctx, work.memo.key, ctx.now))
    if (work.memo && first) return repeat(ctx, deps, work.call, openAnswer(ctx, deps, work.memo, first))
    // Before the decision reads: what ends after this instant makes the commit stale, what ended before it is seen.
    const epoch = await deps.store.signals.head(ctx)
    const asked = { resource, action: operation.id, scope: work.scope, fresh: tries > 0 }
    const decided = await decideOwn(ctx, deps, caller, { ...asked, purses: new Map(purses) })
    const plan = await operation.decide(ctx, deps, work.input, caller)
    const committed = await deps.store.commit(ctx, changeOf(ctx, deps, work, { plan, decided, epoch }))
    if (committed.kind === 'done') return answerOf(operation, plan)
    if (committed.kind === 'exhausted') {
      // Decided again, another grant covers, or its budget refuses.
      learn(purses, decided.spends, committed.short)
      short += 1
      continue
    }
    tries += 1
    await mayRetry(ctx, deps, caller, committed)
    const isLost = committed.kind === 'conflict' && work.memo === undefined && !operation.insists
    if (isLost && ++conflicts > 1) break
  }
  if (short > mostShort) throw exhaustedBudgets()
  throw new Fault('conflict', 'This was changed by somebody else just now; look again.', {
    kind: 'lost_race',
  })
}

/** Passes where another decision may succeed; throws where the caller is the reason. */
async function mayRetry(ctx: Ctx, deps: AdminDeps, caller: Caller, committed: Committed): Promise<void> {
  if (committed.kind === 'replayed') {
    throw replayedProof()
  }
  if (committed.kind !== 'stale') return
  // Stopped while the call was in flight: what was decided is not done, whoever decided it.
  if (await deps.store.signals.isNarrowed(ctx, caller.basis.subjects, caller.basis.epoch)) {
    throw new Fault('invalid_token', 'The access token is not valid here.', { kind: 'ended_in_flight' })
  }
}

function changeOf(
  ctx: Ctx,
  deps: AdminDeps,
  { call, memo }: Work,
  { plan, decided, epoch }: { plan: Plan<unknown>; decided: Decided; epoch: number },
): Change {
  const { caller, operation } = call
  const bases: Basis[] = [caller.basis, ...decided.bases, ...(plan.change?.bases ?? [])]
  if (plan.restsOn !== undefined && plan.restsOn.length > 0) bases.push({ epoch, subjects: plan.restsOn })
  return {
    ...plan.change,
    bases,
    claims: caller.claims,
    spends: decided.spends,
    ...(memo === undefined ? {} : { remembers: [rememberedOf(ctx, deps, memo, answerOf(operation, plan))] }),
    entries: [
      entryOf(ctx, call, {
        type: plan.event ?? operation.event,
        outcome: 'allowed',
        about: { ...plan.about, facts: { ...decisionFacts(decided), ...plan.about.facts } },
        rule: 'scope',
      }),
    ],
  }
}

function answerOf(operation: AnyOperation, plan: Plan<unknown>): Answer {
  return {
    status: operation.status,
    body: plan.answer,
    ...(plan.location === undefined ? {} : { location: plan.location }),
    ...(plan.version === undefined ? {} : { version: plan.version }),
  }
}

/** The first answer once more: an entry of its own, because it was asked again, and no second effect (property 49). */
async function repeat(ctx: Ctx, deps: AdminDeps, call: Call, answer: Answer): Promise<Answer> {
  const entry = entryOf(ctx, call, {
    type: 'management.repeated',
    outcome: 'allowed',
    about: {},
    rule: 'idempotency_key',
  })
  const committed = await deps.store.commit(ctx, {
    bases: [call.caller.basis],
    claims: call.caller.claims,
    entries: [entry],
  })
  if (committed.kind === 'done') return answer
  await mayRetry(ctx, deps, call.caller, committed)
  throw new Fault('temporarily_unavailable', 'The answer could not be given now; try again.', {
    kind: committed.kind,
  })
}

interface Verdict {
  readonly type: string
  readonly outcome: 'allowed' | 'refused'
  readonly about: About
  readonly rule: string
  readonly code?: string
}

function entryOf(ctx: Ctx, { operation, caller, raw }: Call, verdict: Verdict): EntryDraft {
  const { about } = verdict
  const named = raw.params['id']
  const agent = about.agent ?? parseId('agt', named) ?? caller.agent
  return {
    type: verdict.type,
    outcome: verdict.outcome,
    reason: about.reason ?? null,
    agent,
    instance: about.instance ?? (agent === caller.agent ? caller.instance : null),
    key: caller.key,
    person: about.person ?? null,
    chain: chainOf(caller),
    resource: about.resource ?? managementIdentifier(ctx),
    action: operation.id,
    decision: {
      rule: verdict.rule,
      ...(verdict.code === undefined ? {} : { code: verdict.code }),
      grants: caller.basis.subjects.filter(subject => subject.startsWith('grt_')),
      epoch: caller.basis.epoch,
    },
    requestId: ctx.requestId,
    traceId: ctx.traceId ?? null,
    peer: ctx.peer ?? null,
    facts: { ...(named === undefined ? {} : { object: excerpt(named, keptCharacters) }), ...about.facts },
  }
}

/** How much of a caller's own text an entry keeps: enough to recognise it, too little to flood the log. */
const keptCharacters = 128
const keptOfReason = 512

/** The Fault to answer with, its entry committed. Throws where the entry cannot be written. */
function recordRefusal(ctx: Ctx, deps: AdminDeps, call: Call, fault: Fault): Promise<Fault> {
  const entryFor = (refused: Fault): EntryDraft =>
    entryOf(ctx, call, {
      type: call.operation.event,
      outcome: 'refused',
      about: { reason: excerpt(refused.message, keptOfReason) },
      rule: refused.why?.kind ?? refused.code,
      code: refused.code,
    })
  return recordedRefusal(ctx, deps, fault, { claims: call.caller.claims, entryOf: entryFor })
}
