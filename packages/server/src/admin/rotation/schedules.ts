// Schedules of rotations: a cron expression or a maximum age, with jitter; the loop of `rotation/schedules.ts` keeps them.
import { Fault } from '@writ/sdk/protocol/fault'
import { newId } from '@writ/sdk/protocol/identifier'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import type { Versioned } from '../../domain/change.ts'
import type { Schedule } from '../../domain/schedule.ts'
import { nextAt } from '../../rotation/schedules.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'
import { rotationKinds } from './rotations.ts'

const scheduleShown = z
  .strictObject({
    id: wire.id('sch'),
    kind: z.enum(rotationKinds),
    target: z.string().meta({ description: '`*` for every target of the kind' }),
    cron: z.string().nullable(),
    max_age_seconds: z.int().nullable(),
    jitter_seconds: z.int(),
    status: z.enum(['active', 'suspended']),
    next_at: wire.shownInstant,
    last_at: wire.shownInstant.nullable(),
    last_rotation: z.string().nullable(),
    created_at: wire.shownInstant,
    updated_at: wire.shownInstant,
  })
  .meta({ id: 'Schedule' })

function show(schedule: Schedule): z.input<typeof scheduleShown> {
  return {
    id: schedule.id,
    kind: schedule.kind,
    target: schedule.target,
    cron: schedule.cron,
    max_age_seconds: schedule.maxAgeSeconds,
    jitter_seconds: schedule.jitterSeconds,
    status: schedule.status,
    next_at: wire.rfc3339(schedule.nextAt),
    last_at: wire.rfc3339OrNull(schedule.lastAt),
    last_rotation: schedule.lastRotation,
    created_at: wire.rfc3339(schedule.createdAt),
    updated_at: wire.rfc3339(schedule.updatedAt),
  }
}

const cron = z.string().min(9).max(128).meta({ description: 'Five fields, UTC' })
const maxAge = z.int().min(10).max(315_360_000)
const jitter = z.int().min(0).max(2_592_000)

const create = operation({
  id: 'schedules.create',
  event: 'schedule.created',
  method: 'POST',
  path: '/schedules',
  summary: 'Rotate by a cron expression or a maximum age, from now on',
  params: wire.noParams,
  query: wire.noQuery,
  body: z
    .strictObject({
      kind: z.enum(rotationKinds),
      target: z.string().min(1).max(256).optional().meta({ description: '`*` unless told' }),
      cron: cron.optional(),
      max_age_seconds: maxAge.optional(),
      jitter_seconds: jitter.optional(),
    })
    .meta({ id: 'ScheduleCreate' }),
  status: 201,
  answer: scheduleShown,
  async decide(ctx, deps, { body }, caller) {
    const [clash] = (
      await deps.store.schedules.list(ctx, { limit: 1 }, { kind: body.kind, target: body.target ?? '*' })
    ).items
    if (clash !== undefined) {
      throw new Fault('conflict', `There is a schedule for this already: ${clash.id}.`, {
        kind: 'scheduled_already',
      })
    }
    const rhythm = { cron: body.cron ?? null, maxAgeSeconds: body.max_age_seconds ?? null }
    mustBeOne(rhythm)
    const bare: Schedule = {
      id: newId('sch', deps.randomBytes),
      kind: body.kind,
      target: body.target ?? '*',
      ...rhythm,
      jitterSeconds: body.jitter_seconds ?? 0,
      owner: caller.id,
      status: 'active',
      nextAt: 0,
      lastAt: null,
      lastRotation: null,
      goesOnAfter: null,
      createdAt: ctx.now,
      updatedAt: ctx.now,
    }
    const schedule = { ...bare, nextAt: nextAt(bare, ctx.now) }
    return {
      change: { puts: [{ put: 'schedule', value: schedule, ifVersion: 0 }] },
      about: { facts: factsOf(schedule) },
      answer: show(schedule),
      location: `/schedules/${schedule.id}`,
      version: 1,
    }
  },
})

