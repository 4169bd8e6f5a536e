// What has ended and can still matter to a token that lives: an issuer's narrowings in bounded memory.
import type { Narrowing } from '../../protocol/revocation.ts'

export interface Narrowings {
  /**
   * Moves whenever something was added. What was found clean at one generation is clean while it lasts, so that a
   * token is looked up again only after something ended.
   */
  generation(): number
  /** The epoch from which the subject of this digest has ended, or undefined. */
  endedAt(digest: string): number | undefined
  /** Adds; what is known stays known (monotone death). False when the memory is full: then nobody may be believed. */
  add(items: readonly Narrowing[], steadyMs: number): boolean
  /** How many are remembered, counting one twice that was renewed. */
  size(): number
}

/**
 * Remembers each narrowing for at least `rememberMs` and at most twice as long: two maps that take turns, so that
 * forgetting costs nothing. `rememberMs` has to exceed the life of the longest token accepted.
 */
export function createNarrowings(rememberMs: number, capacity: number): Narrowings {
  let current = new Map<string, number>()
  let previous = new Map<string, number>()
  let turnedAt = Number.NEGATIVE_INFINITY
  let generation = 0

  const turn = (steadyMs: number): void => {
    if (turnedAt === Number.NEGATIVE_INFINITY) turnedAt = steadyMs
    const elapsed = steadyMs - turnedAt
    if (elapsed < rememberMs) return
    previous = elapsed < 2 * rememberMs ? current : new Map()
    current = new Map()
    turnedAt = steadyMs
  }

  const endedAt = (digest: string): number | undefined => {
    const newer = current.get(digest)
    const older = previous.get(digest)
    if (newer === undefined) return older
    return older === undefined ? newer : Math.max(newer, older)
  }

  return {
    generation: () => generation,
    endedAt,
    size: () => current.size + previous.size,
    add(items, steadyMs) {
      turn(steadyMs)
      let moved = false
      for (const [epoch, digest] of items) {
        const known = endedAt(digest)
        if (known === undefined || known < epoch) moved = true
        current.set(digest, Math.max(epoch, known ?? epoch))
      }
      if (moved) generation += 1
      return current.size + previous.size <= capacity
    },
  }
}
