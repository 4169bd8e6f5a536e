// AuthZEN access request and approval profile: denials filed as tasks, followed, and taken back. Served below /access/v1.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import { z } from 'zod'
import { mustNotFlood, pendingSeconds } from '../../approvals/activation.ts'
import { type Bundle, bundleTake, bundleTaskOf, type Followed, storedBundle } from '../../approvals/bundle.ts'
import { planCancel } from '../../approvals/judging.ts'
import { taskOf } from '../../approvals/task.ts'
import type { Ctx } from '../../context.ts'
import { accessRequestPath } from '../../decision/access-request.ts'
import { isAgentLive } from '../../domain/agent.ts'
import { type Approval, stateOf } from '../../domain/authorization/approval.ts'
import type { Caller } from '../../domain/caller.ts'
import type { Versioned } from '../../domain/change.ts'
import { type About, operation, type Plan, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { approvalOf, type Bound, boundOf, type Filed, filed, open, proseOf } from './filing.ts'
import { aboutApproval } from './shown.ts'

/** How long a finished task is shown. */
const shownSeconds = 7 * 86_400
/** How long a bundle may be followed: until its last item could have been decided, and while that is shown. */
const bundleSeconds = pendingSeconds + shownSeconds

const answered = z.looseObject({ task: open, result: open.optional() }).meta({ id: 'AccessRequestTask' })
type Shown = z.input<typeof answered>

const endpointOf = ({ issuer }: Ctx): string => issuer + accessRequestPath

const create = operation({
  id: 'access-requests.create',
  event: 'access-request.filed',
  method: 'POST',
  path: '/access-requests',
  summary: 'File denials that may be requested; somebody approves or denies each of them',
  params: wire.noParams,
  query: wire.noQuery,
  body: filed,
  status: 201,
  answer: answered,
  reusedKey: 'duplicate_request',
  async decide(ctx, deps, { body }, caller) {
    const bound = boundOf(ctx, deps, body, caller.id)
    const tasks = await Promise.all(bound.map(one => taskFor(ctx, deps, body, one)))
    await mustBeAskable(ctx, deps, tasks)
    return body.items === undefined ? planOne(ctx, tasks) : planBundle(ctx, deps, tasks, caller)
  },
})

interface Task extends Bound {
  readonly approval: Approval
  /** Filed twice, it is the same task: nobody approves a copy of what was denied or used up. */
  readonly isNew: boolean
}

async function taskFor(ctx: Ctx, deps: Reads, body: Filed, bound: Bound): Promise<Task> {
  const before = await deps.store.approvals.get(ctx, bound.binding.jti)
  return before === undefined
    ? { ...bound, approval: approvalOf(ctx, body, bound), isNew: true }
    : { ...bound, approval: before, isNew: false }
}

function planOne(ctx: Ctx, tasks: readonly Task[]): Plan<Shown> {
  const [task] = tasks as readonly [Task]
  return { ...filing(tasks), answer: shown(ctx, task.approval), location: taskUrl(ctx, task.approval.id) }
}

function planBundle(
  ctx: Ctx,
  { randomBytes }: Pick<Reads, 'randomBytes'>,
  tasks: readonly Task[],
  caller: Caller,
): Plan<Shown> {
  const id = newId('apr', randomBytes)
  const items = tasks.map(({ approval, one: { resource = {}, action = {} } }) => ({
    task: approval.id,
    resource,
    action,
    approval,
  }))
  const named = items.map(({ task, resource, action }) => ({ task, resource, action }))
  const { change, about, restsOn } = filing(tasks)
  const bundle = storedBundle(id, { by: caller.id, items: named }, ctx.now + bundleSeconds)
  return {
    change: { ...change, creates: [bundle] },
    restsOn,
    about: { ...about, facts: { ...about.facts, bundle: id, tasks: items.map(({ task }) => task) } },
    answer: bundleTaskOf(id, items, endpointOf(ctx), ctx.now) as Shown,
    location: taskUrl(ctx, id),
  }
}

/** What is written of these tasks; the entry names the evaluations that were denied ("Evaluation Identifier"). */
function filing(tasks: readonly Task[]): Required<Pick<Plan<Shown>, 'change' | 'restsOn' | 'about'>> {
  const fresh = tasks.filter(({ isNew }) => isNew)
  const [first = tasks[0] as Task] = fresh
  const about: About = aboutApproval(
    { approval: first.approval, grant: null },
    fresh.length === 0 ? 'filed_before' : first.approval.reason,
  )
  const evaluations = tasks.map(({ binding }) => binding.evaluation_id)
  return {
    change: { puts: fresh.map(({ approval }) => ({ put: 'approval', value: approval, ifVersion: 0 })) },
    restsOn: fresh.flatMap(({ binding: { asked } }) => [asked.agent, asked.resource]),
    about: { ...about, facts: { ...about.facts, evaluation: evaluations.join(' ') } },
  }
}

const taskUrl = (ctx: Ctx, id: string): string => `${endpointOf(ctx)}/${id}`

/** Throws `not_requestable` for what nobody could approve any more, `conflict` for an agent that waits for too much. */
async function mustBeAskable(ctx: Ctx, deps: Reads, tasks: readonly Task[]): Promise<void> {
  const fresh = tasks.filter(({ isNew }) => isNew).map(({ binding }) => binding.asked)
  const agents = Map.groupBy(fresh, ({ agent }) => agent)
  const resources = new Set(fresh.map(({ resource }) => resource))
  await Promise.all([
    ...[...agents].map(async ([id, asked]) => {
      const agent = await deps.store.agents.get(ctx, id)
      if (agent === undefined || !isAgentLive(agent, ctx.now)) throw notRequestable()
      await mustNotFlood(ctx, deps, agent, asked.length)
    }),
    ...[...resources].map(async identifier => {
      if ((await deps.store.resources.byIdentifier(ctx, identifier)) === undefined) throw notRequestable()
    }),
  ])
}

function notRequestable(): Fault {
  return new Fault('not_requestable', 'Nobody could approve this any more.', { kind: 'ended_since' })
}

function shown(ctx: Ctx, approval: Approval): Shown {
  return taskOf(approval, endpointOf(ctx), ctx.now) as Shown
}

/** Whatever names no task is an unknown one, in the words of the profile. */
const params = z.strictObject({ id: z.string().max(64) })

type Found =
  | { readonly approval: Versioned<Approval> }
  | { readonly bundle: readonly (Followed & { readonly approval: Versioned<Approval> | undefined })[] }

/** The task of the caller, or the bundle of several. What is another's is as unknown as none. */
async function findTask(ctx: Ctx, deps: Reads, id: string, caller: string): Promise<Found> {
  const found = await deps.store.approvals.get(ctx, id)
  if (found === undefined) return { bundle: await findBundle(ctx, deps, id, caller) }
  if (found.kind !== 'access_request' || found.requestedBy !== caller) throw unknownTask()
  const endedAt = Math.max(found.stateAt, found.approvedUntil ?? 0, found.expiresAt)
  if (found.state !== 'pending' && ctx.now >= endedAt + shownSeconds)
    throw new Fault('task_expired', 'This task is over.', { kind: 'task_over' })
  return { approval: found }
}

async function findBundle(ctx: Ctx, deps: Reads, id: string, caller: string) {
  const { kind, key } = bundleTake(id)
  const stored = await deps.store.oneTimes.peek(ctx, kind, key, ctx.now)
  const bundle = typeof stored === 'string' ? undefined : (JSON.parse(stored.value) as Bundle)
  if (bundle === undefined || bundle.by !== caller) throw unknownTask()
  return Promise.all(
    bundle.items.map(async item => ({ ...item, approval: await deps.store.approvals.get(ctx, item.task) })),
  )
}

function unknownTask(): Fault {
  return new Fault('unknown_task', 'There is no such task.', { kind: 'no_task' })
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
    const { id } = input.params
    const found = await findTask(ctx, deps, id, caller.id)
    if ('approval' in found)
      return { about: { agent: found.approval.asked.agent }, answer: shown(ctx, found.approval) }
    return { about: {}, answer: bundleTaskOf(id, found.bundle, endpointOf(ctx), ctx.now) as Shown }
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
    const { id } = input.params
    const found = await findTask(ctx, deps, id, caller.id)
    const reason = proseOf(input.body?.comment ?? input.body?.reason, 'Taken back')
    const tasks =
      'approval' in found ? [found.approval] : found.bundle.flatMap(({ approval }) => approval ?? [])
    const waiting = tasks.filter(task => stateOf(task, ctx.now) === 'pending')
    const [first] = waiting
    if (first === undefined)
      throw new Fault('invalid_task_state', 'Nothing of this task waits any more.', { kind: 'not_pending' })
    const moves = await Promise.all(
      waiting.map(task => planCancel(ctx, deps, caller.id, { found: task, reason })),
    )
    const cancelled = new Map(moves.map(({ approval }) => [approval.id, approval]))
    const about = aboutApproval({ approval: cancelled.get(first.id) ?? first, grant: null }, reason)
    return {
      change: {
        puts: moves.flatMap(({ change }) => change.puts ?? []),
        signals: moves.flatMap(({ change }) => change.signals ?? []),
      },
      about: { ...about, facts: { ...about.facts, tasks: [...cancelled.keys()] } },
      answer: afterCancel(ctx, id, found, cancelled),
    }
  },
})

function afterCancel(ctx: Ctx, id: string, found: Found, cancelled: ReadonlyMap<string, Approval>): Shown {
  if ('approval' in found) return shown(ctx, cancelled.get(found.approval.id) ?? found.approval)
  const items = found.bundle.map(item => ({ ...item, approval: cancelled.get(item.task) ?? item.approval }))
  return bundleTaskOf(id, items, endpointOf(ctx), ctx.now) as Shown
}

/** Not part of the management API: they have the places that the profile gives them. */
export const accessRequestOperations = [create, get, cancel]