function mustBeOne({ cron: expression, maxAgeSeconds }: Pick<Schedule, 'cron' | 'maxAgeSeconds'>): void {
  if ((expression === null) === (maxAgeSeconds === null)) {
    throw new Fault('invalid_value', 'Give either cron or max_age_seconds.', { kind: 'rhythm' })
  }
}

const factsOf = (schedule: Schedule) => ({
  schedule: schedule.id,
  kind: schedule.kind,
  target: schedule.target,
  cron: schedule.cron,
  max_age_seconds: schedule.maxAgeSeconds,
  next_at: wire.rfc3339(schedule.nextAt),
})

const list = operation({
  id: 'schedules.list',
  event: readEvent,
  method: 'GET',
  path: '/schedules',
  summary: 'List schedules of rotations, the oldest first',
  params: wire.noParams,
  query: z.strictObject({ ...wire.paging, kind: z.enum(rotationKinds).optional() }),
  body: null,
  status: 200,
  answer: wire.listOf(scheduleShown),
  async decide(ctx, deps, { query }) {
    const page = await deps.store.schedules.list(ctx, wire.pageOf(query), wire.given({ kind: query.kind }))
    return { about: {}, answer: wire.shownPage(page, show) }
  },
})

const params = z.strictObject({ id: wire.id('sch') })

async function find(ctx: Ctx, deps: Reads, id: string): Promise<Versioned<Schedule>> {
  const schedule = await deps.store.schedules.get(ctx, id)
  if (schedule === undefined)
    throw new Fault('not_found', 'There is no such schedule.', { kind: 'no_schedule' })
  return schedule
}

const get = operation({
  id: 'schedules.get',
  event: readEvent,
  method: 'GET',
  path: '/schedules/{id}',
  summary: 'See one schedule',
  params,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: scheduleShown,
  async decide(ctx, deps, input) {
    const { version, ...schedule } = await find(ctx, deps, input.params.id)
    return { about: {}, answer: show(schedule), version }
  },
})

const update = operation({
  id: 'schedules.update',
  event: 'schedule.changed',
  method: 'PATCH',
  path: '/schedules/{id}',
  summary: 'Change its rhythm, or suspend and resume it',
  params,
  query: wire.noQuery,
  body: z
    .strictObject({
      cron: cron.nullable().optional(),
      max_age_seconds: maxAge.nullable().optional(),
      jitter_seconds: jitter.optional(),
      status: z.enum(['active', 'suspended']).optional(),
    })
    .meta({ id: 'ScheduleUpdate' }),
  status: 200,
  answer: scheduleShown,
  async decide(ctx, deps, { params: { id }, body, ifVersion }) {
    const { version, ...before } = await find(ctx, deps, id)
    if (ifVersion !== null && ifVersion !== version) {
      throw new Fault('conflict', 'This was changed since you read it; look again.', { kind: 'if_match' })
    }
    const changed: Schedule = {
      ...before,
      cron: body.cron === undefined ? before.cron : body.cron,
      maxAgeSeconds: body.max_age_seconds === undefined ? before.maxAgeSeconds : body.max_age_seconds,
      jitterSeconds: body.jitter_seconds ?? before.jitterSeconds,
      status: body.status ?? before.status,
      goesOnAfter: null,
      updatedAt: ctx.now,
    }
    mustBeOne(changed)
    const schedule = { ...changed, nextAt: nextAt(changed, ctx.now) }
    return {
      change: { puts: [{ put: 'schedule', value: schedule, ifVersion: version }] },
      about: { facts: factsOf(schedule) },
      answer: show(schedule),
      version: version + 1,
    }
  },
})

const remove = operation({
  id: 'schedules.delete',
  event: 'schedule.deleted',
  method: 'DELETE',
  path: '/schedules/{id}',
  summary: 'End a schedule; rotations that it began go on',
  params,
  query: wire.noQuery,
  body: null,
  status: 204,
  answer: null,
  async decide(ctx, deps, { params: { id } }) {
    const { version, ...schedule } = await find(ctx, deps, id)
    return {
      change: { removals: [{ remove: 'schedule', id, ifVersion: version }] },
      about: { facts: factsOf(schedule) },
      answer: undefined,
    }
  },
})

export const scheduleOperations = [create, list, get, update, remove]
