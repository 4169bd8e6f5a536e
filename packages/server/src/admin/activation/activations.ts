// Activations asked for by an administrator; an eligible agent asks for itself at `protocol/activation.ts`.
import { z } from 'zod'
import { planActivation } from '../../approvals/activation.ts'
import { operation } from '../operation.ts'
import { scopeToken } from '../resources/resources.ts'
import * as wire from '../wire.ts'
import { detailsGiven, detailsOf } from './details.ts'
import { approvalShown, mustStandAbove, planOf } from './shown.ts'

const longestSeconds = 7 * 86_400

const create = operation({
  id: 'activations.create',
  event: 'activation.requested',
  method: 'POST',
  path: '/activations',
  summary: 'Ask that rights an agent is eligible for are opened for a while; they end by themselves',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      eligibility: wire.id('elg'),
      reason: wire.reason,
      seconds: z.int().min(1).max(longestSeconds).meta({ description: 'How long, from the approval on' }),
      scopes: z.array(scopeToken).min(1).max(100).optional(),
      authorization_details: detailsGiven.min(1).optional(),
      break_glass: z
        .boolean()
        .optional()
        .meta({ description: 'Open it before anybody has approved; somebody else has to review it' }),
    })
    .meta({ id: 'ActivationCreate' }),
  status: 201,
  answer: approvalShown,
  async decide(ctx, deps, { body }, caller) {
    const requester = { id: caller.id, instance: null, only: null }
    const move = await planActivation(ctx, deps, requester, {
      eligibility: body.eligibility,
      reason: body.reason,
      seconds: body.seconds,
      scopes: body.scopes && [...new Set(body.scopes)],
      authorizationDetails: detailsOf(body.authorization_details),
      breakGlass: body.break_glass ?? false,
    })
    await mustStandAbove(ctx, deps, caller, move.approval.asked)
    return { ...planOf(ctx, move, body.reason), location: `/approvals/${move.approval.id}` }
  },
})

export const activationOperations = [create]
