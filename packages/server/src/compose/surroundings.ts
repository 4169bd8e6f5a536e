// What the outside world is to a server: its clock, its randomness, its log.
import { randomBytes } from 'node:crypto'
import type { Config } from '../config.ts'
import type { Note } from '../context.ts'
import type { Observer } from '../http/app.ts'
import { createObserver } from '../observe.ts'
import type { Store } from '../store/store.ts'

/** A test hands in its own. */
export interface Surroundings {
  /** Epoch milliseconds. */
  readonly clockMs: () => number
  readonly randomBytes: (length: number) => Uint8Array
  readonly observer: Observer
  /** A line of a background loop. */
  readonly log: (level: 'info' | 'error', facts: Note, error?: unknown) => void
  /** Stands between the server and its store, as a test does that breaks calls in turn. */
  readonly wrapStore?: (store: Store) => Store
}

/** The surroundings of a real process: its clock, its randomness, its log on stderr. */
export function processSurroundings(config: Config): Surroundings & { flush(): void } {
  const observer = createObserver(config)
  return {
    clockMs: Date.now,
    randomBytes: pooledRandomBytes(),
    observer,
    log: observer.log,
    flush: observer.flush,
  }
}

/** The surroundings of a server inside another program: the real world, and no log. */
export const quietSurroundings: Surroundings = {
  clockMs: Date.now,
  randomBytes: pooledRandomBytes(),
  observer: { request: () => {}, bug: () => {} },
  log: () => {},
}

/** Strong randomness in small pieces from a larger reading: one call into the system for hundreds of identifiers. */
function pooledRandomBytes(): (length: number) => Uint8Array {
  let pool = Buffer.alloc(0)
  return length => {
    if (length > pool.length) pool = randomBytes(Math.max(4096, length))
    const piece = pool.subarray(0, length)
    pool = pool.subarray(length)
    return piece
  }
}
