// A refusal of somebody we know is a decision: it is an audit entry of its own, and what it showed is used up.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import { type EntryDraft, excerpt } from '../domain/audit-entry.ts'
import type { Claim } from '../domain/change.ts'
import { askedBy, shownFacts } from './asked-by.ts'
import { type Proven, useOf } from './client-auth/method.ts'
import type { Deps } from './deps.ts'

export interface Refused {
  /** The type of entry that success would have written. */
  readonly type: string
  readonly fault: Fault
  readonly proven: Proven
  readonly claims: readonly Claim[]
  readonly resource?: string | undefined
  readonly action?: string | undefined
}

/** How much of a caller's own text an entry keeps: enough to recognise it, too little to flood the log. */
const keptCharacters = 512

const kept = (text: string | undefined): string | null =>
  text === undefined ? null : excerpt(text, keptCharacters)

/**
 * Commits the entry and the claims. Whoever showed evidence that was used before is nobody: the entry says so, and what
 * is thrown is what it would have heard of a good request, so that it learns nothing of what this one was worth. When
 * nothing can be committed the caller is told 503, so that nothing an authenticated caller does goes unseen while the
 * store accepts writes.
 */
export async function recordRefusal(ctx: Ctx, deps: Pick<Deps, 'store'>, refused: Refused): Promise<void> {
  const { fault, proven } = refused
  // Our own inability is not a decision about the caller.
  if (fault.code === 'temporarily_unavailable' || fault.code === 'server_error') return
  const { uses } = useOf(ctx, proven)
  const committed = await deps.store.commit(ctx, {
    claims: refused.claims,
    // Whoever shows a secret has it still, whatever was refused: to end it now would end somebody's only one.
    ...(uses !== undefined && { uses }),
    entries: [entryOf(ctx, refused, fault)],
  })
  if (committed.kind === 'done') return
  if (committed.kind === 'replayed') {
    const replay = replayed(proven.claims, committed.claim.key)
    const again = await deps.store.commit(ctx, { entries: [entryOf(ctx, refused, replay)] })
    if (again.kind === 'done') throw replay
  }
  throw new Fault('temporarily_unavailable', 'The refusal could not be recorded.', {
    kind: committed.kind,
  })
}

/** The Fault for evidence that was used before: the client's own, or else the proof's. */
export function replayed(ofClient: readonly Claim[], key: string): Fault {
  return ofClient.some(claim => claim.key === key)
    ? new Fault('invalid_client', 'The client could not be authenticated.', { kind: 'assertion_replayed' })
    : new Fault('invalid_dpop_proof', 'The DPoP proof is not valid.', { kind: 'proof_replayed' })
}

function entryOf(ctx: Ctx, { type, proven, resource, action }: Refused, fault: Fault): EntryDraft {
  return {
    type,
    outcome: 'refused',
    reason: kept(fault.message),
    ...askedBy(ctx, proven),
    resource: kept(resource),
    action: kept(action),
    decision: { rule: fault.why?.kind ?? fault.code, code: fault.code, epoch: proven.facts.epoch },
    facts: shownFacts(proven),
  }
}
