// Follows the issuer's revocation stream: pushed by server-sent events, with a poll behind it, and honest about doubt.
import { randomInt } from 'node:crypto'
import { readEvents } from '../../protocol/event-stream.ts'
import { parseMessage, type StreamMessage } from '../../protocol/revocation.ts'
import type { Clock } from '../clock.ts'
import { confirmTo } from './confirmation.ts'
import { mediaTypeOf, readBytes } from './document.ts'
import { createFeed, type Source, type Verdict } from './feed.ts'

/** Where the stream is and how it paces itself, from the issuer's discovery documents. */
export interface StreamPlace {
  readonly url: string
  /** Where to say what is enforced; undefined where the issuer does not ask. */
  readonly confirmUrl?: string | undefined
  readonly heartbeatMs: number
  readonly stalenessMs: number
}

export interface RevocationsOptions {
  /** Finds the stream; asked at the start and again after each failure, because an issuer may move it. */
  locate(signal: AbortSignal): Promise<StreamPlace>
  readonly fetch: typeof fetch
  readonly clock: Clock
  /** Longer than any accepted token lives. */
  readonly rememberMs: number
  /** What this process calls itself when it confirms what it enforces. */
  readonly label: string
  /** Called with each failure to follow, for the operator's log. */
  onTrouble(problem: unknown): void
}

export interface Revocations {
  /** See `Narrowings.generation`. */
  generation(): number
  /** The epoch from which the subject of this digest has ended, or undefined. */
  endedAt(digest: string): number | undefined
  /** Whether the subject of this digest is halted, until it is lifted. */
  isHalted(digest: string): boolean
  /** Whether everything that ended up to the staleness bound ago is known. False: deny. */
  isCurrent(): boolean
  /** Calls back after something ended. Returns how to stop that. */
  onMove(listener: () => void): () => void
  /** Stops following; from then on nothing is current. */
  close(): void
}

/** A snapshot of a million narrowings fits; a peer that sends more is not believed. */
const maxMessageBytes = 64 * 1024 * 1024
const slowestRetryMs = 5000
/** Pages of news that one poll asks for in a row. */
const maxPages = 50

/** Starts to follow at once. Timers are unreferenced; the open stream is what keeps a process alive until `close`. */
export function followRevocations(options: RevocationsOptions): Revocations {
  const { clock } = options
  const feed = createFeed(options.rememberMs)
  const closing = new AbortController()
  const confirmation = confirmTo({
    fetch: options.fetch,
    clock,
    label: options.label,
    signal: closing.signal,
  })
  const listeners = new Set<() => void>()
  let place: StreamPlace | undefined
  let stream: { readonly stop: AbortController; heardAt: number; delivered: boolean } | undefined
  let polledAt = Number.NEGATIVE_INFINITY
  let polling = false
  let wake = (): void => undefined

  const take = (source: Source, message: StreamMessage | undefined): Verdict => {
    if (message === undefined) throw new Error('the revocation stream sent what is not a message')
    const before = feed.generation()
    const verdict = source.accept(message, clock.steadyMs())
    if (verdict === 'refused')
      throw new Error(`the revocation stream contradicts itself at epoch ${message.epoch}`)
    if (feed.generation() !== before) for (const listener of listeners) listener()
    // Only what is known without a gap is enforced.
    const known = feed.epoch()
    if (verdict === 'current' && known !== undefined) confirmation.reached(known)
    return verdict
  }

  const poll = async (at: StreamPlace): Promise<void> => {
    if (polling || closing.signal.aborted) return
    polling = true
    try {
      for (let pages = 0; pages < maxPages && (await pollOnce(at)) === 'gap'; pages += 1);
    } catch (problem) {
      if (!closing.signal.aborted) options.onTrouble(problem)
    } finally {
      polling = false
    }
  }

  const pollOnce = async ({ url, heartbeatMs }: StreamPlace): Promise<Verdict> => {
    polledAt = clock.steadyMs()
    const source = feed.openPoll(polledAt)
    const target = new URL(url)
    const epoch = feed.epoch()
    if (epoch !== undefined) target.searchParams.set('after', String(epoch))
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(2 * heartbeatMs)])
    const response = await request(target.href, 'application/json', signal)
    const bytes = await readBytes(response, maxMessageBytes)
    return take(source, parseMessage(JSON.parse(bytes.toString())))
  }

  const request = async (url: string, accept: string, signal: AbortSignal): Promise<Response> => {
    const response = await options.fetch(url, { headers: { accept }, redirect: 'error', signal })
    const type = mediaTypeOf(response.headers)
    if (response.status === 200 && type === accept) return response
    await response.body?.cancel()
    throw new Error(`the revocation stream answered ${response.status} as ${type ?? 'nothing'}`)
  }

  const listen = async (at: StreamPlace): Promise<void> => {
    const sentAt = clock.steadyMs()
    const connection = { stop: new AbortController(), heardAt: sentAt, delivered: false }
    stream = connection
    const signal = AbortSignal.any([closing.signal, connection.stop.signal])
    const source = feed.openStream(sentAt)
    const response = await request(at.url, 'text/event-stream', signal)
    if (response.body === null) throw new Error('the revocation stream has no body')
    for await (const data of readEvents(response.body, maxMessageBytes)) {
      const message = parseMessage(JSON.parse(data))
      const verdict = take(source, message)
      if (message?.point !== undefined) confirmation.connected(message.point, at.confirmUrl)
      connection.heardAt = clock.steadyMs()
      connection.delivered = true
      if (verdict === 'gap') void poll(at)
    }
    throw new Error('the revocation stream ended')
  }

  // A dead peer leaves the socket open and says nothing: two missed heartbeats count as an end (and half of one for
  // the way). The poll goes on behind a lost stream, and beside one whose messages arrive late.
  const watch = (): void => {
    if (place === undefined) return
    const now = clock.steadyMs()
    if (stream !== undefined && now - stream.heardAt > 2.5 * place.heartbeatMs) {
      stream.stop.abort(new Error('the revocation stream fell silent'))
    }
    // Where heartbeats are rare and patience is short, the poll must not wait for the former.
    const patienceMs = place.stalenessMs / 2
    const isLate = now - feed.contactAt() > Math.min(1.5 * place.heartbeatMs, patienceMs)
    if (isLate && now - polledAt > Math.min(place.heartbeatMs, patienceMs)) void poll(place)
  }

  const run = async (): Promise<void> => {
    for (let failures = 0; !closing.signal.aborted; failures += 1) {
      try {
        place = await options.locate(closing.signal)
        await listen(place)
      } catch (problem) {
        if (closing.signal.aborted) return
        options.onTrouble(stream?.stop.signal.aborted ? stream.stop.signal.reason : problem)
      }
      if (stream?.delivered) failures = 0
      stream = undefined
      if (place !== undefined) void poll(place)
      // Jitter keeps a fleet of verifiers from returning in one instant to the issuer that lost them all.
      const most = Math.min(slowestRetryMs, 200 * 2 ** Math.min(failures, 8))
      await new Promise<void>(resolve => {
        wake = resolve
        setTimeout(resolve, randomInt(Math.ceil(most / 4), most + 1)).unref()
      })
    }
  }

  const ticks = setInterval(watch, 250).unref()
  void run()

  return {
    generation: feed.generation,
    endedAt: feed.endedAt,
    isHalted: feed.isHalted,
    isCurrent: () =>
      place !== undefined &&
      !closing.signal.aborted &&
      clock.steadyMs() - feed.contactAt() <= place.stalenessMs,
    onMove(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close() {
      closing.abort()
      clearInterval(ticks)
      listeners.clear()
      wake()
    },
  }
}
