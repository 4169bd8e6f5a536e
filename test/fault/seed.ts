// Randomness that can be repeated: WRIT_FAULT_SEED repeats a run, WRIT_FAULT_TRIALS makes a campaign of it.

export interface Seeded {
  readonly seed: number
  readonly trials: number
  /** From 0 to 1. */
  random(): number
}

export function seeded(usualTrials: number): Seeded {
  const given = Number(process.env['WRIT_FAULT_SEED'])
  const seed = Number.isSafeInteger(given) && given > 0 ? given : Math.floor(Math.random() * 2 ** 31) + 1
  const trials = Number(process.env['WRIT_FAULT_TRIALS']) || usualTrials
  let state = seed
  return {
    seed,
    trials,
    // Mulberry32: good enough to choose an instant, and the same everywhere.
    random() {
      state = (state + 0x6d2b79f5) | 0
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
    },
  }
}
