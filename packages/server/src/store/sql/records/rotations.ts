// Rotations and their schedules: codecs and reads.
import { hasEnded } from '../../../domain/rotation.ts'
import type { Rotations, Schedules } from '../../store.ts'
import type { Db } from '../dialect.ts'
import { type Codec, findRecord, isStorable, listRecords, parseRecord } from './record.ts'

export const rotationCodec: Codec<'rotation'> = {
  kind: 'rotation',
  table: 'rotations',
  id: 'id',
  members: {
    id: true,
    kind: true,
    target: true,
    owner: true,
    state: true,
    resumes: true,
    emergency: true,
    reason: true,
    batch: true,
    from: true,
    to: true,
    alg: true,
    proof: true,
    createdAt: true,
    stateAt: true,
    activeAt: true,
    dueAt: true,
    limitAt: true,
    attempts: true,
    wanted: true,
    problem: true,
  },
  columns: {
    kind: 'text',
    target: 'text',
    replaces: 'text',
    state: 'text',
    batch: 'text',
    due_at: 'int',
    ended: 'int',
  },
  fixed: ['kind', 'target'],
  idOf: rotation => rotation.id,
  subjectOf: rotation => rotation.id,
  valuesOf: rotation => [
    rotation.kind,
    rotation.target,
    rotation.from ?? '',
    rotation.state,
    rotation.batch,
    rotation.dueAt,
    hasEnded(rotation) ? 1 : 0,
  ],
}

export const scheduleCodec: Codec<'schedule'> = {
  kind: 'schedule',
  table: 'schedules',
  id: 'id',
  members: {
    id: true,
    kind: true,
    target: true,
    cron: true,
    maxAgeSeconds: true,
    jitterSeconds: true,
    owner: true,
    status: true,
    nextAt: true,
    lastAt: true,
    lastRotation: true,
    goesOnAfter: true,
    createdAt: true,
    updatedAt: true,
  },
  columns: { kind: 'text', target: 'text', status: 'text', next_at: 'int' },
  fixed: ['kind', 'target'],
  idOf: schedule => schedule.id,
  subjectOf: schedule => schedule.id,
  valuesOf: schedule => [schedule.kind, schedule.target, schedule.status, schedule.nextAt],
}

export const rotationsOver = (db: Db): Rotations => ({
  get: (scope, id) => findRecord(db, rotationCodec, scope, { is: id }),
  async among(scope, ids) {
    const known = ids.filter(id => isStorable(id))
    if (known.length === 0) return []
    const rows = await db
      .selectFrom('rotations')
      .select(['version', 'body'])
      .where('tenant', '=', scope.tenant)
      .where('id', 'in', known)
      .execute()
    return rows.map(row => parseRecord<'rotation'>(row))
  },
  list: (scope, page, filter) => listRecords(db, rotationCodec, scope, { page, where: { ...filter } }),
  async open(scope, kind, target) {
    if (!isStorable(kind) || !isStorable(target)) return []
    const rows = await db
      .selectFrom('rotations')
      .select(['version', 'body'])
      .where('tenant', '=', scope.tenant)
      .where('kind', '=', kind)
      .where('target', '=', target)
      .where('ended', '=', 0)
      .orderBy('ordinal')
      .execute()
    return rows.map(row => parseRecord<'rotation'>(row))
  },
  async due(scope, now, limit) {
    const rows = await db
      .selectFrom('rotations')
      .select(['version', 'body'])
      .where('tenant', '=', scope.tenant)
      .where('ended', '=', 0)
      .where('due_at', '<=', now)
      .orderBy('due_at')
      .limit(limit)
      .execute()
    return rows.map(row => parseRecord<'rotation'>(row))
  },
})

export const schedulesOver = (db: Db): Schedules => ({
  get: (scope, id) => findRecord(db, scheduleCodec, scope, { is: id }),
  list: (scope, page, filter) => listRecords(db, scheduleCodec, scope, { page, where: { ...filter } }),
  async due(scope, now, limit) {
    const rows = await db
      .selectFrom('schedules')
      .select(['version', 'body'])
      .where('tenant', '=', scope.tenant)
      .where('status', '=', 'active')
      .where('next_at', '<=', now)
      .orderBy('next_at')
      .limit(limit)
      .execute()
    return rows.map(row => parseRecord<'schedule'>(row))
  },
})
