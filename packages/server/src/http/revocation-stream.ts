// One listener of the revocation stream: caught up first, then fed as commits happen, cut off when it does not read.
import { Fault } from '@writ/sdk/protocol/fault'
import { formatEvent, type Narrowing, type StreamMessage, subjectDigest } from '@writ/sdk/protocol/revocation'
import type { Ctx } from '../context.ts'
import type { SignalAt } from '../store/store.ts'
import type { FaceDeps } from './route.ts'

/** After this long without contact to its store a node does not call itself a live source. */
const silentAfterMs = 1500
/** Most listeners of one node; each costs a socket. */
const maxListeners = 4096
/** A listener that is behind by more messages than this is cut off; it comes back and catches up. */
const maxUnreadMessages = 256

/** Whether this node knows what its store knows. */
export function isInContact(deps: FaceDeps): boolean {
  return Date.now() - deps.store.signals.contactMs() <= silentAfterMs
}

export function narrowingsOf(signals: readonly SignalAt[]): readonly Narrowing[] {
  return signals
    .filter(({ kind }) => kind === 'narrowed')
    .map(({ epoch, subject }) => [epoch, subjectDigest(subject)])
}

export interface Listening {
  readonly request: Request
  /** The epoch up to which the listener says it is complete. */
  readonly after: number | undefined
  catchUp(after: number | undefined): Promise<StreamMessage>
}

let listeners = 0

/** The answer that never ends by itself. Throws `temporarily_unavailable` when the node has too many listeners. */
export function openStream(ctx: Ctx, deps: FaceDeps, listening: Listening): Response {
  if (listeners >= maxListeners) {
    throw new Fault('temporarily_unavailable', 'Too many listeners; ask another node.', { kind: 'listeners' })
  }
  listeners += 1
  const leave = (): void => {
    listeners -= 1
  }
  const endings: (() => void)[] = [leave]
  const end = (): void => {
    for (const ending of endings.splice(0)) ending()
  }
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      endings.push(() => closeQuietly(controller))
      const feed = feedOf(controller, end)
      endings.push(
        deps.store.signals.subscribe((tenant, signals) => {
          if (tenant === ctx.tenant) feed.offer(signals)
        }),
      )
      const heartbeat = setInterval(
        // Silence is the honest message of a node that does not know: its listeners then deny or go elsewhere.
        () => isInContact(deps) && feed.beat(),
        deps.config.revocationHeartbeatSeconds * 1000,
      )
      endings.push(() => clearInterval(heartbeat))
      for (const signal of [listening.request.signal, deps.closing]) {
        signal.addEventListener('abort', end, { once: true })
        endings.push(() => signal.removeEventListener('abort', end))
      }
      // What fails before the listener is complete leaves it unserved: it hears the end and asks again.
      catchUp(listening, deps.store.signals.head(ctx), feed).catch(end)
    },
    cancel: end,
  })
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' },
  })
}

interface Feed {
  /** Sends a message of the catching up. */
  send(message: StreamMessage): void
  /** From here on what was offered meanwhile, and everything new, is sent. */
  goLive(): void
  offer(signals: readonly SignalAt[]): void
  beat(): void
}

function feedOf(controller: ReadableStreamDefaultController<Uint8Array>, end: () => void): Feed {
  const encoder = new TextEncoder()
  let epoch = -1
  let waiting: SignalAt[] | undefined = []
  const send = (message: StreamMessage): void => {
    epoch = message.epoch
    if ((controller.desiredSize ?? 0) < -maxUnreadMessages) end()
    else controller.enqueue(encoder.encode(formatEvent(message)))
  }
  const forward = (signals: readonly SignalAt[]): void => {
    const news = signals.filter(signal => signal.epoch > epoch)
    const last = news.at(-1)
    if (last === undefined) return
    send({ type: 'narrowed', epoch: last.epoch, at: Date.now(), narrowed: narrowingsOf(news) })
  }
  return {
    send,
    goLive() {
      const held = waiting ?? []
      waiting = undefined
      forward(held)
    },
    offer(signals) {
      if (waiting === undefined) forward(signals)
      else waiting.push(...signals)
    },
    beat() {
      if (waiting === undefined) send({ type: 'heartbeat', epoch, at: Date.now(), narrowed: [] })
    },
  }
}

/** Message by message until the listener has reached the head that stood when it came. */
async function catchUp(listening: Listening, standing: Promise<number>, feed: Feed): Promise<void> {
  const head = await standing
  let { after } = listening
  do {
    const message = await listening.catchUp(after)
    feed.send(message)
    after = message.epoch
  } while (after < head)
  feed.goLive()
}

function closeQuietly(controller: ReadableStreamDefaultController<Uint8Array>): void {
  try {
    controller.close()
  } catch (error) {
    // The other side was faster, and there is nothing left to close.
    if (!(error instanceof TypeError)) throw error
  }
}
