// Policies that ask for an approval, over the real engine: what would be allowed with one can be asked for.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentId, GrantId, PolicySetId, ResourceId } from '@writ/sdk/protocol/identifier'
import { rulesOf } from '../../decision/rules.ts'
import type { Grant } from '../grant.ts'
import { isApprovalAwaited } from './awaited-approval.ts'
import { judge } from './judge.ts'
import type { PolicySet } from './policy/set.ts'
import type { DecisionFacts, Question } from './question.ts'
import { smallestGrant } from './smallest-grant.ts'

const id = 'agt_00000000000000000000000001' as AgentId
const api = 'https://api.example'

const question: Question = {
  subject: { kind: 'agent', id, instance: null },
  chain: [],
  operation: { action: 'write', resource: api, object: null, arguments: {} },
  foreign: null,
  ceiling: null,
  context: {
    nowMs: 1_700_000_000_000,
    peer: null,
    session: null,
    task: null,
    authenticationAge: null,
    keyAge: null,
    key: null,
    approval: null,
    amounts: {},
  },
  claimed: { subject: {}, object: {}, context: {} },
}

const grant: Grant = {
  id: 'grt_00000000000000000000000001' as GrantId,
  agent: id,
  resource: api,
  scopes: ['write'],
  reason: 'x',
  expiresAt: null,
  createdAt: 1,
  createdBy: id,
  revokedAt: null,
}

const setOf = (source: string): PolicySet => ({
  id: 'pol_00000000000000000000000001' as PolicySetId,
  number: 1,
  source,
  digest: source,
  actions: ['write'],
  state: 'active',
  note: '',
  createdAt: 1,
  createdBy: id,
  stateAt: 1,
  activatedAt: 1,
})

function factsOf(active: PolicySet, grants: readonly Grant[]): DecisionFacts {
  const agent = {
    id,
    name: 'a',
    owner: id,
    purpose: 'x',
    kind: null,
    model: null,
    provider: null,
    softwareVersion: null,
    labels: {},
    status: 'active',
    statusReason: null,
    statusAt: 1,
    expiresAt: null,
    createdAt: 1,
    updatedAt: 1,
  } as const
  return {
    agents: new Map([[id, { agent, grants }]]),
    people: new Map(),
    clients: new Map(),
    resource: {
      id: 'res_00000000000000000000000001' as ResourceId,
      identifier: api,
      name: 'API',
      scopes: [{ name: 'write', description: 'Writes', includes: [], sensitive: false }],
      introspectionClients: [],
      bearerAllowed: false,
      createdAt: 1,
      updatedAt: 1,
    },
    session: undefined,
    approval: undefined,
    risks: new Map(),
    policies: { active, shadow: undefined },
    halts: [],
  }
}

const judged = (source: string, grants: readonly Grant[]) => {
  const set = setOf(source)
  const facts = factsOf(set, grants)
  const rules = rulesOf({ issuer: 'https://writ.example' }, question, facts, set)
  const { refusal } = judge(question, facts, rules)
  return { refusal, facts, rules, isAwaited: isApprovalAwaited(question, facts, rules) }
}

const asksApproval = '@id("four-eyes") forbid(principal, action, resource) unless { context has approval };'
const refusesAnyway =
  '@id("never") forbid(principal, action, resource) when { context.granted || context has approval };'

test('a policy that asks for an approval is told from one that refuses anyway', () => {
  const asked = judged(asksApproval, [grant])
  assert.equal(asked.refusal?.by, 'policy')
  assert.equal(asked.isAwaited, true)
  const never = judged(refusesAnyway, [grant])
  assert.equal(never.refusal?.by, 'policy')
  assert.equal(never.isAwaited, false)
  assert.equal(judged(asksApproval, []).isAwaited, false, 'without a grant an approval alone is not enough')
})

test('where grant and approval are missing, the request for the grant is enough for both', () => {
  const { refusal, facts, rules } = judged(asksApproval, [])
  assert.equal(refusal?.by, 'grant')
  assert.ok(refusal !== null)
  const smallest = smallestGrant({ question, facts, refusal }, rules, undefined)
  assert.deepEqual(smallest?.scopes, ['write'])
  const hopeless = judged(refusesAnyway, [])
  assert.ok(hopeless.refusal !== null)
  const none = smallestGrant({ ...hopeless, refusal: hopeless.refusal, question }, hopeless.rules, undefined)
  assert.equal(none, undefined)
})
