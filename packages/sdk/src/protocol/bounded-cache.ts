// A map that forgets: for results that can be computed again, keyed by what callers send, so that it must be bounded.

export interface BoundedCache<V> {
  get(key: string): V | undefined
  set(key: string, value: V): void
  delete(key: string): void
}

/**
 * Holds at most `limit` values. Two generations: what was used since the last turn is kept, the rest is dropped whole,
 * so that a lookup costs one map access and a flood of new keys costs nothing extra.
 */
export function boundedCache<V>(limit: number): BoundedCache<V> {
  if (!Number.isInteger(limit) || limit < 2) throw new RangeError('a cache holds at least 2 values')
  const half = Math.floor(limit / 2)
  let young = new Map<string, V>()
  let old = new Map<string, V>()

  const put = (key: string, value: V): void => {
    if (young.size >= half && !young.has(key)) {
      old = young
      young = new Map()
    }
    young.set(key, value)
  }

  return {
    get(key) {
      const found = young.get(key)
      if (found !== undefined) return found
      const kept = old.get(key)
      if (kept !== undefined) put(key, kept)
      return kept
    },
    set: put,
    delete(key) {
      young.delete(key)
      old.delete(key)
    },
  }
}
