// The members of an audit entry that say who asked, with which key, and through which request.
import type { Ctx } from '../context.ts'
import type { Actor, EntryDraft } from '../domain/audit-entry.ts'
import type { Proven } from './client-auth/method.ts'

type AskedBy = Pick<EntryDraft, 'agent' | 'instance' | 'key' | 'chain' | 'requestId' | 'traceId' | 'peer'>

/** For an entry about what a proven client asked for. */
export function askedBy(ctx: Ctx, { id, agent, by }: Pick<Proven, 'id' | 'agent' | 'by'>): AskedBy {
  const instance = by.key?.instance ?? null
  return {
    agent: id,
    instance,
    key: by.key?.thumbprint ?? null,
    chain: chainOf(id, agent === undefined ? 'client' : 'agent', instance),
    ...request(ctx),
  }
}

/** Which of its secrets the client showed; where a key proved it, the entry has a member for that. */
export function shownFacts({ by }: Pick<Proven, 'by'>): EntryDraft['facts'] & object {
  return by.key === null ? { client_secret: by.secret.id } : {}
}

/** The actor chain of somebody who acts for itself: the agent, and the instance that spoke. */
export function chainOf(sub: string, kind: Actor['kind'], instance: string | null): readonly Actor[] {
  const self: Actor = { sub, kind }
  return instance === null ? [self] : [self, { sub: instance, kind: 'instance' }]
}

/** Which request an entry came from. */
export function request(ctx: Ctx): Pick<EntryDraft, 'requestId' | 'traceId' | 'peer'> {
  return { requestId: ctx.requestId, traceId: ctx.traceId ?? null, peer: ctx.peer ?? null }
}
