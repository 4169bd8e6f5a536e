// The counterfactual of a refusal: the least that would have to be granted, found by judging once more as if it were.
import type { AuthorizationDetail } from '@writ/sdk/protocol/details/detail'
import type { GrantId } from '@writ/sdk/protocol/identifier'
import type { Grant } from '../grant.ts'
import { isApprovalAwaited } from './awaited-approval.ts'
import { leastScope } from './ceiling.ts'
import { judge, type Rules } from './judge.ts'
import type { DecisionFacts, Party, Question, Refusal } from './question.ts'

/** As it could be granted, or filed as a request. */
export type SmallestGrant = Pick<Grant, 'agent' | 'resource' | 'scopes' | 'authorizationDetails' | 'budgets'>

/** Names no grant that exists: identifiers of ours have 26 letters after the prefix. */
const supposed = 'grt_supposed' as GrantId

/** What another grant may help against. A halt, a standing, a ceiling or a policy is not lifted by one. */
const helped: ReadonlySet<Refusal['by']> = new Set(['grant', 'details', 'condition', 'budget', 'approval'])

/**
 * The smallest grant with which the same question would be allowed; undefined where no grant would change the answer.
 * `detail`: one that covers this operation and nothing else, where its kind of object has such a type. A token is a
 * ceiling of its own: it would have to be obtained anew after the grant, so it is left out here.
 */
export function smallestGrant(
  { question: asked, facts, refusal }: Refused,
  rules: Rules,
  detail: AuthorizationDetail | undefined,
): SmallestGrant | undefined {
  // What does not count helps as little as none, and is left out as well.
  const approval = refusal.by === 'approval' ? null : asked.context.approval
  const question = { ...asked, ceiling: null, context: { ...asked.context, approval } }
  const party = [...question.chain, question.subject].find(
    (one): one is Party & { readonly kind: 'agent' } => one.kind === 'agent' && one.id === refusal.party,
  )
  // Where an approval alone is missing, a grant is not.
  if (refusal.by === 'approval' && isApprovalAwaited(question, facts, rules)) return undefined
  const { resource } = facts
  if (party === undefined || resource === undefined || !helped.has(refusal.by)) return undefined
  const scope = leastScope(resource, question.operation.action)
  const details = detail === undefined ? [] : [detail]
  if (scope === undefined && details.length === 0) return undefined
  const smallest: SmallestGrant = {
    agent: party.id,
    resource: resource.identifier,
    scopes: scope === undefined ? [] : [scope],
    authorizationDetails: details,
    budgets: [],
  }
  const granted = suppose(facts, smallest, question.context.nowMs)
  if (judge(question, granted, rules.over(question, granted)).refusal === null) return smallest
  // A policy may ask for an approval on top; whoever files a request for the grant is given both.
  return isApprovalAwaited(question, granted, rules) ? smallest : undefined
}

export interface Refused {
  readonly question: Question
  readonly facts: DecisionFacts
  readonly refusal: Refusal
}

/** The facts as they would be had the grant been given. */
function suppose(facts: DecisionFacts, smallest: SmallestGrant, nowMs: number): DecisionFacts {
  const known = facts.agents.get(smallest.agent)
  if (known === undefined) return facts
  const at = Math.floor(nowMs / 1000)
  const grant: Grant = {
    ...smallest,
    id: supposed,
    reason: 'supposed',
    expiresAt: null,
    createdAt: at,
    createdBy: smallest.agent,
    revokedAt: null,
  }
  const agents = new Map(facts.agents)
  agents.set(smallest.agent, { ...known, grants: [...known.grants, grant] })
  return { ...facts, agents }
}
