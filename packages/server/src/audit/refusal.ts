// A refusal of somebody who proved to hold a token is a deed like any other: its entry is durable before it is told.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import type { Caller } from '../domain/caller.ts'
import type { Claim } from '../domain/change.ts'
import type { Store } from '../store/store.ts'

export interface Refusing {
  /** What was shown: it is used up by a refusal as well. */
  readonly claims: readonly Claim[]
  entryOf(fault: Fault): EntryDraft
}

/**
 * The Fault to answer with, its entry committed: the one that is given, or `invalid_dpop_proof`. Whoever shows a proof
 * that was used before is nobody, and learns nothing of what its request was worth. Our own inability is no decision
 * about the caller, and has no entry. Throws `temporarily_unavailable` where the entry cannot be written.
 */
export async function recordedRefusal(
  ctx: Ctx,
  { store }: { readonly store: Pick<Store, 'commit'> },
  fault: Fault,
  { claims, entryOf }: Refusing,
): Promise<Fault> {
  if (fault.code === 'temporarily_unavailable' || fault.code === 'server_error') return fault
  const committed = await store.commit(ctx, { claims, entries: [entryOf(fault)] })
  if (committed.kind === 'done') return fault
  const replayed = replayedProof()
  const again = await store.commit(ctx, { entries: [entryOf(replayed)] })
  if (committed.kind === 'replayed' && again.kind === 'done') return replayed
  throw new Fault('temporarily_unavailable', 'The refusal could not be recorded; try again.', {
    kind: again.kind,
  })
}

/** RFC 9449 §11.1. */
export function replayedProof(): Fault {
  return new Fault('invalid_dpop_proof', 'The DPoP proof is not valid.', { kind: 'proof_replayed' })
}

/** The refusal of what was decided as often as may be, and each time rested on budgets that have not enough. */
export function exhaustedBudgets(): Fault {
  return new Fault('access_denied', 'This is not allowed.', { kind: 'budget:exhausted' })
}

/** What an entry says of the decision that was a refusal: by which rule, and on which rights the caller came. */
export function refusalOf(
  { basis }: Pick<Caller, 'basis'>,
  fault: Fault,
): NonNullable<EntryDraft['decision']> {
  return {
    rule: fault.why?.kind ?? fault.code,
    code: fault.code,
    grants: basis.subjects.filter(subject => subject.startsWith('grt_')),
    epoch: basis.epoch,
  }
}
