// The map from a resource's actions to the scopes they need, as the API takes and shows it; each change a new version.
import type { ActionRule, ScopeActionMap } from '@writ/sdk/protocol/details/scope-actions'
import { Fault } from '@writ/sdk/protocol/fault'
import { isScopeToken } from '@writ/sdk/protocol/scope'
import { z } from 'zod'
import { actionProblem, textProblem } from '../../domain/authorization/spelling.ts'
import type { Scope } from '../../domain/resource.ts'

const maxActions = 256

const plainName = z
  .string()
  .min(1)
  .max(128)
  .refine(text => textProblem(text) === undefined, 'is not in its one spelling')

export const actionsGiven = z
  .record(
    plainName,
    z.strictObject({
      any_of: z
        .array(z.string().min(1).max(128).refine(isScopeToken, 'is not a scope token'))
        .min(1)
        .max(16)
        .meta({ description: 'Any one of these scopes is enough' }),
      recorded: z
        .array(plainName)
        .max(32)
        .optional()
        .meta({ description: 'Arguments whose values are kept in the record of a decision; no others are' }),
    }),
  )
  .refine(actions => Object.keys(actions).length <= maxActions, `has more than ${maxActions} actions`)
  .meta({ description: 'What each action needs; one without a row needs the scope of its own name' })

export const actionsShown = {
  actions: z
    .record(z.string(), z.strictObject({ any_of: z.array(z.string()), recorded: z.array(z.string()) }))
    .nullable(),
  actions_version: z.int().nullable().meta({ description: 'Grows by one with each change of the map' }),
}

type Given = z.output<typeof actionsGiven>

interface Shown {
  readonly actions: Record<string, { any_of: string[]; recorded: string[] }> | null
  readonly actions_version: number | null
}

export function showActions(map: ScopeActionMap | null | undefined): Shown {
  if (map == null) return { actions: null, actions_version: null }
  const rows = Object.entries(map.actions).map(
    ([name, { anyOf, recorded }]): [string, { any_of: string[]; recorded: string[] }] => [
      name,
      { any_of: [...anyOf], recorded: [...recorded] },
    ],
  )
  return { actions: Object.fromEntries(rows), actions_version: map.version }
}

/** The first version of a map; null where there is none. */
export const mapOf = (given: Given | undefined, scopes: readonly Scope[]): ScopeActionMap | null =>
  nextMap(null, given, scopes)

/**
 * The map after a change of it or of the scopes. A map that was there stays one: emptied, so that its version goes on.
 * Throws `invalid_value` for a scope that the resource does not have, and for two spellings of one action.
 */
export function nextMap(
  before: ScopeActionMap | null | undefined,
  given: Given | undefined,
  scopes: readonly Scope[],
): ScopeActionMap | null {
  const actions = given === undefined ? (before?.actions ?? {}) : rulesOf(given)
  mustKnow(actions, scopes)
  if (given === undefined) return before ?? null
  mustBeApart(Object.keys(actions))
  if (before != null && textOf(before.actions) === textOf(actions)) return before
  return { version: (before?.version ?? 0) + 1, actions }
}

function rulesOf(given: Given): Readonly<Record<string, ActionRule>> {
  return Object.fromEntries(
    Object.entries(given).map(([name, { any_of, recorded = [] }]) => [
      name,
      { anyOf: [...new Set(any_of)], recorded: [...new Set(recorded)] },
    ]),
  )
}

function mustKnow(actions: ScopeActionMap['actions'], scopes: readonly Scope[]): void {
  const known = new Set(scopes.map(({ name }) => name))
  for (const [action, { anyOf }] of Object.entries(actions)) {
    const unknown = anyOf.find(name => !known.has(name))
    if (unknown !== undefined)
      throw new Fault(
        'invalid_value',
        `The action ${action} needs ${unknown}, which is no scope of the resource.`,
        {
          kind: 'unknown_scope',
          scope: unknown,
        },
      )
  }
}

/** A rule about `pay` would be passed by `Pay`. */
function mustBeApart(names: readonly string[]): void {
  const folded = new Set(names.map(name => name.normalize('NFKC').toLowerCase()))
  const other = names.find(name => actionProblem(name, []) !== undefined)
  if (folded.size === names.length && other === undefined) return
  throw new Fault(
    'invalid_value',
    'The member actions has two spellings of one action, or one of a common action.',
    {
      kind: 'action_spelling',
    },
  )
}

const textOf = (actions: ScopeActionMap['actions']): string =>
  JSON.stringify(Object.entries(actions).sort(([a], [b]) => (a < b ? -1 : 1)))
