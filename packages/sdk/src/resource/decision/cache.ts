// Answers that may be given again: permissions only, keyed by every input, until they may change or anything they rest on ends.
import { type BoundedCache, boundedCache } from '../../protocol/bounded-cache.ts'
import type { Revocations } from '../issuer/revocations.ts'

/** As the decision point marks an answer that may be kept. */
export interface Keepable {
  /** Epoch seconds from which on it may be another without a signal; null where nothing ends. */
  readonly until: number | null
  readonly epoch: number
  /** Digests of everything that it rests on, as the revocation stream names them. */
  readonly subjects: readonly string[]
}

interface Kept<V> extends Keepable {
  /** The same end on the clock that nobody sets. */
  readonly steadyUntil: number
  readonly value: V
  /** The generation of ends at which it was last found good. */
  cleanAt: number
}

export interface AnswerCache<V> {
  /** The value, if nothing it rests on has ended; costs one comparison where nothing ended at all. */
  get(key: string): V | undefined
  keep(key: string, keepable: Keepable, value: V): void
  /** Whether something that it rests on has ended since. */
  isEnded(keepable: Keepable): boolean
}

export interface AnswerCacheOptions {
  readonly limit: number
  readonly ends: Pick<Revocations, 'generation' | 'endedAt'>
  /** Epoch seconds, fractions included: an answer is over at its very end. */
  now(): number
  /** Seconds that only ever grow: a wall clock that is set back prolongs no permission. */
  steadyNow(): number
  /** Longest life of an answer that has no end of its own. */
  readonly longestSeconds: number
}

export function answerCache<V>(options: AnswerCacheOptions): AnswerCache<V> {
  const { limit, ends, now, steadyNow, longestSeconds } = options
  const kept: BoundedCache<Kept<V>> = boundedCache(limit)

  const isEnded = ({ subjects, epoch }: Keepable): boolean =>
    subjects.some(digest => {
      const endedAt = ends.endedAt(digest)
      return endedAt !== undefined && epoch < endedAt
    })

  const isGood = (entry: Kept<V>): boolean => {
    if ((entry.until !== null && now() >= entry.until) || steadyNow() >= entry.steadyUntil) return false
    const generation = ends.generation()
    if (entry.cleanAt === generation) return true
    if (isEnded(entry)) return false
    entry.cleanAt = generation
    return true
  }

  return {
    isEnded,
    get(key) {
      const entry = kept.get(key)
      if (entry === undefined) return undefined
      if (isGood(entry)) return entry.value
      kept.delete(key)
      return undefined
    },
    keep(key, { until, epoch, subjects }, value) {
      const keptAt = now()
      const end = Math.min(until ?? Number.POSITIVE_INFINITY, keptAt + longestSeconds)
      const entry = {
        until: end,
        steadyUntil: steadyNow() + (end - keptAt),
        epoch,
        subjects,
        value,
        cleanAt: -1,
      }
      // What ended while the answer was on its way ended it too.
      if (isGood(entry)) kept.set(key, entry)
    },
  }
}
