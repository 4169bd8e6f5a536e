// Token buckets per caller and address: bounded memory, one clock, no timers.

interface Bucket {
  level: number
  atMs: number
}

export interface RateLimiter {
  /** Takes one from the bucket of this name; false when it is empty. */
  take(name: string, nowMs: number): boolean
}

/** Most buckets kept; beyond it the longest unused go, which can only be kinder to them. */
const maxBuckets = 100_000

/** `perSecond` on average, ten seconds' worth at once. */
export function rateLimiter(perSecond: number): RateLimiter {
  const burst = perSecond * 10
  const buckets = new Map<string, Bucket>()
  return {
    take(name, nowMs) {
      const bucket = buckets.get(name)
      if (bucket === undefined) {
        if (buckets.size >= maxBuckets) buckets.delete(buckets.keys().next().value as string)
        buckets.set(name, { level: burst - 1, atMs: nowMs })
        return true
      }
      // To the end of the order: who asks all the time must not get a full bucket back because others are many.
      buckets.delete(name)
      buckets.set(name, bucket)
      bucket.level = Math.min(burst, bucket.level + (Math.max(0, nowMs - bucket.atMs) * perSecond) / 1000)
      bucket.atMs = nowMs
      if (bucket.level < 1) return false
      bucket.level -= 1
      return true
    },
  }
}

export const unlimited: RateLimiter = { take: () => true }
