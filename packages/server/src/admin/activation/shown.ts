// How eligibilities and approvals look from outside, and what their entries say: one form for every operation on them.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import type { Move } from '../../approvals/activation.ts'
import { factsOf } from '../../approvals/facts.ts'
import type { Ctx } from '../../context.ts'
import { type Approval, isUnreviewed, stateOf } from '../../domain/authorization/approval.ts'
import type { Caller } from '../../domain/caller.ts'
import { leavesOf } from '../../domain/resource.ts'
import { managementIdentifier } from '../access.ts'
import { mustHold } from '../ceiling.ts'
import type { About, Plan, Reads } from '../operation.ts'
import * as wire from '../wire.ts'

const states = ['pending', 'approved', 'denied', 'expired', 'cancelled', 'failed', 'partial'] as const
export const approvalState = z.enum(states)

const reach = {
  scopes: z.array(z.string()),
  authorization_details: z.array(z.looseObject({ type: z.string() })),
}

export const approvalShown = z
  .strictObject({
    id: wire.id('apr'),
    kind: z.enum(['activation', 'access_request']),
    state: approvalState,
    agent: wire.id('agt'),
    instance: wire.id('ins').nullable(),
    resource: z.string(),
    eligibility: wire.id('elg').nullable(),
    ...reach,
    seconds: z.number(),
    operation: z
      .strictObject({ action: z.string(), type: z.string().nullable(), id: z.string().nullable() })
      .nullable()
      .meta({ description: 'The one operation that was denied and is asked for' }),
    reason: z.string(),
    break_glass: z.boolean(),
    unreviewed: z.boolean().meta({ description: 'A glass was broken, and nobody has looked at it yet' }),
    requested_by: z.string(),
    decided_by: z.string().nullable(),
    decision_reason: z.string().nullable(),
    approved: z
      .strictObject({ ...reach, seconds: z.number() })
      .nullable()
      .meta({ description: 'What was approved of what was asked; never more' }),
    approved_until: wire.shownInstant.nullable(),
    grant: wire.id('grt').nullable(),
    review: z
      .strictObject({
        by: z.string(),
        at: wire.shownInstant,
        verdict: z.enum(['justified', 'unjustified']),
        note: z.string(),
      })
      .nullable(),
    expires_at: wire.shownInstant.meta({
      description: 'A pending one that nobody decided by then has expired',
    }),
    created_at: wire.shownInstant,
  })
  .meta({ id: 'Approval' })

export function showApproval(approval: Approval, now: number): z.input<typeof approvalShown> {
  const { asked, approved, review } = approval
  return {
    id: approval.id,
    kind: approval.kind,
    state: stateOf(approval, now),
    agent: asked.agent,
    instance: asked.instance,
    resource: asked.resource,
    eligibility: asked.eligibility,
    ...showReach(asked),
    seconds: asked.seconds,
    operation: asked.operation && {
      action: asked.operation.action,
      type: asked.operation.object?.type ?? null,
      id: asked.operation.object?.id ?? null,
    },
    reason: approval.reason,
    break_glass: approval.breakGlass,
    unreviewed: isUnreviewed(approval),
    requested_by: approval.requestedBy,
    decided_by: approval.decidedBy,
    decision_reason: approval.decisionReason,
    approved: approved && { ...showReach(approved), seconds: approved.seconds },
    approved_until: wire.rfc3339OrNull(approval.approvedUntil),
    grant: approval.grant,
    review: review && { ...review, at: wire.rfc3339(review.at) },
    expires_at: wire.rfc3339(approval.expiresAt),
    created_at: wire.rfc3339(approval.createdAt),
  }
}

export function showReach({
  scopes,
  authorizationDetails,
}: Pick<Approval['asked'], 'scopes' | 'authorizationDetails'>) {
  return { scopes: [...scopes], authorization_details: authorizationDetails.map(detail => ({ ...detail })) }
}

/** What the entry of a move says. */
export function aboutApproval(move: Pick<Move, 'approval' | 'grant'>, reason: string): About {
  const { agent, instance, resource } = move.approval.asked
  return { agent, ...(instance === null ? {} : { instance }), resource, reason, facts: factsOf(move) }
}

/** The plan of an operation that makes this move. */
export function planOf(ctx: Ctx, move: Move, reason: string): Plan<z.input<typeof approvalShown>> {
  const { approval, change, event, restsOn } = move
  const written = change.puts?.find(({ put }) => put === 'approval')
  return {
    event,
    change,
    restsOn,
    about: aboutApproval(move, reason),
    answer: showApproval(approval, ctx.now),
    version: (written?.ifVersion ?? 0) + 1,
  }
}

/** Who gives or takes rights at the management API gives and takes those of its own, and no higher (threat C60). */
export async function mustStandAbove(
  ctx: Ctx,
  { store }: Pick<Reads, 'store'>,
  caller: Caller,
  { resource, scopes }: { readonly resource: string; readonly scopes: readonly string[] },
): Promise<void> {
  if (resource !== managementIdentifier(ctx)) return
  const management = await store.resources.byIdentifier(ctx, resource)
  if (management === undefined) return
  // Details alone would name none of these rights, and reach them all.
  const named = scopes.length === 0 ? management.scopes.map(({ name }) => name) : scopes
  mustHold(caller, leavesOf(management.scopes, named))
}

export function unknownApproval(): Fault {
  return new Fault('not_found', 'There is no such request.', { kind: 'no_approval' })
}
