// A refusal of somebody we know is a decision: it is an audit entry of its own, and what it showed is used up.
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import { excerpt } from '../domain/audit-entry.ts'
import type { Claim } from '../domain/change.ts'
import { askedBy } from './asked-by.ts'
import type { Proven } from './client-auth/method.ts'
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
 * Commits the entry and the fresh ones of the claims. When that fails the caller is told 503 instead of the refusal,
 * so that nothing an authenticated caller does goes unseen while the store accepts writes.
 */
export async function recordRefusal(ctx: Ctx, deps: Pick<Deps, 'store'>, refused: Refused): Promise<void> {
  const { fault, proven } = refused
  // Our own inability is not a decision about the caller.
  if (fault.code === 'temporarily_unavailable' || fault.code === 'server_error') return
  const entry = {
    type: refused.type,
    outcome: 'refused',
    reason: fault.message,
    ...askedBy(ctx, proven),
    resource: kept(refused.resource),
    action: kept(refused.action),
    decision: { rule: fault.why?.kind ?? fault.code, code: fault.code, epoch: proven.facts.epoch },
  } as const
  const committed = await deps.store.commit(ctx, { claims: refused.claims, entries: [entry] })
  // A claim that was spent before refuses the whole change: the entry is written without it.
  if (committed.kind === 'replayed') await deps.store.commit(ctx, { entries: [entry] })
  else if (committed.kind !== 'done')
    throw new Fault('temporarily_unavailable', 'The refusal could not be recorded.', {
      kind: committed.kind,
    })
}
