// Reading what only some may read is an act like any other: its entry is committed before the first byte leaves.
import { Fault, isFault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import { type EntryDraft, excerpt } from '../domain/audit-entry.ts'
import { learn, mostShort, type Purses } from '../domain/authorization/purses.ts'
import { type Caller, chainOf } from '../domain/caller.ts'
import type { Change } from '../domain/change.ts'
import type { Store } from '../store/store.ts'
import { exhaustedBudgets, recordedRefusal, refusalOf, replayedProof } from './refusal.ts'

type ReadDeps = { readonly store: Pick<Store, 'commit' | 'signals'> }

/** What is read. */
export interface Reading {
  readonly type:
    | 'audit.read'
    | 'audit.exported'
    | 'metrics.read'
    | 'management.read'
    | 'secret.read'
    | 'secret.leased'
    | 'secret.lease_given_back'
  /** As the caller asked for it. */
  readonly action: string
  readonly resource?: string
}

type ReadingOf = Reading & { readonly caller: Caller }

export interface Decided<T> {
  readonly facts: NonNullable<EntryDraft['facts']>
  readonly answer: T
  /** What becomes true with the reading; where what it rests on has ended, the reading is decided again. */
  readonly change?: Pick<Change, 'bases' | 'puts' | 'uses' | 'signals' | 'spends'>
}

/** What earlier attempts at the reading have found: fresh after the first one that rested on what had changed. */
export interface Attempt {
  readonly fresh: boolean
  readonly purses: Purses
}

/** How often a reading is decided again because what it rested on changed before it could be committed. */
const attempts = 4

/** How much of a caller's own text an entry keeps: enough to recognise it, too little to flood the log. */
const keptCharacters = 256

const kept = (text: string): string => excerpt(text, keptCharacters)

/**
 * Lets the caller read what `decide` answers, once the entry that says so is durable. A refusal is an entry as well.
 * Throws what `decide` throws, `invalid_dpop_proof` for a proof that was used before, `invalid_token` when the rights
 * of the caller ended meanwhile, `temporarily_unavailable` where the entry cannot be written.
 */
export async function readAs<T>(
  ctx: Ctx,
  deps: ReadDeps,
  reading: ReadingOf,
  decide: (attempt: Attempt) => Promise<Decided<T>>,
): Promise<T> {
  try {
    return await decideAndCommit(ctx, deps, reading, decide)
  } catch (error) {
    throw isFault(error) ? await recordRefusal(ctx, deps, reading, error) : error
  }
}

async function decideAndCommit<T>(
  ctx: Ctx,
  { store }: ReadDeps,
  reading: ReadingOf,
  decide: (attempt: Attempt) => Promise<Decided<T>>,
): Promise<T> {
  const { caller } = reading
  const purses: Purses = new Map()
  for (let [stale, short] = [0, 0]; ; ) {
    const attempt: Attempt = { fresh: stale > 0, purses: new Map(purses) }
    const { facts, answer, change } = await decide(attempt)
    const committed = await store.commit(ctx, {
      ...change,
      bases: [caller.basis, ...(change?.bases ?? [])],
      claims: caller.claims,
      entries: [{ ...entryOf(ctx, reading), outcome: 'allowed', facts }],
    })
    if (committed.kind === 'done') return answer
    if (committed.kind === 'replayed') throw replayedProof()
    if (committed.kind === 'exhausted') {
      // Decided again, another grant covers, or its budget refuses.
      learn(purses, change?.spends ?? [], committed.short)
      short += 1
      if (short <= mostShort) continue
      throw exhaustedBudgets()
    }
    const { subjects, epoch } = caller.basis
    if (change === undefined || (await store.signals.isNarrowed(ctx, subjects, epoch))) {
      throw new Fault('invalid_token', 'The access token is not valid here.', { kind: 'ended_in_flight' })
    }
    stale += 1
    if (stale === attempts) {
      throw new Fault('temporarily_unavailable', 'This changes too often just now; try again.', {
        kind: committed.kind,
      })
    }
  }
}

function recordRefusal(ctx: Ctx, { store }: ReadDeps, reading: ReadingOf, fault: Fault): Promise<Fault> {
  const entryFor = (refused: Fault): EntryDraft => ({
    ...entryOf(ctx, reading),
    outcome: 'refused',
    reason: kept(refused.message),
    decision: refusalOf(reading.caller, refused),
  })
  return recordedRefusal(ctx, { store }, fault, { claims: reading.caller.claims, entryOf: entryFor })
}

function entryOf(ctx: Ctx, { type, action, resource, caller }: ReadingOf): Omit<EntryDraft, 'outcome'> {
  return {
    type,
    agent: caller.agent,
    instance: caller.instance,
    key: caller.key,
    chain: chainOf(caller),
    resource: resource ?? null,
    action: kept(action),
    decision: {
      rule: 'scope',
      grants: caller.basis.subjects.filter(subject => subject.startsWith('grt_')),
      epoch: caller.basis.epoch,
    },
    requestId: ctx.requestId,
    traceId: ctx.traceId ?? null,
    peer: ctx.peer ?? null,
  }
}
