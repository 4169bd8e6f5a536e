// Replay of DPoP proofs: the port that remembers which were shown, and the memory of one process. RFC 9449 §11.1.
import { Fault } from '../protocol/fault.ts'

export interface ReplayStore {
  /** What it promises, in words an operator can hold against their deployment: who shares it, what it survives. */
  readonly guarantee: string
  /**
   * True for exactly one of all callers that claim the same mark until `until` has passed, whatever the interleaving;
   * false for the others. `until` and `now` are epoch seconds by the caller's clock. Never answers true on doubt: a
   * store that is full or cannot be reached throws `temporarily_unavailable`.
   */
  claim(mark: string, until: number, now: number): boolean | Promise<boolean>
  close(): void
}

/** Marks of 66 seconds at 3,800 verified requests a second; about 60 MB when full. */
const standardCapacity = 250_000

/**
 * Remembers in this process alone, at most `capacity` marks. When all of them still matter, it refuses new ones:
 * forgetting one early would be a replay let through.
 */
export function memoryReplayStore(capacity = standardCapacity): ReplayStore {
  // In order of claiming, which is close to the order of expiry: what is due gathers at the front.
  const marks = new Map<string, number>()

  const forgetDue = (now: number): void => {
    for (const [mark, until] of marks) {
      if (until >= now) return
      marks.delete(mark)
    }
  }

  return {
    guarantee:
      'A proof is accepted once by this process. Other processes of the same resource do not know of it, and neither does this one after a restart.',
    claim(mark, until, now) {
      forgetDue(now)
      const known = marks.get(mark)
      if (known !== undefined && known >= now) return false
      if (known === undefined && marks.size >= capacity) throw full(capacity)
      marks.delete(mark)
      marks.set(mark, until)
      return true
    },
    close: () => marks.clear(),
  }
}

const full = (capacity: number): Fault =>
  new Fault('temporarily_unavailable', 'The resource cannot decide now; try again.', {
    kind: 'replay_memory_full',
    capacity,
  })
