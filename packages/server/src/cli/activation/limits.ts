// Limits on a command line, of grants and eligibilities alike: budgets as calls=3/10s, and how long a right may be open.
import { InvalidArgumentError } from 'commander'
import { lasting } from '../terminal/instants.ts'

export interface BudgetGiven {
  readonly unit: 'calls' | 'money' | 'rows' | 'bytes'
  readonly currency?: string
  readonly limit: number
  readonly window_seconds: number
}

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }
const longestWindow = 366 * 86_400
const longestOpen = 7 * 86_400

export function budgetsIn(text: string, before: readonly BudgetGiven[] = []): readonly BudgetGiven[] {
  const [, name = '', limit = '', length = '', unit = ''] =
    /^(calls|rows|bytes|[A-Z]{3})=(\d+)\/(\d+)([smhd])$/.exec(text) ?? []
  if (name === '') throw new InvalidArgumentError('must read calls=3/10s, rows=1000/1d or EUR=5000/30d.')
  const budget = { limit: Number(limit), window_seconds: Number(length) * (secondsOf[unit] ?? 0) }
  if (!Number.isSafeInteger(budget.limit) || budget.limit < 1)
    throw new InvalidArgumentError('must have a limit of at least 1, and of at most 15 digits.')
  if (budget.window_seconds < 1 || budget.window_seconds > longestWindow)
    throw new InvalidArgumentError('must have a window from 1s to 366d.')
  const isMoney = /^[A-Z]/.test(name)
  return [
    ...before,
    isMoney ? { unit: 'money', currency: name, ...budget } : { unit: name as BudgetGiven['unit'], ...budget },
  ]
}

interface BudgetShown {
  readonly unit: string
  readonly currency: string | null
  readonly limit: number
  readonly window_seconds: number
  readonly burst: number
  readonly left?: number | undefined
}

/** One line for each unit and currency, whatever number of windows it has. */
export function budgetLines(budgets: readonly BudgetShown[]): Readonly<Record<string, string>> {
  const byUnit = Map.groupBy(budgets, ({ unit, currency }) => currency ?? unit)
  return Object.fromEntries([...byUnit].map(([unit, some]) => [unit, some.map(windowOf).join('; ')]))
}

function windowOf({ limit, window_seconds, burst, left }: BudgetShown): string {
  const more = burst === 0 ? '' : ` and ${burst} more`
  return `${limit}${more} in ${window_seconds} s${left === undefined ? '' : `, ${left} left`}`
}

/** How long something may be open: a week at most, as the authority has it. */
export function openFor(text: string): number {
  const seconds = lasting(text)
  if (seconds > longestOpen) throw new InvalidArgumentError('must be at most 7d.')
  return seconds
}
