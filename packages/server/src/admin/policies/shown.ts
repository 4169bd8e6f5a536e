// Policy sets as the wire shows them, and what is wrong with a text in words that say what to do.
import { Fault } from '@writ/sdk/protocol/fault'
import { z } from 'zod'
import type { Ctx } from '../../context.ts'
import { checkPolicies } from '../../domain/authorization/policy/check.ts'
import type { PolicySet } from '../../domain/authorization/policy/set.ts'
import type { Versioned } from '../../domain/change.ts'
import { access } from '../access.ts'
import type { About, Reads } from '../operation.ts'
import * as wire from '../wire.ts'

/** A set is shown in full by itself, and without its text in lists. */
const members = {
  id: wire.id('pol'),
  number: z.number().int(),
  state: z.enum(['draft', 'shadow', 'active', 'former']),
  note: z.string(),
  digest: z.string().meta({ description: 'SHA-256 of the text, base64url' }),
  actions: z.array(z.string()),
  created_at: wire.shownInstant,
  created_by: z.string(),
  activated_at: wire.shownInstant.nullable(),
}

export const policySetListed = z.strictObject(members).meta({ id: 'PolicySetListed' })
export const policySetShown = z.strictObject({ ...members, source: z.string() }).meta({ id: 'PolicySet' })

export function listPolicySet(set: PolicySet): z.input<typeof policySetListed> {
  return {
    id: set.id,
    number: set.number,
    state: set.state,
    note: set.note,
    digest: set.digest,
    actions: [...set.actions],
    created_at: wire.rfc3339(set.createdAt),
    created_by: set.createdBy,
    activated_at: wire.rfc3339OrNull(set.activatedAt),
  }
}

export function showPolicySet(set: PolicySet): z.input<typeof policySetShown> {
  return { ...listPolicySet(set), source: set.source }
}

export const problemShown = z
  .strictObject({ policy: z.string().nullable(), line: z.number().int().nullable(), say: z.string() })
  .meta({ id: 'PolicyProblem' })

export type ShownProblem = z.input<typeof problemShown>

/** Longest request with a set in it: each character of the text may be six in JSON. */
export const policyRequestBytes = 1024 * 1024

/** Cedar text; how long it may be is judged in bytes, before it is parsed. */
export const policyText = z
  .string()
  .max(policyRequestBytes)
  .meta({ description: 'Cedar policies, at most 128 KiB' })

export const policyActions = z
  .array(z.string().min(1).max(128))
  .max(512)
  .optional()
  .meta({ description: 'Names of actions that no registered resource has' })

export interface Proposed {
  readonly source: string
  readonly actions?: readonly string[] | undefined
}

/** What is wrong with a proposed set, held against the actions of everything that is registered. */
export async function problemsOf(ctx: Ctx, deps: Reads, proposed: Proposed): Promise<ShownProblem[]> {
  const known = new Set([...Object.keys(access), ...(proposed.actions ?? [])])
  for (let after: string | undefined; ; ) {
    const page = await deps.store.resources.list(ctx, {
      limit: 200,
      ...(after === undefined ? {} : { after }),
    })
    for (const { scopes, actions } of page.items) {
      for (const { name } of scopes) known.add(name)
      for (const name of Object.keys(actions?.actions ?? {})) known.add(name)
    }
    if (page.next === null) break
    after = page.next
  }
  return [...checkPolicies(proposed.source, known)]
}

/** Throws `invalid_value` that names the first policy, line and problem. */
export function mustBeValid(problems: readonly ShownProblem[]): void {
  const [first, ...others] = problems
  if (first === undefined) return
  const where = [
    ...(first.policy === null ? [] : [`policy ${first.policy}`]),
    ...(first.line === null ? [] : [`line ${first.line}`]),
  ].join(', ')
  const more = others.length === 0 ? '' : ` There are ${others.length} more.`
  throw new Fault('invalid_value', `${where === '' ? '' : `${where}: `}${first.say}${more}`, {
    kind: 'invalid_policies',
    problems: problems.length,
  })
}

export async function findPolicySet(ctx: Ctx, deps: Reads, id: string): Promise<Versioned<PolicySet>> {
  const set = await deps.store.policySets.get(ctx, id)
  if (set === undefined)
    throw new Fault('not_found', 'There is no such policy set.', { kind: 'no_policy_set' })
  return set
}

/** What an entry says of a set; never its text, which may name what not every reader of the log should know. */
export function aboutPolicySet({ id, number, digest }: PolicySet, reason: string | null): About {
  return { reason, facts: { policy_set: id, number, digest } }
}
