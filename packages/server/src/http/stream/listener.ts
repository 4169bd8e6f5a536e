// One listener of the revocation stream: caught up first, then fed as commits happen, cut off when it does not read.
import {
  formatEvent,
  type Halted,
  type Narrowing,
  type StreamMessage,
  subjectDigest,
  type WrittenMessage,
  withPoint,
  writeMessage,
} from '@writ/sdk/protocol/revocation'
import { isAboutHalts } from '../../admin/enforcement/halted-tools.ts'
import { networkOf } from '../../audit/network.ts'
import type { Ctx } from '../../context.ts'
import type { SignalAt } from '../../store/store.ts'
import type { FaceDeps } from '../route.ts'
import type { Audience } from './audience.ts'
import type { Points } from './enforcement-points.ts'

/** After this long without contact to its store a node does not call itself a live source. */
const silentAfterMs = 1500
/** A listener that is behind by more messages than this is cut off; it comes back and catches up. */
const maxUnreadMessages = 256

/** Whether this node knows what its store knows. */
export function isInContact(deps: FaceDeps): boolean {
  return Date.now() - deps.store.signals.contactMs() <= silentAfterMs
}

/** What a listener is told of signals: what ended, and which instances are asked to rotate their keys. */
export function newsOf(
  signals: readonly SignalAt[],
  withinSeconds: number,
): Pick<StreamMessage, 'narrowed' | 'asked' | 'within'> {
  const asked = signals
    .filter(({ kind, subject }) => kind === 'changed' && subject.startsWith('rotate:'))
    .map(({ epoch, subject }): Narrowing => [epoch, subjectDigest(subject)])
  const narrowed = narrowingsOf(signals)
  return asked.length === 0 ? { narrowed } : { narrowed, asked, within: withinSeconds }
}

function narrowingsOf(signals: readonly SignalAt[]): readonly Narrowing[] {
  return signals
    .filter(({ kind }) => kind === 'narrowed')
    .map(({ epoch, subject }) => [epoch, subjectDigest(subject)])
}

export interface Listening {
  readonly request: Request
  /** The epoch up to which the listener says it is complete. */
  readonly after: number | undefined
  readonly points: Points
  catchUp(after: number | undefined): Promise<WrittenMessage>
  /** The tools that are halted at this epoch or a later one. */
  halted(epoch: number): Promise<Halted>
}

const headers = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
}

/** The answer that never ends by itself. Throws what `join` throws. */
export function openStream(ctx: Ctx, deps: FaceDeps, audience: Audience, listening: Listening): Response {
  const { request } = listening
  // RFC 9110 §9.3.2: the headers alone. Nobody would read a body, and nobody would ever end it.
  if (request.method === 'HEAD') return new Response(null, { headers })
  const endings: (() => void)[] = []
  const end = (): void => {
    for (const ending of endings.splice(0)) ending()
  }
  endings.push(audience.join(networkOf(ctx.peer), end))
  const point = listening.points.open(ctx, deps)
  endings.push(point.close)
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      endings.push(() => closeQuietly(controller))
      const { contactMs } = deps.store.signals
      const { rotationSpreadSeconds: within } = deps.config
      const feed = feedOf(controller, end, { contactMs, within, halted: listening.halted })
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
      request.signal.addEventListener('abort', end, { once: true })
      endings.push(() => request.signal.removeEventListener('abort', end))
      if (request.signal.aborted) return end()
      // What fails before the listener is complete leaves it unserved: it hears the end and asks again.
      catchUp(listening, deps.store.signals.head(ctx), { feed, point: point.name }).catch(end)
    },
    cancel: end,
  })
  return new Response(body, { headers })
}

interface Feed {
  /** Sends a message of the catching up. */
  send(message: WrittenMessage): void
  /** From here on what was offered meanwhile, and everything new, is sent. */
  goLive(): void
  offer(signals: readonly SignalAt[]): void
  beat(): void
}

/** The newest batch as a message: the same one for every listener who is up to date, so it is made once. */
let newest: {
  readonly signals: readonly SignalAt[]
  readonly message: StreamMessage
  readonly bytes: Uint8Array
}

