// Policies against the schema, in batches: the engine checks each policy once for every action that the schema has.
import { type PolicyProblem, validatePolicies } from './cedar.ts'
import { schemaWith } from './schema.ts'
import type { Statement } from './statements.ts'

/** How many actions the policies of one batch name together, unless one of them names more. */
const mostActions = 8
/** Parts of policies times the actions they are checked for; this much takes the engine some seconds (threat C44). */
const mostWork = 500_000

export interface Batch {
  readonly statements: readonly Statement[]
  readonly actions: readonly string[]
}

/**
 * The policies in batches that name few actions. All actions have one type, so a policy is told the same with and
 * without those that it does not name, and costs as much less.
 */
export function batchesOf(statements: readonly Statement[]): readonly Batch[] {
  const alike = Map.groupBy(statements, ({ actions }) => JSON.stringify([...actions].sort()))
  const batches: { statements: Statement[]; actions: Set<string> }[] = []
  for (const [, those] of [...alike].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const named = those[0]?.actions ?? []
    const last = batches.at(-1)
    // Those that name none are checked for one action, and for no more of them on account of others.
    if (last !== undefined && isRoom(last.actions, named)) {
      last.statements.push(...those)
      for (const action of named) last.actions.add(action)
    } else batches.push({ statements: [...those], actions: new Set(named) })
  }
  return batches.map(batch => ({ statements: batch.statements, actions: [...batch.actions] }))
}

function isRoom(actions: ReadonlySet<string>, more: readonly string[]): boolean {
  return actions.size > 0 && more.length > 0 && new Set([...actions, ...more]).size <= mostActions
}

/** What the schema has against the policies, in their order. */
export function validate(statements: readonly Statement[]): readonly PolicyProblem[] {
  const batches = batchesOf(statements)
  let left = mostWork
  for (const { statements: those, actions } of batches) {
    for (const { id, line, tree } of those) {
      left -= partsOf(tree) * (actions.length + 1)
      if (left < 0)
        return [{ policy: id, line, say: 'The set is too much to check: split it, or name fewer actions.' }]
    }
  }
  const lines = new Map(statements.map(({ id, line }) => [id, line]))
  return batches
    .flatMap(({ statements: those, actions }) =>
      validatePolicies(schemaWith(actions), Object.fromEntries(those.map(({ id, text }) => [id, text]))),
    )
    .map(problem => {
      const start = lines.get(problem.policy ?? '')
      // The engine counts within the policy.
      return { ...problem, line: start === undefined ? problem.line : start + (problem.line ?? 1) - 1 }
    })
    .sort((a, b) => (a.line ?? 0) - (b.line ?? 0))
}

/** How many operators, members and values a parsed policy is made of. */
function partsOf(tree: unknown): number {
  let parts = 0
  const open: unknown[] = [tree]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    parts += 1
    if (typeof node === 'object' && node !== null) open.push(...Object.values(node))
  }
  return parts
}
