// What each step holds the parts to: an expectation that is not met ends the demo and says what was seen instead.
import { setTimeout as pause } from 'node:timers/promises'
import { inspect, isDeepStrictEqual } from 'node:util'
import { type Code, type Fault, isFault } from '@writ/sdk/protocol/fault'

export class Unmet extends Error {
  constructor(what: string, expected: string, observed: string) {
    super(`${what}\n     expected  ${expected}\n     observed  ${observed}`)
  }
}

const shown = (value: unknown): string => inspect(value, { breakLength: 60, depth: 4 })

export function expectEqual(what: string, observed: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(observed, expected)) throw new Unmet(what, shown(expected), shown(observed))
}

export function expectTrue(what: string, holds: boolean, observed: unknown): asserts holds {
  if (!holds) throw new Unmet(what, 'that this holds', shown(observed))
}

/** Waits for a refusal by the SDK with this code, and returns it. */
export async function expectFault(what: string, code: Code, work: Promise<unknown>): Promise<Fault> {
  const outcome = await work.then(
    () => 'no refusal',
    (error: unknown) => error,
  )
  if (outcome instanceof Error && isFault(outcome) && outcome.code === code) return outcome
  throw new Unmet(what, `the refusal ${code}`, shown(outcome))
}

/** Looks again and again until there is something to see. */
export async function eventually<T>(
  what: string,
  withinSeconds: number,
  look: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = performance.now() + withinSeconds * 1000
  for (;;) {
    const seen = await look()
    if (seen !== undefined) return seen
    if (performance.now() > deadline)
      throw new Unmet(what, `within ${withinSeconds} s`, 'nothing of the kind')
    await pause(50)
  }
}