/** What was found of the newest batch: thousands of listeners are offered the same one. */
let looked: { readonly signals: readonly SignalAt[]; readonly isChanged: boolean } | undefined

function changesHalts(signals: readonly SignalAt[]): boolean {
  if (looked?.signals !== signals) looked = { signals, isChanged: isAboutHalts(signals) }
  return looked.isChanged
}

const encoder = new TextEncoder()

const encoded = (message: WrittenMessage): Uint8Array => encoder.encode(formatEvent(message))

function prepared(
  signals: readonly SignalAt[],
  at: number,
  { within, halted }: { readonly within: number; readonly halted: Halted | undefined },
): typeof newest {
  if (newest?.signals === signals) return newest
  const epoch = signals.at(-1)?.epoch ?? -1
  const told = halted === undefined ? {} : { halted }
  const message = { type: 'narrowed', epoch, at, ...newsOf(signals, within), ...told } as const
  newest = { signals, message, bytes: encoded(writeMessage(message)) }
  return newest
}

interface Sources extends Pick<Listening, 'halted'> {
  readonly contactMs: () => number
  readonly within: number
}

/**
 * `contactMs`: until when this node knew everything. That is the instant of each message, and not the one at which it
 * is sent: else a listener would trust a node that was cut off for as long again as that node took to notice.
 */
function feedOf(
  controller: ReadableStreamDefaultController<Uint8Array>,
  end: () => void,
  { contactMs, within, halted }: Sources,
): Feed {
  let epoch = -1
  // Whether the listener has yet to hear that it is complete up to `epoch`.
  let isOwed = false
  let waiting: SignalAt[] | undefined = []
  const write = (upTo: number, bytes: Uint8Array): void => {
    epoch = upTo
    if ((controller.desiredSize ?? 0) < -maxUnreadMessages) end()
    else controller.enqueue(bytes)
  }
  const send = (message: WrittenMessage): void => write(message.epoch, encoded(message))
  const forward = (signals: readonly SignalAt[]): void => {
    const isAllNew = (signals[0]?.epoch ?? epoch) > epoch
    const news = isAllNew ? signals : signals.filter(signal => signal.epoch > epoch)
    if (news.length === 0) return
    if (changesHalts(news)) readFirst(news)
    else tell(news, undefined)
  }
  // Everything after it waits meanwhile: a listener that hears of an epoch confirms that it enforces what was halted.
  const readFirst = (news: readonly SignalAt[]): void => {
    waiting = []
    halted(news.at(-1)?.epoch ?? epoch)
      .then(standing => {
        tell(news, standing)
        goLive()
      })
      .catch(end)
  }
  const tell = (news: readonly SignalAt[], standing: Halted | undefined): void => {
    const { message, bytes } = prepared(news, contactMs(), { within, halted: standing })
    // Most commits are no news here. One message for all since the last beat: else each of them would cost a write to
    // each listener, and ten thousand instances that rotate would be heard of by everybody.
    isOwed = message.narrowed.length === 0 && message.asked === undefined && standing === undefined
    if (isOwed) epoch = message.epoch
    else write(message.epoch, bytes)
  }
  const goLive = (): void => {
    const held = waiting ?? []
    waiting = undefined
    forward(held)
  }
  return {
    send,
    goLive,
    offer(signals) {
      if (waiting === undefined) forward(signals)
      else waiting.push(...signals)
    },
    beat() {
      if (waiting !== undefined) return
      // A heartbeat at an epoch that the listener has not heard of would say that it has missed something.
      const type = isOwed ? 'narrowed' : 'heartbeat'
      isOwed = false
      send(writeMessage({ type, epoch, at: contactMs(), narrowed: [] }))
    },
  }
}

/** Message by message until the listener has reached the head that stood when it came. */
async function catchUp(
  listening: Listening,
  standing: Promise<number>,
  { feed, point }: { readonly feed: Feed; readonly point: string },
): Promise<void> {
  const head = await standing
  let { after } = listening
  let isFirst = true
  do {
    const message = await listening.catchUp(after)
    feed.send(isFirst ? withPoint(message, point) : message)
    isFirst = false
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
