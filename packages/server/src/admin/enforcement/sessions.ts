// Sessions, seen and ended by an administrator; they are begun by the instances themselves (`protocol/session.ts`).
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import { isSessionLive, type Session } from '../../domain/authorization/session.ts'
import type { Versioned } from '../../domain/change.ts'
import { operation, type Reads, readEvent } from '../operation.ts'
import * as wire from '../wire.ts'

const sessionShown = z
  .strictObject({
    id: wire.id('ses'),
    agent: wire.id('agt'),
    instance: wire.id('ins'),
    task: z.string().nullable(),
    peer: z.string().nullable(),
    status: z.enum(['live', 'ended']),
    created_at: wire.shownInstant,
    expires_at: wire.shownInstant,
    ended_at: wire.shownInstant.nullable(),
    end_reason: z.string().nullable(),
  })
  .meta({ id: 'Session' })

const showSession = (session: Session, now: number): z.input<typeof sessionShown> => ({
  id: session.id,
  agent: session.agent,
  instance: session.instance,
  task: session.task,
  peer: session.peer,
  status: isSessionLive(session, now) ? 'live' : 'ended',
  created_at: wire.rfc3339(session.createdAt),
  expires_at: wire.rfc3339(session.expiresAt),
  ended_at: wire.rfc3339OrNull(session.endedAt),
  end_reason: session.endReason,
})

const params = z.strictObject({ id: wire.id('ses') })

async function findSession(ctx: Ctx, deps: Reads, id: string): Promise<Versioned<Session>> {
  const session = await deps.store.sessions.get(ctx, id)
  if (session === undefined) throw new Fault('not_found', 'There is no such session.', { kind: 'no_session' })
  return session
}

const list = operation({
  id: 'sessions.list',
  event: readEvent,
  method: 'GET',
  path: '/sessions',
  summary: 'List sessions in the order in which they began',
  params: wire.noParams,
  query: z.strictObject({
    ...wire.paging,
    agent: wire.id('agt').optional(),
    instance: wire.id('ins').optional(),
  }),
  body: null,
  status: 200,
  answer: wire.listOf(sessionShown),
  async decide(ctx, deps, { query }) {
    const filter = wire.given({
      agent: query.agent as string | undefined,
      instance: query.instance as string | undefined,
    })
    const page = await deps.store.sessions.list(ctx, wire.pageOf(query), filter)
    return {
      about: query.agent === undefined ? {} : { agent: query.agent },
      answer: wire.shownPage(page, session => showSession(session, ctx.now)),
    }
  },
})

const get = operation({
  id: 'sessions.get',
  event: readEvent,
  method: 'GET',
  path: '/sessions/{id}',
  summary: 'See a session',
  params,
  query: wire.noQuery,
  body: null,
  status: 200,
  answer: sessionShown,
  async decide(ctx, deps, input) {
    const session = await findSession(ctx, deps, input.params.id)
    return {
      about: { agent: session.agent, instance: session.instance },
      answer: showSession(session, ctx.now),
      version: session.version,
    }
  },
})

const end = operation({
  id: 'sessions.end',
  event: 'session.ended',
  method: 'POST',
  path: '/sessions/{id}/end',
  summary: 'End a session at once, with every token of it; the instance may begin another',
  params,
  query: wire.noQuery,
  body: z.strictObject({ reason: wire.reason }).meta({ id: 'SessionEnd' }),
  status: 200,
  answer: sessionShown,
  insists: true,
  async decide(ctx, deps, { params: named, body }) {
    const { version, ...session } = await findSession(ctx, deps, named.id)
    if (!isSessionLive(session, ctx.now))
      throw new Fault('conflict', 'This session has ended already.', { kind: 'ended' })
    const ended: Session = { ...session, endedAt: ctx.now, endReason: body.reason }
    return {
      change: {
        puts: [{ put: 'session', value: ended, ifVersion: version }],
        signals: [{ subject: session.id, kind: 'narrowed' }],
      },
      about: {
        agent: session.agent,
        instance: session.instance,
        reason: body.reason,
        facts: { session: session.id },
      },
      answer: showSession(ended, ctx.now),
      version: version + 1,
    }
  },
})

export const sessionOperations = [list, get, end]
