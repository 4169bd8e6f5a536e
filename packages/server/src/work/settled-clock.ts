// A reading of the clock for deleting: one that was set forwards is not believed until that has become old news.

/**
 * Turns a reading of the clock into the one to delete by, both in epoch seconds. A clock that is set forwards makes
 * replay marks and revocations look past their time, and what is deleted does not come back when the clock is set
 * right: then a proof could be shown again and a revoked token live. So a jump counts only once it is `windowSeconds`
 * old, when everything from before it has run out in truth. A clock set back counts at once.
 * `steadySeconds` never goes back and is never set.
 */
export function settledClock(steadySeconds: () => number, windowSeconds: number): (now: number) => number {
  let looks: { readonly at: number; readonly offset: number }[] = []
  return now => {
    const at = steadySeconds()
    const offset = now - at
    // Of the offsets in the window only those can ever be the smallest that nothing smaller has followed.
    looks = looks.filter(look => look.at > at - windowSeconds && look.offset < offset)
    looks.push({ at, offset })
    return Math.floor(at + (looks[0]?.offset ?? offset))
  }
}
