// Time as a verifier reads it: a wall clock for what tokens say, a steady one for how long something took.

export interface Clock {
  /** Wall time in epoch milliseconds: what `exp` and `iat` are held against. */
  wallMs(): number
  /** Steady time in milliseconds from an arbitrary origin: never set back, whatever happens to the wall clock. */
  steadyMs(): number
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  steadyMs: () => performance.now(),
}
