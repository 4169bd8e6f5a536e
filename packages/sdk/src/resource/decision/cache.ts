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
  readonly value: V
  /** The generation of ends at which it was last found good. */
  cleanAt: number
}

export interface AnswerCache<V> {
  /** The value, if nothing it rests on has ended; costs one comparison where nothing ended at all. */
  get(key: string): V | undefined
  keep(key: string, keepable: Keepable, value: V): void
}

export interface AnswerCacheOptions {
  readonly limit: number
  readonly ends: Pick<Revocations, 'generation' | 'endedAt'>
  /** Epoch seconds, fractions included: an answer is over at its very end. */
  now(): number
  /** Longest life of an answer that has no end of its own. */
  readonly longestSeconds: number
}

export function answerCache<V>({ limit, ends, now, longestSeconds }: AnswerCacheOptions): AnswerCache<V> {
  const kept: BoundedCache<Kept<V>> = boundedCache(limit)

  const isGood = (entry: Kept<V>): boolean => {
    if (entry.until !== null && now() >= entry.until) return false
    const generation = ends.generation()
    if (entry.cleanAt === generation) return true
    for (const digest of entry.subjects) {
      const endedAt = ends.endedAt(digest)
      if (endedAt !== undefined && entry.epoch < endedAt) return false
    }
    entry.cleanAt = generation
    return true
  }

  return {
    get(key) {
      const entry = kept.get(key)
      if (entry === undefined) return undefined
      if (isGood(entry)) return entry.value
      kept.delete(key)
      return undefined
    },
    keep(key, { until, epoch, subjects }, value) {
      const latest = now() + longestSeconds
      const entry = {
        until: until === null ? latest : Math.min(until, latest),
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
