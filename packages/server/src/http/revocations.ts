// The revocation stream: server-sent events for who listens, JSON for who polls. It never claims more than it knows.

import { Fault } from '@writ/sdk/protocol/fault'
import type { StreamMessage } from '@writ/sdk/protocol/revocation'
import type { Ctx } from '../context.ts'
import { maxTokenSeconds } from '../limits.ts'
import type { Audience } from './audience.ts'
import { isInContact, narrowingsOf, openStream } from './revocation-stream.ts'
import { type FaceDeps, json, type Route } from './route.ts'

export function revocationsRoute(audience: Audience): Route {
  return {
    name: 'revocations',
    method: 'GET',
    path: '/revocations',
    face: 'problem',
    cors: true,
    publishedAs: { writ: 'revocation_stream' },
    async handle(ctx, deps, request) {
      const after = afterOf(request)
      if (request.headers.get('accept')?.includes('text/event-stream')) {
        const catchUp = (from: number | undefined) => messageAfter(ctx, deps, from)
        return openStream(ctx, deps, audience, { request, after, catchUp })
      }
      requireContact(deps)
      return json(await messageAfter(ctx, deps, after))
    },
  }
}

function afterOf(request: Request): number | undefined {
  const given = new URL(request.url).searchParams.get('after') ?? request.headers.get('last-event-id')
  if (given === null || given === '') return undefined
  if (!/^\d{1,15}$/.test(given))
    throw new Fault('invalid_request', 'after must be an epoch.', { kind: 'after' })
  return Number(given)
}

function requireContact(deps: FaceDeps): void {
  if (!isInContact(deps)) {
    throw new Fault('temporarily_unavailable', 'This node has lost its store; ask another.', {
      kind: 'no_contact',
    })
  }
}

const pageOfSignals = 1000

/** What a listener that is complete up to `after` needs; a snapshot where the feed no longer reaches back that far. */
async function messageAfter(ctx: Ctx, deps: FaceDeps, after: number | undefined): Promise<StreamMessage> {
  const head = await deps.store.signals.head(ctx)
  if (after !== undefined && after <= head) {
    const signals = await deps.store.signals.after(ctx, after, pageOfSignals)
    // Epochs are contiguous: a gap at the start, or nothing before the head, means that older rows were swept. Whoever
    // were told that nothing is new would stay behind for ever, and ask for ever.
    const first = signals[0]
    if (first === undefined ? after === head : first.epoch === after + 1) {
      const epoch = signals.at(-1)?.epoch ?? after
      return {
        type: signals.length === 0 ? 'heartbeat' : 'narrowed',
        epoch,
        at: Date.now(),
        narrowed: narrowingsOf(signals),
      }
    }
  }
  const since = await deps.store.signals.narrowedSince(ctx, ctx.nowMs - (maxTokenSeconds + 60) * 1000)
  return {
    type: 'snapshot',
    epoch: head,
    at: Date.now(),
    narrowed: narrowingsOf(since.filter(({ epoch }) => epoch <= head)),
  }
}
