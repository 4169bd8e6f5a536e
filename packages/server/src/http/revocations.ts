// The revocation stream: server-sent events for who listens, JSON for who polls. It never claims more than it knows.
import { formatEvent, subjectDigest, type Narrowing, type StreamMessage } from '@writ/sdk/protocol/revocation'
import { Fault } from '@writ/sdk/protocol/fault'
import type { Ctx } from '../context.ts'
import type { SignalAt } from '../store/store.ts'
import { maxTokenSeconds } from '../limits.ts'
import { json, type FaceDeps, type Route } from './route.ts'

/** After this long without contact to its store a node does not call itself a live source. */
const silentAfterMs = 1500

/** Most listeners of one node; each costs a socket. */
const maxListeners = 4096

let listeners = 0

export const revocationsRoute: Route = {
  name: 'revocations',
  method: 'GET',
  path: '/revocations',
  face: 'problem',
  cors: true,
  publishedAs: { writ: 'revocation_stream' },
  async handle(ctx, deps, request) {
    const after = afterOf(request)
    if (request.headers.get('accept')?.includes('text/event-stream')) return stream(ctx, deps, request, after)
    requireContact(deps)
    return json(await messageAfter(ctx, deps, after))
  },
}

function afterOf(request: Request): number | undefined {
  const given = new URL(request.url).searchParams.get('after') ?? request.headers.get('last-event-id')
  if (given === null || given === '') return undefined
  if (!/^\d{1,15}$/.test(given)) throw new Fault('invalid_request', 'after must be an epoch.', { kind: 'after' })
  return Number(given)
}

function requireContact(deps: FaceDeps): void {
  if (Date.now() - deps.store.signals.contactMs() > silentAfterMs) {
    throw new Fault('temporarily_unavailable', 'This node has lost its store; ask another.', { kind: 'no_contact' })
  }
}

const narrowings = (signals: readonly SignalAt[]): readonly Narrowing[] =>
  signals.filter(({ kind }) => kind === 'narrowed').map(({ epoch, subject }) => [epoch, subjectDigest(subject)])

const pageOfSignals = 1000

/** What a listener that is complete up to `after` needs; a snapshot where the feed no longer reaches back that far. */
async function messageAfter(ctx: Ctx, deps: FaceDeps, after: number | undefined): Promise<StreamMessage> {
  const head = await deps.store.signals.head(ctx)
  if (after !== undefined && after <= head) {
    const signals = await deps.store.signals.after(ctx, after, pageOfSignals)
    // Epochs are contiguous: a gap at the start means that older rows were swept.
    const first = signals[0]
    if (first === undefined || first.epoch === after + 1) {
      const epoch = signals.at(-1)?.epoch ?? after
      return { type: signals.length === 0 ? 'heartbeat' : 'narrowed', epoch, at: Date.now(), narrowed: narrowings(signals) }
    }
  }
  const since = await deps.store.signals.narrowedSince(ctx, ctx.nowMs - (maxTokenSeconds + 60) * 1000)
  return { type: 'snapshot', epoch: head, at: Date.now(), narrowed: narrowings(since.filter(({ epoch }) => epoch <= head)) }
}

function stream(ctx: Ctx, deps: FaceDeps, request: Request, after: number | undefined): Response {
  if (listeners >= maxListeners) throw new Fault('temporarily_unavailable', 'Too many listeners; ask another node.', { kind: 'listeners' })
  listeners += 1
  const encoder = new TextEncoder()
  let stop = (): void => {}
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      let epoch = -1
      let waiting: SignalAt[] = []
      const send = (message: StreamMessage): void => {
        epoch = message.epoch
        // A listener that does not read is cut off instead of filling our memory; it comes back and catches up.
        if ((controller.desiredSize ?? 0) < -maxUnreadMessages) return stop()
        controller.enqueue(encoder.encode(formatEvent(message)))
      }
      const forward = (signals: readonly SignalAt[]): void => {
        const news = signals.filter(signal => signal.epoch > epoch)
        const last = news.at(-1)
        if (last !== undefined) send({ type: 'narrowed', epoch: last.epoch, at: Date.now(), narrowed: narrowings(news) })
      }
      const unsubscribe = deps.store.signals.subscribe((tenant, signals) => {
        if (tenant !== ctx.tenant) return
        if (epoch < 0) waiting = [...waiting, ...signals]
        else forward(signals)
      })
      const heartbeat = setInterval(() => {
        // Silence is the honest message of a node that does not know: its listeners then deny or go elsewhere.
        if (epoch >= 0 && Date.now() - deps.store.signals.contactMs() <= silentAfterMs) {
          send({ type: 'heartbeat', epoch, at: Date.now(), narrowed: [] })
        }
      }, deps.config.revocationHeartbeatSeconds * 1000)
      let isOpen = true
      stop = () => {
        if (!isOpen) return
        isOpen = false
        listeners -= 1
        clearInterval(heartbeat)
        unsubscribe()
        try {
          controller.close()
        } catch {
          // The other side was faster; there is nothing left to close.
        }
      }
      request.signal.addEventListener('abort', stop, { once: true })
      deps.closing.addEventListener('abort', stop, { once: true })
      try {
        let message = await messageAfter(ctx, deps, after)
        send(message)
        while (message.type === 'narrowed' && message.narrowed.length > 0 && message.epoch < (await deps.store.signals.head(ctx))) {
          message = await messageAfter(ctx, deps, message.epoch)
          send(message)
        }
        forward(waiting)
        waiting = []
      } catch {
        stop()
      }
    },
    cancel: () => stop(),
  })
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  })
}

const maxUnreadMessages = 256
