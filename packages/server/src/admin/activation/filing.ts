// What is filed of a denial (AuthZEN access request profile, "Access Request Submission"): read, bound to the denial, a task.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import { pendingSeconds, untouched } from '../../approvals/activation.ts'
import { mostOfBundle } from '../../approvals/bundle.ts'
import { callbackProblem } from '../../approvals/callback-target.ts'
import type { Ctx } from '../../context.ts'
import { type Binding, isAbout, readBinding, type Wire } from '../../decision/access-request.ts'
import type { Approval, Callback } from '../../domain/authorization/approval.ts'
import { checkProse } from '../../domain/name.ts'
import type { Reads } from '../operation.ts'
import * as wire from '../wire.ts'

const usualSeconds = 900
const longestSeconds = 8 * 3600
const longestReason = 512
const longestState = 1024
/** Of the resources and actions of a bundle, which are kept to be shown again. */
const longestItems = 32_768

/** "Forward Compatibility": members that nobody knows are ignored here, unlike in the management API. */
export const open = z.looseObject({})
const outcomes = ['approved', 'denied', 'expired', 'cancelled', 'failed', 'partial'] as const

const denial = z
  .looseObject({
    binding_token: z.string().optional(),
    evaluation_id: z.string().optional(),
    expires_at: wire.instant.optional(),
  })
  .optional()
const requestedAccess = z.looseObject({ requested_until: wire.instant.optional() }).optional()

export const filed = z
  .looseObject({
    subject: open,
    resource: open.optional(),
    action: open.optional(),
    items: z
      .array(z.looseObject({ resource: open, action: open, denial, requested_access: requestedAccess }))
      .min(1)
      .max(mostOfBundle)
      .optional(),
    context: open.optional(),
    denial,
    requested_access: requestedAccess,
    client: z.looseObject({ actor: open.optional() }).optional(),
    callback: z
      .looseObject({
        endpoint: z.string().min(1).max(2048),
        state: z.json().optional(),
        events: z.array(z.enum(outcomes)).max(outcomes.length).optional(),
      })
      .optional(),
  })
  .meta({ id: 'AccessRequest' })

export type Filed = z.output<typeof filed>

/** One denial as it is filed, alone or in a bundle. */
type One = Pick<Filed, 'subject' | 'context' | 'resource' | 'action' | 'denial' | 'requested_access'>

/** A denial and the token that binds it: what becomes a task. */
export interface Bound {
  readonly one: One
  readonly binding: Binding
}

/** Throws `invalid_request` for a bundle that is also something else, or is told of by callbacks: its items are not. */
export function onesOf(body: Filed): readonly One[] {
  const { items, resource, action, callback } = body
  if (items === undefined) return [body]
  if (resource !== undefined || action !== undefined || callback !== undefined)
    throw new Fault('invalid_request', 'Beside items there is neither resource, action nor callback.', {
      kind: 'bundle',
    })
  const kept = items.map(item => [item.resource, item.action])
  if (JSON.stringify(kept).length > longestItems)
    throw new Fault('invalid_request', 'The items are too long.', { kind: 'bundle_size' })
  return items.map(item => ({
    ...body,
    ...item,
    // "items": a denial of an item stands for the common one, and its wishes go before the common ones.
    denial: item.denial ?? body.denial,
    requested_access: { ...body.requested_access, ...item.requested_access },
  }))
}

/** "Access Request Service Processing Rules": what was denied, to this very caller, of this very operation. */
export function boundOf(ctx: Ctx, deps: Pick<Reads, 'keys'>, body: Filed, caller: string): readonly Bound[] {
  const bound = onesOf(body).map(one => ({ one, binding: bindingOf(ctx, deps, one, caller) }))
  for (const { one } of bound) mustVouchFor(ctx, body, new Set([caller, ...partiesOf(one)]))
  if (new Set(bound.map(({ binding }) => binding.jti)).size !== bound.length)
    throw new Fault('invalid_request', 'Two items file one denial.', { kind: 'bundle_repeats' })
  return bound
}

