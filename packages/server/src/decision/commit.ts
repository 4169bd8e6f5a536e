// The one place where decisions are written: proof of who asked, what is spent, and the entry, before anything is told.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import { exhaustedBudgets, recordedRefusal, refusalOf, replayedProof } from '../audit/refusal.ts'
import type { Ctx } from '../context.ts'
import { type EntryDraft, excerpt } from '../domain/audit-entry.ts'
import type { Spend } from '../domain/authorization/budget.ts'
import { learn, mostShort, type Purses } from '../domain/authorization/purses.ts'
import { reservedSeconds } from '../domain/authorization/spending.ts'
import { type Caller, chainOf } from '../domain/caller.ts'
import type { Basis, Change, OneTime } from '../domain/change.ts'
import { hashParts } from '../domain/hash.ts'
import { managementIdentifier } from '../domain/management.ts'
import type { Store } from '../store/store.ts'
import { askedBy } from './entry.ts'
import { decideOwn, type OwnDeps } from './own.ts'

/** How often is decided again because what a decision rested on changed before it could be committed. */
const attempts = 6

export interface Attempt {
  readonly fresh: boolean
  readonly purses: Purses
}

/** What is told once the entry is durable. */
export interface Answering<T> {
  readonly bases: readonly Basis[]
  readonly spends: readonly Spend[]
  readonly change?: Pick<Change, 'settlements' | 'takes'>
  readonly entry: EntryDraft
  /** `epoch`: at which everything that the answer rests on was seen to hold. */
  answer(epoch: number): T
}

export interface Asking {
  readonly caller: Caller
  /** The type of entry. */
  readonly type: string
  /** The leaf that the caller needs. */
  readonly scope: string
}

export type CommitDeps = OwnDeps & { readonly store: Pick<Store, 'commit'> }

/**
 * Decides and commits for one who may ask, which is decided like every operation of ours: by grant, condition, policies
 * and budgets. Whatever happens to an authenticated caller is an entry. Throws `insufficient_scope`, `access_denied`,
 * what `work` throws, `invalid_dpop_proof` for a proof that was used before, `invalid_token` where the caller's own
 * rights ended meanwhile, `temporarily_unavailable` where nothing can be committed.
 */
export async function answerAs<T>(
  ctx: Ctx,
  deps: CommitDeps,
  asking: Asking,
  work: (attempt: Attempt) => Promise<Answering<T>>,
): Promise<T> {
  try {
    permit(asking)
    return await decideAndCommit(ctx, deps, asking, work)
  } catch (error) {
    throw isFault(error) ? await recordRefusal(ctx, deps, asking, error) : error
  }
}

/** Throws `insufficient_scope`, which names the scope that is missing (RFC 6750 §3.1). */
function permit({ caller, scope }: Asking): void {
  if (!caller.scopes.has(scope))
    throw new Fault('insufficient_scope', `This needs the scope ${scope}.`, { kind: 'scope', scope })
}

async function decideAndCommit<T>(
  ctx: Ctx,
  deps: CommitDeps,
  { caller, scope }: Asking,
  work: (attempt: Attempt) => Promise<Answering<T>>,
): Promise<T> {
  const { store } = deps
  const purses: Purses = new Map()
  const resource = managementIdentifier(ctx)
  let [stale, short] = [0, 0]
  while (stale < attempts && short <= mostShort) {
    const attempt: Attempt = { fresh: stale > 0, purses: new Map(purses) }
    const own = await decideOwn(ctx, deps, caller, { resource, action: scope, scope, ...attempt })
    const { bases, spends, change, entry, answer } = await work(attempt)
    const allSpends = [...own.spends, ...spends]
    const committed = await store.commit(ctx, {
      ...change,
      bases: [caller.basis, ...own.bases, ...bases],
      claims: caller.claims,
      spends: allSpends,
      creates: reservedBy(ctx, caller, spends),
      entries: [entry],
    })
    switch (committed.kind) {
      case 'done':
        return answer(committed.epoch)
      case 'replayed':
        throw replayedProof()
      case 'exhausted':
        // Decided again, another grant covers, or the answer is no.
        learn(purses, allSpends, committed.short)
        short += 1
        break
      case 'stale':
        stale += 1
        if (await store.signals.isNarrowed(ctx, caller.basis.subjects, caller.basis.epoch))
          throw new Fault('invalid_token', 'The access token is not valid here.', { kind: 'ended_in_flight' })
        break
      case 'unsettled':
      case 'spent':
      case 'absent':
        throw new Fault('conflict', 'There is no such reservation that waits to be settled.', {
          kind: 'no_reservation',
        })
      default:
        throw new Fault('temporarily_unavailable', 'This could not be decided now; try again.', {
          kind: committed.kind,
        })
    }
  }
  if (short > mostShort) throw exhaustedBudgets()
  throw new Fault('temporarily_unavailable', 'This changes too often just now; try again.', { kind: 'stale' })
}

/** Where a reservation waits: under who made it, for it is nobody else's to settle. */
export function reservationKey({ id }: Pick<Caller, 'id'>, reservation: string): string {
  return hashParts('reservation', id, reservation).toString('base64url')
}

/** What a reservation was taken from, so that settling it needs its id alone. */
function reservedBy({ now }: Ctx, caller: Caller, spends: readonly Spend[]): readonly OneTime[] {
  const reserved = Map.groupBy(
    spends.filter(({ reservation }) => reservation !== null),
    ({ reservation }) => reservation?.id ?? '',
  )
  return [...reserved].map(([id, those]) => ({
    kind: 'reservation',
    key: reservationKey(caller, id),
    value: JSON.stringify(those.map(({ grant, budget, amount }) => ({ grant, budget, amount }))),
    expiresAt: now + reservedSeconds + 1,
  }))
}

/** The Fault to answer with, its entry committed. */
function recordRefusal(
  ctx: Ctx,
  { store }: Pick<CommitDeps, 'store'>,
  { caller, type, scope }: Asking,
  fault: Fault,
): Promise<Fault> {
  const entryOf = (refused: Fault): EntryDraft => ({
    type,
    outcome: 'refused',
    reason: excerpt(refused.message, 512),
    agent: caller.agent,
    instance: caller.instance,
    chain: chainOf(caller),
    resource: managementIdentifier(ctx),
    action: scope,
    decision: refusalOf(caller, refused),
    ...askedBy(ctx, caller),
  })
  return recordedRefusal(ctx, { store }, fault, { claims: caller.claims, entryOf })
}
