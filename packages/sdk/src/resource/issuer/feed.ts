// What a verifier knows of its issuer's feed of ends, and until when it knew everything. Pure: no clock, no network.
import type { StreamMessage } from '../../protocol/revocation.ts'
import { createHalts } from './halts.ts'
import { createNarrowings } from './narrowings.ts'

/**
 * What became of a message. `current`: it was believed, and knowledge was complete when it was made. `gap`: it was
 * believed, but something between is missing: ask for it. `refused`: it contradicts what is known; the peer that said
 * it is not to be followed.
 */
export type Verdict = 'current' | 'gap' | 'refused'

/** One source of messages, a stream connection or a single poll, as opened at one instant. */
export interface Source {
  accept(message: StreamMessage, steadyMs: number): Verdict
}

export interface Feed {
  generation(): number
  endedAt(digest: string): number | undefined
  /** Whether the subject of this digest is halted. */
  isHalted(digest: string): boolean
  /** The epoch up to which everything is known; undefined before the first complete contact. */
  epoch(): number | undefined
  /** The latest instant (steady milliseconds) at which knowledge is proven to have been complete. */
  contactAt(): number
  openStream(sentAtMs: number): Source
  openPoll(sentAtMs: number): Source
}

/** How many narrowings a verifier remembers before it says that it cannot know; about 200 bytes each. */
const capacity = 1_000_000

/** `rememberMs`: longer than any accepted token lives. */
export function createFeed(rememberMs: number): Feed {
  const narrowings = createNarrowings(rememberMs, capacity)
  const halts = createHalts()
  let known: number | undefined
  let contactAt = Number.NEGATIVE_INFINITY
  /** Local minus server milliseconds, at most the true offset: whoever answered did so after we had asked. */
  let offset = Number.NEGATIVE_INFINITY

  const learn = (message: StreamMessage, steadyMs: number): boolean => {
    if (!message.narrowed.every(([epoch]) => epoch <= message.epoch)) return false
    if (!narrowings.add(message.narrowed, steadyMs)) return false
    halts.learn(message.halted)
    known = Math.max(known ?? message.epoch, message.epoch)
    return true
  }

  // A message may have been held back on its way (a stalled proxy, a slow reader): what counts is when it was made,
  // which the server's clock tells once anchored to an answer of which we know when we asked for it.
  const credit = (message: StreamMessage, steadyMs: number): void => {
    contactAt = Math.max(contactAt, Math.min(steadyMs, message.at + offset))
  }

  const openStream = (sentAtMs: number): Source => {
    let floor = known ?? 0
    let complete = false
    return {
      accept(message, steadyMs) {
        // A node that has not caught up, or lies, says less than we know already: nothing it says counts as contact.
        if (message.epoch < floor) return 'refused'
        if (!complete && message.type !== 'snapshot') return 'refused'
        if (message.type === 'heartbeat' && message.epoch > floor && message.epoch > (known ?? 0))
          return 'gap'
        if (!learn(message, steadyMs)) return 'refused'
        if (!complete) offset = sentAtMs - message.at
        complete = true
        floor = message.epoch
        credit(message, steadyMs)
        return 'current'
      },
    }
  }

  const openPoll = (sentAtMs: number): Source => {
    const after = known
    return {
      accept(message, steadyMs) {
        // Only a snapshot completes somebody who knew nothing.
        if (after === undefined ? message.type !== 'snapshot' : message.epoch < after) return 'refused'
        if (!learn(message, steadyMs)) return 'refused'
        // News come in pages: only who hears that there is nothing more knows everything.
        if (message.type === 'narrowed') return 'gap'
        offset = sentAtMs - message.at
        credit(message, steadyMs)
        return 'current'
      },
    }
  }

  return {
    generation: narrowings.generation,
    endedAt: narrowings.endedAt,
    isHalted: halts.has,
    epoch: () => known,
    contactAt: () => contactAt,
    openStream,
    openPoll,
  }
}
