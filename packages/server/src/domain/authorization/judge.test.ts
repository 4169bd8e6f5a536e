// The order of checks: whatever is taken away or set against somebody, no answer ever turns from no to yes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentId, GrantId, HaltId, InstanceId, ResourceId } from '@writ/sdk/protocol/identifier'
import fc from 'fast-check'
import type { Agent } from '../agent.ts'
import type { Grant } from '../grant.ts'
import type { Resource } from '../resource.ts'
import type { Halt, HaltKind } from './halt.ts'
import { judge, type Rules } from './judge.ts'
import type { DecisionFacts, Question } from './question.ts'
import { smallestGrant } from './smallest-grant.ts'

const api = 'https://api.example'
const agent: Agent = {
  id: 'agt_1' as AgentId,
  name: 'a',
  owner: 'agt_1' as AgentId,
  purpose: 'x',
  kind: null,
  model: null,
  provider: null,
  softwareVersion: null,
  labels: {},
  status: 'active',
  statusReason: null,
  statusAt: 0,
  expiresAt: null,
  createdAt: 0,
  updatedAt: 0,
}
const leaf = (name: string) => ({ name, description: name, includes: [], sensitive: false })
const resource: Resource = {
  id: 'res_1' as ResourceId,
  identifier: api,
  name: 'API',
  scopes: [leaf('read'), leaf('write'), { ...leaf('all'), includes: ['read', 'write'] }],
  introspectionClients: [],
  bearerAllowed: false,
  actions: { version: 1, actions: { get: { anyOf: ['read'], recorded: [] } } },
  createdAt: 0,
  updatedAt: 0,
}
const question: Question = {
  subject: { kind: 'agent', id: agent.id, instance: null },
  chain: [],
  operation: { action: 'get', resource: api, object: { type: 'tool', id: 'search' }, arguments: {} },
  foreign: null,
  ceiling: null,
  context: {
    nowMs: 1_000_000,
    peer: null,
    session: null,
    task: null,
    authenticationAge: null,
    keyAge: null,
    key: 'key-1',
    approval: null,
    amounts: {},
  },
  claimed: { subject: {}, object: {}, context: {} },
}
const grantOf = (id: string, members: Partial<Grant> = {}): Grant => ({
  id: id as GrantId,
  agent: agent.id,
  resource: api,
  scopes: ['read'],
  reason: 'x',
  expiresAt: null,
  createdAt: 0,
  createdBy: agent.id,
  revokedAt: null,
  ...members,
})
const factsOf = (grants: readonly Grant[], halts: readonly Halt[] = []): DecisionFacts => ({
  agents: new Map([[agent.id, { agent, grants, keys: [] }]]),
  people: new Map(),
  clients: new Map(),
  resource,
  session: undefined,
  approval: undefined,
  risks: new Map(),
  policies: { active: undefined, shadow: undefined },
  halts,
})
const rules: Rules = {
  tenant: 'https://writ.example',
  over: () => rules,
  covers: () => false,
  policy: (_party, granted) => ({ allowed: granted, reasons: [], errors: [], readsClock: false }),
  condition: text => ({
    holds: text === 'true' ? true : text === 'false' ? false : 'error',
    readsClock: false,
  }),
}
const isAllowed = (facts: DecisionFacts, asked = question, by = rules): boolean =>
  judge(asked, facts, by).refusal === null

const scopes = fc.subarray(['read', 'write', 'all', 'unknown'])
const grants = fc
  .array(
    fc.record({
      scopes,
      expiresAt: fc.constantFrom(null, 999, 2000),
      revokedAt: fc.constantFrom(null, 5),
      condition: fc.constantFrom(null, 'true', 'false', 'broken'),
      resource: fc.constantFrom(api, 'https://other.example'),
    }),
    { maxLength: 5 },
  )
  .map(all => all.map((members, at) => grantOf(`grt_${at}`, members)))
const targets: Readonly<Record<HaltKind, string>> = {
  agent: agent.id,
  instance: 'ins_1',
  key: 'key-1',
  grant: 'grt_0',
  tool: `${api}#search`,
  resource: api,
  person: 'usr_1',
  tenant: 'https://writ.example',
}
const halt = fc.constantFrom(...(Object.keys(targets) as HaltKind[])).map(
  (kind): Halt => ({
    id: 'hlt_1' as HaltId,
    kind,
    target: targets[kind],
    reason: 'x',
    by: 'agt_2',
    createdAt: 0,
    liftedAt: null,
    liftedBy: null,
  }),
)

