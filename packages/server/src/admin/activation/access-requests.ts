// AuthZEN access request and approval profile: a denial filed as a task, followed, and taken back. Served below /access/v1.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import { mustNotFlood, pendingSeconds, untouched } from '../../approvals/activation.ts'
import { callbackProblem } from '../../approvals/callback-target.ts'
import { planCancel } from '../../approvals/judging.ts'
import { taskOf } from '../../approvals/task.ts'
import type { Ctx } from '../../context.ts'
import {
  accessRequestPath,
  type Binding,
  isAbout,
  readBinding,
  type Wire,
} from '../../decision/access-request.ts'
import { isAgentLive } from '../../domain/agent.ts'
import { type Approval, type Callback, stateOf } from '../../domain/authorization/approval.ts'
import type { Versioned } from '../../domain/change.ts'
import { checkProse } from '../../domain/name.ts'
import { type About, operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { aboutApproval } from './shown.ts'

const usualSeconds = 900
const longestSeconds = 8 * 3600
/** How long a finished task is shown. */
const shownSeconds = 7 * 86_400
const longestState = 1024

/** "Forward Compatibility": members that nobody knows are ignored here, unlike in the management API. */
const open = z.looseObject({})
const outcomes = ['approved', 'denied', 'expired', 'cancelled', 'failed', 'partial'] as const

const filed = z
  .looseObject({
    subject: open,
    resource: open.optional(),
    action: open.optional(),
    items: z.unknown().optional(),
    context: open.optional(),
    denial: z
      .looseObject({
        binding_token: z.string().optional(),
        evaluation_id: z.string().optional(),
        expires_at: wire.instant.optional(),
      })
      .optional(),
    requested_access: z.looseObject({ requested_until: wire.instant.optional() }).optional(),
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

type Filed = z.output<typeof filed>

const answered = z.looseObject({ task: open, result: open.optional() }).meta({ id: 'AccessRequestTask' })

const endpointOf = ({ issuer }: Ctx): string => issuer + accessRequestPath

const create = operation({
  id: 'access-requests.create',
  event: 'access-request.filed',
  method: 'POST',
  path: '/access-requests',
  summary: 'File a denial that may be requested; somebody approves or denies it',
  params: wire.noParams,
  query: wire.noQuery,
  body: filed,
  status: 201,
  answer: answered,
  reusedKey: 'duplicate_request',
  async decide(ctx, deps, { body }, caller) {
    const binding = bindingOf(ctx, deps, body, caller.id)
    const location = `${endpointOf(ctx)}/${binding.jti}`
    const before = await deps.store.approvals.get(ctx, binding.jti)
    // Filed twice, it is the same task: nobody approves a copy of what was denied or used up.
    if (before !== undefined)
      return {
        about: aboutApproval({ approval: before, grant: null }, 'filed_before'),
        answer: shown(ctx, before),
        location,
      }
    await mustBeAskable(ctx, deps, binding)
    const approval: Approval = {
      ...untouched,
      id: binding.jti,
      kind: 'access_request',
      asked: { ...binding.asked, eligibility: null, seconds: secondsOf(ctx, body) },
      reason: reasonOf(body),
      breakGlass: false,
      requestedBy: caller.id,
      state: 'pending',
      callback: callbackOf(ctx, body, binding.asked.resource),
      expiresAt: ctx.now + pendingSeconds,
      createdAt: ctx.now,
      stateAt: ctx.now,
    }
    return {
      change: { puts: [{ put: 'approval', value: approval, ifVersion: 0 }] },
      restsOn: [binding.asked.agent, binding.asked.resource],
      about: filedAs(approval, binding),
      answer: shown(ctx, approval),
      location,
    }
  },
})

/** With the evaluation that was denied: its entry has the same request id ("Evaluation Identifier"). */
function filedAs(approval: Approval, { evaluation_id: evaluation }: Binding): About {
  const about = aboutApproval({ approval, grant: null }, approval.reason)
  return { ...about, facts: { ...about.facts, evaluation } }
}

/** "Access Request Service Processing Rules": what was denied, to this very caller, of this very operation. */
function bindingOf(ctx: Ctx, deps: Reads, body: Filed, caller: string): Binding {
  if (body.items !== undefined)
    throw new Fault('invalid_request', 'File one denial at a time.', { kind: 'bundle' })
  const { denial = {}, subject, resource, action, context = {} } = body
  const binding = readBinding(ctx, deps, denial.binding_token)
  if (binding === 'expired' || (denial.expires_at !== undefined && denial.expires_at <= ctx.now))
    throw new Fault('expired_denial', 'The denial is too old; evaluate again.', { kind: 'expired' })
  if (binding === 'invalid') throw unbound('no_token_of_ours')
  if (denial.expires_at !== binding.exp) throw unbound('another_end')
  if ((denial.evaluation_id ?? binding.evaluation_id) !== binding.evaluation_id)
    throw unbound('another_evaluation')
  if (binding.pep !== caller) throw unbound('of_another_caller')
  if (resource === undefined || action === undefined) throw unbound('no_operation')
  const evaluation: Wire = { subject, resource, action, context }
  if (!isAbout(binding, evaluation)) throw unbound('of_another_operation')
  mustVouchFor(ctx, body, new Set([caller, ...partiesOf(evaluation)]))
  return binding
}

/** Who acts in the evaluation that was denied: the enforcement point vouched for them when it asked. */
function partiesOf({ subject, context }: Wire): readonly unknown[] {
  const chain = context['chain']
  return [subject['id'], ...(Array.isArray(chain) ? chain.map(one => one?.id) : [])]
}

/** "Delegation and On-Behalf-Of": a chain of actors that nobody verified is refused, every link of it. */
function mustVouchFor({ issuer }: Ctx, { client }: Filed, known: ReadonlySet<unknown>): void {
  const links: { readonly name: unknown; readonly at: unknown }[] = []
  let link: unknown = client?.actor
  for (let isFirst = true; link !== undefined; isFirst = false) {
    if (typeof link !== 'object' || link === null) throw unbound('unverified_actor')
    const { id, issuer: of, sub, iss, act } = link as Readonly<Record<string, unknown>>
    links.push(isFirst ? { name: id, at: of } : { name: sub, at: iss })
    link = act
  }
  const isKnown = links.every(({ name, at }) => known.has(name) && (at === undefined || at === issuer))
  if (!isKnown) throw unbound('unverified_actor')
}

function unbound(kind: string): Fault {
  return new Fault('invalid_denial_binding', 'This request does not belong to a denial of yours.', { kind })
}

async function mustBeAskable(ctx: Ctx, deps: Reads, { asked }: Binding): Promise<void> {
  const [agent, resource] = await Promise.all([
    deps.store.agents.get(ctx, asked.agent),
    deps.store.resources.byIdentifier(ctx, asked.resource),
  ])
  if (agent === undefined || !isAgentLive(agent, ctx.now) || resource === undefined)
    throw new Fault('not_requestable', 'Nobody could approve this any more.', { kind: 'ended_since' })
  await mustNotFlood(ctx, deps, agent)
}

function secondsOf(ctx: Ctx, { requested_access: requested }: Filed): number {
  const until = requested?.requested_until
  if (until === undefined) return usualSeconds
  if (until <= ctx.now)
    throw new Fault('invalid_request', 'requested_until must be in the future.', { kind: 'requested_until' })
  return Math.min(until - ctx.now, longestSeconds)
}

const longestReason = 512

function reasonOf({ context }: Filed): string {
  const given = context?.['business_justification']
  return typeof given === 'string' && given !== '' && checkProse(given, longestReason) === undefined
    ? given
    : 'Asked for after a denial'
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

function shown(ctx: Ctx, approval: Approval): z.input<typeof answered> {
  return taskOf(approval, endpointOf(ctx), ctx.now) as z.input<typeof answered>
}

/** Whatever names no task is an unknown one, in the words of the profile. */
const params = z.strictObject({ id: z.string().max(64) })

/** The task of the caller. What is another's is as unknown as none. */
async function findTask(ctx: Ctx, deps: Reads, id: string, caller: string): Promise<Versioned<Approval>> {
  const found = await deps.store.approvals.get(ctx, id)
  if (found === undefined || found.kind !== 'access_request' || found.requestedBy !== caller)
    throw new Fault('unknown_task', 'There is no such task.', { kind: 'no_task' })
  const endedAt = Math.max(found.stateAt, found.approvedUntil ?? 0, found.expiresAt)
  if (found.state !== 'pending' && ctx.now >= endedAt + shownSeconds)
    throw new Fault('task_expired', 'This task is over.', { kind: 'task_over' })
  return found
}

const get = operation({
  id: 'access-requests.get',
  event: readEvent,
  method: 'GET',
  path: '/access-requests/{id}',
  summary: 'See what became of a request that was filed',
  params,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: answered,
  async decide(ctx, deps, input, caller) {
    const approval = await findTask(ctx, deps, input.params.id, caller.id)
    return { about: { agent: approval.asked.agent }, answer: shown(ctx, approval) }
  },
})

const cancel = operation({
  id: 'access-requests.cancel',
  event: 'approval.cancelled',
  method: 'POST',
  path: '/access-requests/{id}/cancel',
  summary: 'Take back a request that waits',
  params,
  query: wire.noQuery,
  body: z
    .looseObject({ reason: z.string().max(128).optional(), comment: z.string().max(512).optional() })
    .optional()
    .meta({ id: 'AccessRequestCancel' }),
  status: 200,
  answer: answered,
  async decide(ctx, deps, input, caller) {
    const found = await findTask(ctx, deps, input.params.id, caller.id)
    const state = stateOf(found, ctx.now)
    if (state !== 'pending')
      throw new Fault('invalid_task_state', `This task is ${state}.`, { kind: 'not_pending', state })
    const said = input.body?.comment ?? input.body?.reason ?? ''
    const reason = said !== '' && checkProse(said, longestReason) === undefined ? said : 'Taken back'
    const move = await planCancel(ctx, deps, caller.id, { found, reason })
    return { change: move.change, about: aboutApproval(move, reason), answer: shown(ctx, move.approval) }
  },
})

/** Not part of the management API: they have the places that the profile gives them. */
export const accessRequestOperations = [create, get, cancel]
