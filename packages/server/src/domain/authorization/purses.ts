// What budgets are known to have left while one request is decided: a commit said so, and the next attempt goes by it.

import type { Short } from '../change.ts'
import { budgetName, type Spend, spenderOf } from './budget.ts'

interface Purse {
  readonly left: number
  /** The first instant at which what was asked may fit; null where it never will. */
  readonly againAt: number | null
  /** How often it was found short. */
  readonly times: number
}

/** By `purseOf`; a budget that is not in it is judged at commit. */
export type Purses = Map<string, Purse>

/** Somebody else may spend between two attempts; after so many, nothing is tried any more. */
const mostTimes = 3

/**
 * How often one request is decided again because budgets had not enough: each time another grant may cover. After that it
 * is refused: whoever has many spent grants must not have a request of theirs decided for ever.
 */
export const mostShort = 32

/** One for all grants that spend the budget together: what one of them has found short is short for the others. */
export function purseOf({ grant, budget }: Spend): string {
  return `${spenderOf(grant, budget)} ${budgetName(budget)}`
}

/**
 * Takes the spends so many times from what is known to be left, all or nothing; answers the one that does not fit, or
 * undefined.
 */
export function takeFrom(purses: Purses, spends: readonly Spend[], times = 1): Spend | undefined {
  const leftOf = (spend: Spend): number => purses.get(purseOf(spend))?.left ?? Number.POSITIVE_INFINITY
  const short = spends.find(spend => leftOf(spend) < spend.amount * times)
  if (short !== undefined) return short
  for (const spend of spends) {
    const purse = purses.get(purseOf(spend))
    if (purse !== undefined) purses.set(purseOf(spend), { ...purse, left: purse.left - spend.amount * times })
  }
  return undefined
}

/** Notes what a commit of these spends said of each budget that has not enough. */
export function learn(purses: Purses, spends: readonly Spend[], short: readonly Short[]): void {
  for (const { at, leftover, againAt } of short) {
    const spend = spends[at]
    if (spend === undefined) continue
    const name = purseOf(spend)
    const times = (purses.get(name)?.times ?? 0) + 1
    // What the budget had before anything of this change was taken from it: the commit tells what was left at that spend.
    const taken = spends.slice(0, at).filter(one => purseOf(one) === name)
    const left = taken.reduce((sum, { amount }) => sum + amount, leftover)
    purses.set(name, { left: times < mostTimes ? left : 0, againAt, times })
  }
}