test('a halt, a ceiling, a chain or a failing engine never turns a no into a yes', () => {
  fc.assert(
    fc.property(grants, halt, scopes, (held, stands, capped) => {
      if (isAllowed(factsOf(held))) return
      assert.equal(isAllowed(factsOf(held, [stands])), false)
      const ceiling = { grants: held.map(({ id }) => id), scopes: capped, authorizationDetails: [] }
      assert.equal(isAllowed(factsOf(held), { ...question, ceiling }), false)
      const chain = [{ kind: 'other', type: 'user', id: 'alice' }] as const
      assert.equal(isAllowed(factsOf(held), { ...question, chain }), false)
      const broken: Rules = {
        ...rules,
        policy: () => ({ allowed: true, reasons: [], errors: ['p'], readsClock: false }),
      }
      assert.equal(isAllowed(factsOf(held), question, broken), false)
    }),
  )
})

test('a grant more never turns a yes into a no, and a grant less never a no into a yes', () => {
  fc.assert(
    fc.property(grants, grants, (some, more) => {
      const both = [...some, ...more.map((grant, at) => ({ ...grant, id: `grt_more${at}` as GrantId }))]
      if (isAllowed(factsOf(some))) assert.ok(isAllowed(factsOf(both)))
      for (const one of some)
        if (!isAllowed(factsOf(some))) assert.ok(!isAllowed(factsOf(some.filter(grant => grant !== one))))
    }),
  )
})

test('the smallest grant is enough by itself, and nothing smaller is', () => {
  fc.assert(
    fc.property(grants, held => {
      const facts = factsOf(held)
      const { refusal } = judge(question, facts, rules)
      if (refusal === null) return
      const smallest = smallestGrant({ question, facts, refusal }, rules, undefined)
      if (smallest === undefined) return assert.ok(refusal.by === 'ceiling' || refusal.by === 'halt')
      assert.deepEqual(smallest.scopes, ['read'])
      assert.ok(isAllowed(factsOf([...held, grantOf('grt_new', smallest)])))
      assert.ok(!isAllowed(factsOf([...held, grantOf('grt_new', { scopes: [] })])))
    }),
  )
})

test('each check refuses by its name: what ends everything before what lacks', () => {
  const by = (facts: DecisionFacts, asked = question): string =>
    judge(asked, facts, rules).refusal?.by ?? 'allowed'
  const held = factsOf([grantOf('grt_0')])
  const instance = 'ins_1' as InstanceId
  const retired = new Map([[agent.id, { agent: { ...agent, status: 'retired' as const }, grants: [] }]])
  assert.equal(by(held), 'allowed')
  assert.equal(by({ ...held, agents: retired }), 'standing')
  assert.equal(by({ ...held, agents: new Map() }), 'standing')
  assert.equal(by(held, { ...question, subject: { kind: 'agent', id: agent.id, instance } }), 'standing')
  assert.equal(by(held, { ...question, context: { ...question.context, session: 'ses_1' } }), 'session')
  assert.equal(by(held, { ...question, misspelt: 'dot segments' }), 'resource')
  assert.equal(by(held, { ...question, operation: { ...question.operation, action: 'GET' } }), 'resource')
  assert.equal(by({ ...held, resource: undefined }), 'resource')
  assert.equal(by(factsOf([])), 'grant')
  assert.equal(by(factsOf([grantOf('grt_0', { condition: 'false' })])), 'condition')
  assert.equal(
    by(factsOf([grantOf('grt_0', { authorizationDetails: [{ type: 'nobody_knows' }] })])),
    'details',
  )
  const foreign = { type: 'record', id: 'record-1' }
  assert.equal(by(held, { ...question, foreign }), 'grant', 'an agent has nothing at what is none of ours')
})

test('a halt of either key stops a call: of the one that authenticated, and of the one that the token is bound to', () => {
  const halted = (target: string): readonly Halt[] => [
    {
      id: 'hlt_1' as HaltId,
      kind: 'key',
      target,
      reason: 'x',
      by: 'agt_2',
      createdAt: 0,
      liftedAt: null,
      liftedBy: null,
    },
  ]
  const token = { jti: 't', key: 'key-1', boundTo: 'key-2', epoch: 0, expiresAt: 2000 }
  const ceiling = { grants: ['grt_0' as GrantId], scopes: ['read'], authorizationDetails: [], token }
  const asked = { ...question, ceiling }
  const held = [grantOf('grt_0')]
  assert.equal(isAllowed(factsOf(held, halted('key-3')), asked), true)
  for (const key of ['key-1', 'key-2']) assert.equal(isAllowed(factsOf(held, halted(key)), asked), false, key)
})
