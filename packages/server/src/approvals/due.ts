// What happens to tasks by itself: what nobody decided in time expires, and outcomes are told to whoever asked to be told.
import type { Ctx } from '../context.ts'
import type { EntryDraft } from '../domain/audit-entry.ts'
import { type Approval, type Callback, moveApproval } from '../domain/authorization/approval.ts'
import type { Fence, Put, Versioned } from '../domain/change.ts'
import type { Store } from '../store/store.ts'
import { factsOf } from './facts.ts'

/** Tells an outcome; answers whether it was taken. It never throws for what the other side does. */
export type Tell = (
  ctx: Ctx,
  approval: Approval & { readonly callback: Callback },
  signal: AbortSignal,
) => Promise<boolean>

export interface DueDeps {
  readonly store: Pick<Store, 'approvals' | 'commit'>
  readonly tell: Tell
  readonly signal: AbortSignal
}

const pageSize = 50
/** After so many attempts, some hours after the outcome, nobody is told any more: the task itself says it. */
const mostAttempts = 10
const firstPauseSeconds = 5
const longestPauseSeconds = 3600

/** Does what was due at `at`, one page; answers how much. Telling comes first: what was told is written down after it. */
export async function settleDue(ctx: Ctx, deps: DueDeps, at: number, fence?: Fence): Promise<number> {
  const due = await deps.store.approvals.due(ctx, at, pageSize)
  const settled = await Promise.all(due.map(found => settle(ctx, deps, found, at)))
  const [first, ...others] = settled.flatMap(one => (one === undefined ? [] : [one]))
  if (first === undefined) return 0
  const all = [first, ...others]
  const committed = await deps.store.commit(ctx, {
    puts: all.map(({ put }) => put),
    entries: [first.entry, ...others.map(({ entry }) => entry)],
    ...(fence && { fence }),
  })
  // Somebody decided one of them meanwhile, or has the lease: whoever runs next reads again, and tells it again.
  return committed.kind === 'done' ? all.length : 0
}

interface Settled {
  readonly put: Put
  readonly entry: EntryDraft
}

async function settle(
  ctx: Ctx,
  deps: DueDeps,
  { version, ...approval }: Versioned<Approval>,
  at: number,
): Promise<Settled | undefined> {
  const { callback } = approval
  if (approval.state === 'pending') {
    const expired = moveApproval(approval, 'expire', {}, at)
    return expired && settledAs(ctx, expired, version, { type: 'approval.expired', outcome: 'allowed' })
  }
  if (callback === null) return undefined
  const isTold = await deps.tell(ctx, { ...approval, callback }, deps.signal)
  const attempts = callback.attempts + 1
  const isOver = isTold || attempts >= mostAttempts
  const pause = Math.min(firstPauseSeconds * 2 ** callback.attempts, longestPauseSeconds)
  const next: Callback = { ...callback, attempts, dueAt: isOver ? null : ctx.now + pause }
  return settledAs(ctx, { ...approval, callback: next }, version, {
    type: 'approval.told',
    outcome: isTold ? 'allowed' : 'failed',
  })
}

function settledAs(
  ctx: Ctx,
  approval: Approval,
  ifVersion: number,
  what: Pick<EntryDraft, 'type' | 'outcome'>,
): Settled {
  return {
    put: { put: 'approval', value: approval, ifVersion },
    entry: {
      ...what,
      agent: approval.asked.agent,
      resource: approval.asked.resource,
      requestId: ctx.requestId,
      facts: {
        ...factsOf({ approval, grant: null }),
        ...(what.type === 'approval.told' ? { attempts: approval.callback?.attempts ?? 0 } : {}),
      },
    },
  }
}
