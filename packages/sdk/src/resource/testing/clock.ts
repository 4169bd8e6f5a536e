// A clock for tests: real time, which can be pushed forward at once.
import type { Clock } from '../clock.ts'

export interface MovableClock extends Clock {
  /** Lets time pass on both hands. */
  pass(seconds: number): void
}

export function movableClock(): MovableClock {
  let passed = 0
  return {
    wallMs: () => Date.now() + passed,
    steadyMs: () => performance.now() + passed,
    pass(seconds) {
      passed += seconds * 1000
    },
  }
}
