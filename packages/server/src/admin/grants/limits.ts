// What limits a grant beyond its scopes: budgets and a condition, as the API takes and shows them. Strict: nothing is stored that nobody keeps.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import { type Budget, budgetName } from '../../domain/authorization/budget.ts'
import { checkCondition, unknownInCondition } from '../../domain/authorization/policy/check.ts'
import type { Grant } from '../../domain/grant.ts'
import type { Resource } from '../../domain/resource.ts'
import { access } from '../access.ts'

const mostBudgets = 8
const longestWindow = 366 * 86_400

const budgetGiven = z
  .strictObject({
    unit: z.enum(['calls', 'money', 'rows', 'bytes']),
    currency: z
      .string()
      .regex(/^[A-Z]{3}$/, 'is not a currency of ISO 4217')
      .optional()
      .meta({ description: 'Of money, whose amounts are whole numbers of its smallest unit' }),
    limit: z.int().min(1),
    window_seconds: z.int().min(1).max(longestWindow),
    burst: z
      .int()
      .min(0)
      .optional()
      .meta({ description: 'How much more one window may hold; 0 unless told' }),
  })
  .superRefine((budget, context) => {
    if ((budget.unit === 'money') === (budget.currency !== undefined)) return
    context.addIssue({ code: 'custom', message: 'needs a currency for money, and for nothing else' })
  })
  .meta({ id: 'Budget' })

export const budgetsGiven = z
  .array(budgetGiven)
  .max(mostBudgets)
  .superRefine((budgets, context) => {
    if (new Set(budgets.map(budget => budgetName(budgetOf(budget)))).size === budgets.length) return
    context.addIssue({ code: 'custom', message: 'has two budgets of one unit and window' })
  })

type Given = z.output<typeof budgetGiven>

function budgetOf({ unit, currency = undefined, limit, window_seconds, burst = 0 }: Given): Budget {
  return { unit, currency: currency ?? null, limit, windowSeconds: window_seconds, burst }
}

export const budgetsOf = (given: readonly Given[] | undefined): readonly Budget[] =>
  (given ?? []).map(budgetOf)

export const conditionGiven = z
  .string()
  .min(1)
  .max(4096)
  .superRefine((text, context) => {
    const problem = checkCondition(text)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
  })
  .meta({ description: 'A Cedar condition that must hold at each call' })

/** Throws `invalid_value` for a condition about actions that the resource does not have. */
export function mustNameActions({ scopes, actions }: Resource, condition: string | null | undefined): void {
  // Operations of the management API are no scopes of it, and may be named wherever a condition is.
  const known = [
    ...Object.keys(access),
    ...scopes.map(({ name }) => name),
    ...Object.keys(actions?.actions ?? {}),
  ]
  const problem = condition == null ? undefined : unknownInCondition(condition, known)
  if (problem !== undefined) throw new Fault('invalid_value', problem, { kind: 'unknown_action' })
}

export const limitsShown = {
  condition: z.string().nullable(),
  budgets: z.array(
    z.strictObject({
      unit: z.enum(['calls', 'money', 'rows', 'bytes']),
      currency: z.string().nullable(),
      limit: z.number(),
      window_seconds: z.number(),
      burst: z.number(),
      left: z.number().optional().meta({ description: 'What is left now; where one grant is looked at' }),
    }),
  ),
}

export function showLimits(
  { condition = null, budgets = [] }: Pick<Grant, 'condition' | 'budgets'>,
  left: readonly number[] = [],
) {
  return {
    condition,
    budgets: budgets.map(({ unit, currency, limit, windowSeconds, burst }, at) => ({
      unit,
      currency,
      limit,
      window_seconds: windowSeconds,
      burst,
      ...(left[at] === undefined ? {} : { left: left[at] }),
    })),
  }
}
