// The revocation stream: server-sent events for who listens, JSON for who polls. It never claims more than it knows.

import { Fault } from '@writ/sdk/protocol/fault'
import { type WrittenMessage, writeMessage } from '@writ/sdk/protocol/revocation'
import type { Ctx } from '../../context.ts'
import { maxTokenSeconds } from '../../limits.ts'
import type { FaceDeps, Route } from '../route.ts'
import type { Audience } from './audience.ts'
import type { Points } from './enforcement-points.ts'
import { createHaltedTools, type HaltedTools } from './halted-tools.ts'
import { isInContact, newsOf, openStream } from './listener.ts'
import { createSnapshots, type Snapshots } from './snapshot.ts'

export function revocationsRoute(audience: Audience, points: Points): Route {
  const shared: Shared = { snapshots: createSnapshots(), tools: createHaltedTools() }
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
        const catchUp = (from: number | undefined) => messageAfter(ctx, deps, shared, from)
        const halted = (epoch: number) => shared.tools.upTo(ctx, deps.store.facts, epoch)
        return openStream(ctx, deps, audience, { request, after, points, catchUp, halted })
      }
      requireContact(deps)
      const { text } = await messageAfter(ctx, deps, shared, after)
      return new Response(text, {
        headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
      })
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

/** What is read once for all who listen to this node. */
interface Shared {
  readonly snapshots: Snapshots
  readonly tools: HaltedTools
}

/** What a listener that is complete up to `after` needs; a snapshot where the feed no longer reaches back that far. */
async function messageAfter(
  ctx: Ctx,
  deps: FaceDeps,
  { snapshots, tools }: Shared,
  after: number | undefined,
): Promise<WrittenMessage> {
  const head = await deps.store.signals.head(ctx)
  if (after !== undefined && after <= head) {
    const signals = await deps.store.signals.after(ctx, after, pageOfSignals)
    // Epochs are contiguous: a gap at the start, or nothing before the head, means that older rows were swept. Whoever
    // were told that nothing is new would stay behind for ever, and ask for ever.
    const first = signals[0]
    if (first === undefined ? after === head : first.epoch === after + 1) {
      const epoch = signals.at(-1)?.epoch ?? after
      const type = signals.length === 0 ? 'heartbeat' : 'narrowed'
      return writeMessage({
        type,
        epoch,
        at: Date.now(),
        ...newsOf(signals, deps.config.rotationSpreadSeconds),
        // Each time, also where nothing is new: whoever asks may come from a node that does not tell it.
        halted: await tools.upTo(ctx, deps.store.facts, epoch),
      })
    }
  }
  const sinceMs = ctx.nowMs - (maxTokenSeconds + 60) * 1000
  const { epoch, narrowed } = await snapshots.upTo(ctx, deps.store.signals, { head, sinceMs })
  const halted = await tools.upTo(ctx, deps.store.facts, epoch)
  const told = `"narrowed":${narrowed},"halted":${JSON.stringify(halted)}`
  const text = `{"type":"snapshot","epoch":${epoch},"at":${Date.now()},${told}}`
  return { type: 'snapshot', epoch, text }
}
