// How an instance hears at once that the authority asks it to rotate its key: the revocation stream, followed quietly.
import { randomInt } from 'node:crypto'
import { type ClientRequest, get as getClear } from 'node:http'
import { get as getSecure } from 'node:https'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { readEvents } from '../protocol/event-stream.ts'
import { isFault } from '../protocol/fault.ts'
import { parseMessage, subjectDigest } from '../protocol/revocation.ts'
import type { Discovery } from './discovery.ts'

export interface AskListener {
  close(): void
}

/** Longer than a snapshot of every end that can still matter. */
const maxEventChars = 64 * 1024 * 1024
const firstPauseMs = 1_000
const longestPauseMs = 60_000
/** A stream that says nothing for so long, at a heartbeat of at most five seconds, is dead. */
const silentMs = 20_000

/**
 * Follows the issuer's stream and calls back when this instance is asked, with the seconds over which all that are
 * asked spread. An ask that is missed arrives with the next token, so every trouble here is only worth a new attempt.
 * Keeps no process alive.
 */
export function listenForAsks(
  discovery: Discovery,
  instance: string,
  onAsked: (withinSeconds: number) => void,
): AskListener {
  const digest = subjectDigest(`rotate:${instance}`)
  const closing = new AbortController()
  void follow()
  return { close: () => closing.abort() }

  async function follow(): Promise<void> {
    for (let pauseMs = firstPauseMs; !closing.signal.aborted; ) {
      const startedMs = performance.now()
      await once().catch(ignoreOutage)
      if (performance.now() - startedMs > longestPauseMs) pauseMs = firstPauseMs
      // Not all at once after an outage of the issuer.
      const waitMs = pauseMs / 2 + randomInt(Math.ceil(pauseMs / 2))
      await pause(waitMs, undefined, { ref: false, signal: closing.signal }).catch(ignoreOutage)
      pauseMs = Math.min(pauseMs * 2, longestPauseMs)
    }
  }

  async function once(): Promise<void> {
    const url = await discovery.endpoint('revocation_stream')
    for await (const data of readEvents(await openStream(url, closing.signal), maxEventChars)) {
      const message = parseMessage(JSON.parse(data))
      if (message?.asked?.some(([, asked]) => asked === digest)) onAsked(message.within ?? 0)
    }
  }
}

/** What an issuer that is away, or answers nonsense, makes of a stream. Anything else is a mistake of ours. */
function ignoreOutage(error: unknown): void {
  const isTheirs = isFault(error) || error instanceof SyntaxError || error instanceof RangeError
  const isBroken = error instanceof Error && ('code' in error || error.name === 'AbortError')
  if (!isTheirs && !isBroken && !(error instanceof TypeError)) throw error
}

/** With `node:http`, whose sockets can be told not to keep the process alive; those of `fetch` cannot. */
function openStream(url: string, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const get = url.startsWith('https:') ? getSecure : getClear
  return new Promise((resolve, reject) => {
    const options = { agent: false, headers: { accept: 'text/event-stream' }, signal } as const
    const request: ClientRequest = get(url, options, response => {
      if (response.statusCode === 200) {
        resolve(Readable.toWeb(response) as ReadableStream<Uint8Array>)
        return
      }
      response.resume()
      reject(Object.assign(new Error(`the stream answered ${response.statusCode}`), { code: 'STATUS' }))
    })
    request.on('socket', (socket: Socket) => socket.unref())
    request.setTimeout(silentMs, () => {
      request.destroy(Object.assign(new Error('the stream fell silent'), { code: 'SILENT' }))
    })
    request.on('error', reject)
  })
}
