// Sessions of an instance, begun and ended by itself: a form in, JSON out.
import type { Session } from '../domain/authorization/session.ts'
import { beginSession, endSession } from '../protocol/session.ts'
import { evidenceOf } from './oauth.ts'
import { json, type Route } from './route.ts'

const instant = (at: number | null): string | null => (at === null ? null : new Date(at * 1000).toISOString())

const shown = ({ id, task, createdAt, expiresAt, endedAt }: Session) => ({
  session: id,
  task,
  created_at: instant(createdAt),
  expires_at: instant(expiresAt),
  ended_at: instant(endedAt),
})

const beginRoute: Route = {
  name: 'session-begin',
  method: 'POST',
  path: '/sessions',
  face: 'problem',
  cors: false,
  publishedAs: { writ: 'session_endpoint' },
  async handle(ctx, deps, request) {
    const evidence = await evidenceOf(ctx, deps, request, { path: this.path, repeatable: () => false })
    return json(shown(await beginSession(ctx, deps, evidence)), 'never', 201)
  },
}

const endRoute: Route = {
  name: 'session-end',
  method: 'POST',
  path: '/sessions/end',
  face: 'problem',
  cors: false,
  async handle(ctx, deps, request) {
    const evidence = await evidenceOf(ctx, deps, request, { path: this.path, repeatable: () => false })
    return json(shown(await endSession(ctx, deps, evidence)))
  },
}

export const sessionRoutes: readonly Route[] = [beginRoute, endRoute]
