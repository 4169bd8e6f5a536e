// Approvals: what waits for a decision, and the decisions: approve it or less of it, deny, cancel, review afterwards.
import { z } from 'zod'
import { planApprove, planCancel, planDeny, planReview } from '../../approvals/judging.ts'
import type { Ctx } from '../../context.ts'
import type { Approval } from '../../domain/authorization/approval.ts'
import type { Versioned } from '../../domain/change.ts'
import { findAgent, mustHaveVersion, mustNotLockOut } from '../agents/agents.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import { scopeToken } from '../resources/resources.ts'
import * as wire from '../wire.ts'
import { detailsGiven, detailsOf } from './details.ts'
import {
  approvalShown,
  approvalState,
  mustStandAbove,
  planOf,
  showApproval,
  unknownApproval,
} from './shown.ts'

const list = operation({
  id: 'approvals.list',
  event: readEvent,
  method: 'GET',
  path: '/approvals',
  summary: 'List requests for approval in the order in which they came',
  params: wire.noParams,
  query: z.strictObject({
    ...wire.paging,
    agent: wire.id('agt').optional(),
    state: approvalState.optional(),
    kind: z.enum(['activation', 'access_request']).optional(),
    unreviewed: z
      .literal('true')
      .optional()
      .meta({ description: 'Only broken glass that nobody has reviewed yet' }),
  }),
  body: null,
  status: 200,
  answer: wire.listOf(approvalShown),
  async decide(ctx, deps, { query }) {
    const { agent, state, kind, unreviewed } = query
    const filter = wire.given({
      agent: agent as string | undefined,
      state,
      kind,
      unreviewed: unreviewed && (true as const),
    })
    const page = await deps.store.approvals.list(ctx, wire.pageOf(query), filter)
    return {
      about: agent === undefined ? {} : { agent },
      answer: wire.shownPage(page, approval => showApproval(approval, ctx.now)),
    }
  },
})

const params = z.strictObject({ id: wire.id('apr') })

async function findApproval(ctx: Ctx, deps: Reads, id: string): Promise<Versioned<Approval>> {
  const approval = await deps.store.approvals.get(ctx, id)
  if (approval === undefined) throw unknownApproval()
  return approval
}

const get = operation({
  id: 'approvals.get',
  event: readEvent,
  method: 'GET',
  path: '/approvals/{id}',
  summary: 'See a request for approval, exactly as it would be approved',
  params,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: approvalShown,
  async decide(ctx, deps, input) {
    const approval = await findApproval(ctx, deps, input.params.id)
    return {
      about: { agent: approval.asked.agent },
      answer: showApproval(approval, ctx.now),
      version: approval.version,
    }
  },
})

const approve = operation({
  id: 'approvals.approve',
  event: 'approval.approved',
  method: 'POST',
  path: '/approvals/{id}/approve',
  summary: 'Approve a request, or a part of it and for less time; what is approved opens at once',
  params,
  query: wire.noQuery,
  body: z
    .strictObject({
      scopes: z.array(scopeToken).max(100).optional(),
      authorization_details: detailsGiven.optional(),
      seconds: z.int().min(1).optional(),
      reason: wire.reason.optional(),
    })
    .meta({ id: 'ApprovalApprove' }),
  status: 200,
  answer: approvalShown,
  async decide(ctx, deps, input, caller) {
    const found = await findApproval(ctx, deps, input.params.id)
    mustHaveVersion(found, input.ifVersion)
    const { body } = input
    const narrower = {
      scopes: body.scopes && [...new Set(body.scopes)],
      authorizationDetails: detailsOf(body.authorization_details),
      seconds: body.seconds,
      reason: body.reason ?? null,
    }
    const move = await planApprove(ctx, deps, caller.id, { found, narrower })
    if (move.grant !== null) await mustStandAbove(ctx, deps, caller, move.grant)
    return planOf(ctx, move, body.reason ?? found.reason)
  },
})

const withReason = (name: string) => z.strictObject({ reason: wire.reason }).meta({ id: name })

const deny = operation({
  id: 'approvals.deny',
  event: 'approval.denied',
  method: 'POST',
  path: '/approvals/{id}/deny',
  summary: 'Deny a request for good',
  params,
  query: wire.noQuery,
  body: withReason('ApprovalDeny'),
  status: 200,
  answer: approvalShown,
  async decide(ctx, deps, input, caller) {
    const found = await findApproval(ctx, deps, input.params.id)
    mustHaveVersion(found, input.ifVersion)
    const { reason } = input.body
    return planOf(ctx, await planDeny(ctx, deps, caller.id, { found, reason }), reason)
  },
})

const cancel = operation({
  id: 'approvals.cancel',
  event: 'approval.cancelled',
  method: 'POST',
  path: '/approvals/{id}/cancel',
  summary: 'Take a pending request back, or end at once what an approved one opened',
  params,
  query: wire.noQuery,
  body: withReason('ApprovalCancel'),
  status: 200,
  answer: approvalShown,
  async decide(ctx, deps, input, caller) {
    const found = await findApproval(ctx, deps, input.params.id)
    mustHaveVersion(found, input.ifVersion)
    const { reason } = input.body
    const move = await planCancel(ctx, deps, caller.id, { found, reason })
    if (move.grant !== null) {
      await mustStandAbove(ctx, deps, caller, move.grant)
      mustNotLockOut(await findAgent(ctx, deps, move.grant.agent), caller)
    }
    return planOf(ctx, move, reason)
  },
})

const review = operation({
  id: 'approvals.review',
  event: 'approval.reviewed',
  method: 'POST',
  path: '/approvals/{id}/review',
  summary: 'Say afterwards whether a glass was rightly broken; what was not justified ends at once',
  params,
  query: wire.noQuery,
  body: z
    .strictObject({ verdict: z.enum(['justified', 'unjustified']), note: wire.prose })
    .meta({ id: 'ApprovalReview' }),
  status: 200,
  answer: approvalShown,
  async decide(ctx, deps, input, caller) {
    const found = await findApproval(ctx, deps, input.params.id)
    mustHaveVersion(found, input.ifVersion)
    const move = await planReview(ctx, deps, caller.id, { found, review: input.body })
    // Under the rules of approving: who could not have given it judges nothing of it, and ends nothing of it.
    await mustStandAbove(ctx, deps, caller, found.asked)
    return planOf(ctx, move, `${input.body.verdict}: ${input.body.note}`)
  },
})

export const approvalOperations = [list, get, approve, deny, cancel, review]
