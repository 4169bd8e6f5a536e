// One step of a history, and how it picks what it is about.
import type fc from 'fast-check'
import type { Model } from './model.ts'
import type { Real } from './real.ts'

export type Command = fc.AsyncCommand<Model, Real>

/** A command that is always possible; what it picks from is picked by number, so that it shrinks. */
export const command = (says: string, run: (model: Model, real: Real) => Promise<void>): Command => ({
  check: () => true,
  run,
  toString: () => says,
})

/** The element of that number, counted round. */
export const pick = <T>(from: readonly T[], at: number): T => from[at % from.length] as T