function bindingOf(ctx: Ctx, deps: Pick<Reads, 'keys'>, one: One, caller: string): Binding {
  const { denial: shown = {}, subject, resource, action, context = {} } = one
  const binding = readBinding(ctx, deps, shown.binding_token)
  if (binding === 'expired' || (shown.expires_at !== undefined && shown.expires_at <= ctx.now))
    throw new Fault('expired_denial', 'The denial is too old; evaluate again.', { kind: 'expired' })
  if (binding === 'invalid') throw unbound('no_token_of_ours')
  if (shown.expires_at !== binding.exp) throw unbound('another_end')
  if ((shown.evaluation_id ?? binding.evaluation_id) !== binding.evaluation_id)
    throw unbound('another_evaluation')
  if (binding.pep !== caller) throw unbound('of_another_caller')
  if (resource === undefined || action === undefined) throw unbound('no_operation')
  const evaluation: Wire = { subject, resource, action, context }
  if (!isAbout(binding, evaluation)) throw unbound('of_another_operation')
  return binding
}

/** Who acts in the evaluation that was denied: the enforcement point vouched for them when it asked. */
function partiesOf({ subject, context }: One): readonly unknown[] {
  const chain = context?.['chain']
  return [subject['id'], ...(Array.isArray(chain) ? chain.map(one => one?.id) : [])]
}

/** "Delegation and On-Behalf-Of": a chain of actors that nobody verified is refused, every link of it. */
function mustVouchFor({ issuer }: Ctx, { client }: Filed, known: ReadonlySet<unknown>): void {
  let link: unknown = client?.actor
  for (let isFirst = true; link !== undefined; isFirst = false) {
    if (typeof link !== 'object' || link === null) throw unbound('unverified_actor')
    const { id, issuer: of, sub, iss, act } = link as Readonly<Record<string, unknown>>
    const [name, at] = isFirst ? [id, of] : [sub, iss]
    if (!known.has(name) || (at !== undefined && at !== issuer)) throw unbound('unverified_actor')
    link = act
  }
}

function unbound(kind: string): Fault {
  return new Fault('invalid_denial_binding', 'This request does not belong to a denial of yours.', { kind })
}

/** The task of a denial, for somebody to decide. Throws `invalid_request` and `invalid_value` for impossible wishes. */
export function approvalOf(ctx: Ctx, body: Filed, { one, binding }: Bound): Approval {
  return {
    ...untouched,
    id: binding.jti,
    kind: 'access_request',
    asked: { ...binding.asked, eligibility: null, seconds: secondsOf(ctx, one) },
    reason: reasonOf(one),
    breakGlass: false,
    requestedBy: binding.pep,
    state: 'pending',
    callback: callbackOf(ctx, body, binding.asked.resource),
    expiresAt: ctx.now + pendingSeconds,
    createdAt: ctx.now,
    stateAt: ctx.now,
  }
}

function secondsOf(ctx: Ctx, { requested_access: requested }: One): number {
  const until = requested?.requested_until
  if (until === undefined) return usualSeconds
  if (until <= ctx.now)
    throw new Fault('invalid_request', 'requested_until must be in the future.', { kind: 'requested_until' })
  return Math.min(until - ctx.now, longestSeconds)
}

/** What was said, where it can be shown to people as it is. */
export function proseOf(given: unknown, otherwise: string): string {
  const isProse = typeof given === 'string' && given !== '' && checkProse(given, longestReason) === undefined
  return isProse ? given : otherwise
}

function reasonOf({ context }: One): string {
  return proseOf(context?.['business_justification'], 'Asked for after a denial')
}

function callbackOf(ctx: Ctx, { callback }: Filed, resource: string): Callback | null {
  if (callback === undefined) return null
  const problem = callbackProblem(callback.endpoint, { issuer: ctx.issuer, resource })
  if (problem !== undefined)
    throw new Fault('invalid_value', `The member callback.endpoint ${problem}.`, { kind: 'callback' })
  const state = callback.state === undefined ? null : JSON.stringify(callback.state)
  if (state !== null && state.length > longestState)
    throw new Fault('invalid_value', 'The member callback.state is too long.', { kind: 'callback_state' })
  return { endpoint: callback.endpoint, state, events: callback.events ?? [], attempts: 0, dueAt: null }
}
