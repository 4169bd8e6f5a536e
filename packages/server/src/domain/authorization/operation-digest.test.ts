// The digest of an operation: the same for the same, another for any other (property 36).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentId, ApprovalId, InstanceId, PersonId } from '@writ/sdk/protocol/identifier'
import fc from 'fast-check'
import type { Approval } from './approval.ts'
import { approvalFor } from './approved-operation.ts'
import { bindingMembers, canonicalText, operationDigest } from './operation-digest.ts'
import type { Question } from './question.ts'

const agent = 'agt_1' as AgentId
const id = 'apr_1' as ApprovalId

const question: Question = {
  subject: { kind: 'agent', id: agent, instance: 'ins_1' as InstanceId },
  chain: [{ kind: 'person', id: 'usr_1' as PersonId }],
  operation: {
    action: 'call',
    resource: 'https://api.example',
    object: { type: 'tool', id: 'pay' },
    arguments: { amount: 10, to: 'ada' },
  },
  foreign: null,
  ceiling: null,
  context: {
    nowMs: 1000_000,
    peer: null,
    session: null,
    task: 'invoices',
    authenticationAge: null,
    keyAge: null,
    key: null,
    approval: id,
    amounts: {},
  },
  claimed: { subject: {}, object: {}, context: {} },
}

const approved: Approval = {
  id,
  kind: 'access_request',
  asked: {
    agent,
    instance: 'ins_1' as InstanceId,
    person: null,
    eligibility: null,
    resource: 'https://api.example',
    scopes: ['pay'],
    authorizationDetails: [],
    operation: { action: 'call', object: { type: 'tool', id: 'pay' }, digest: operationDigest(question) },
    seconds: 60,
  },
  reason: 'x',
  breakGlass: false,
  requestedBy: 'agt_pep',
  state: 'approved',
  decidedBy: 'usr_2',
  decisionReason: null,
  approved: { scopes: ['pay'], authorizationDetails: [], seconds: 60 },
  approvedUntil: 1060,
  grant: null,
  review: null,
  callback: null,
  expiresAt: 2000,
  createdAt: 900,
  stateAt: 1000,
}

/** The question with one thing different. */
const others: Readonly<Record<string, Question>> = {
  subject: { ...question, subject: { kind: 'agent', id: 'agt_2' as AgentId, instance: null } },
  instance: { ...question, subject: { kind: 'agent', id: agent, instance: 'ins_2' as InstanceId } },
  chain: { ...question, chain: [] },
  action: { ...question, operation: { ...question.operation, action: 'delete' } },
  resource: { ...question, operation: { ...question.operation, resource: 'https://other.example' } },
  object: { ...question, operation: { ...question.operation, object: { type: 'tool', id: 'refund' } } },
  type: { ...question, operation: { ...question.operation, object: { type: 'http', id: 'pay' } } },
  arguments: { ...question, operation: { ...question.operation, arguments: { amount: 11, to: 'ada' } } },
  task: { ...question, context: { ...question.context, task: 'payroll' } },
  amounts: { ...question, context: { ...question.context, amounts: { money: 1_000_000, currency: 'EUR' } } },
  claim: {
    ...question,
    claimed: { ...question.claimed, object: { owner: { value: 'eve', attested: false, source: 'pep' } } },
  },
}

const refused = (asked: Question, approval: Approval | undefined): string | undefined => {
  const found = approvalFor(asked, approval)
  return 'refusal' in found ? found.refusal.rule : undefined
}

test('canonical texts are equal exactly for equal JSON, whatever the order of members', () => {
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      const text = canonicalText(value)
      assert.equal(canonicalText(JSON.parse(text)), text)
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)))
    }),
  )
  assert.equal(canonicalText({ b: 1, a: { d: [], c: null } }), '{"a":{"c":null,"d":[]},"b":1}')
})

test('another subject, instance, chain, action, object, argument, task or attribute is another operation', () => {
  const digests = [question, ...Object.values(others)].map(operationDigest)
  assert.equal(new Set(digests).size, digests.length)
})

test('a later minute, a new token, a new session or the order of arguments makes no other operation', () => {
  const { operation, context } = question
  const later: Question = {
    ...question,
    ceiling: { grants: [], scopes: ['pay'], authorizationDetails: [] },
    operation: { ...operation, arguments: { to: 'ada', amount: 10 } },
    context: { ...context, nowMs: 1050_000, peer: '192.0.2.1', session: 'ses_1', key: 'k', keyAge: 3 },
    claimed: {
      ...question.claimed,
      context: { time: { value: 'later', attested: false, source: 'pep' } },
    },
  }
  assert.equal(operationDigest(later), operationDigest(question))
  const names = {
    time: 1,
    token: {},
    approval: {},
    peer: '',
    amounts: {},
    arguments: {},
    chain: [],
    region: 'eu',
  }
  assert.deepEqual(bindingMembers(names), ['amounts', 'arguments', 'chain', 'region'])
})

test('only the context has members that change from call to call: the time of a thing is what is asked about', () => {
  const at = (value: string): Question['claimed']['object'] => ({
    time: { value, attested: false, source: 'pep' },
  })
  for (const entity of ['subject', 'object'] as const) {
    const [nine, ten] = ['9:00', '10:00'].map(value => ({
      ...question,
      claimed: { ...question.claimed, [entity]: at(value) },
    }))
    assert.ok(nine !== undefined && ten !== undefined)
    assert.notEqual(operationDigest(nine), operationDigest(ten), entity)
  }
  const acting = { ...question, claimed: { ...question.claimed, subject: { act: at('x')['time'] as never } } }
  assert.equal(operationDigest(acting), operationDigest(question), 'an actor may be named elsewhere')
})

test('an approval counts for the operation it was given for, until its end, and for no other', () => {
  const found = approvalFor(question, approved)
  assert.deepEqual('fact' in found && found.fact, {
    id,
    by: 'usr_2',
    approvedAt: 1000,
    approvedUntil: 1060,
  })
  for (const [what, other] of Object.entries(others)) {
    assert.equal(refused(other, approved), 'out_of_scope', what)
  }
  const at = (nowMs: number): Question => ({ ...question, context: { ...question.context, nowMs } })
  assert.equal(refused(at(1059_999), approved), undefined)
  assert.equal(refused(at(1060_000), approved), 'approval_expired')
  assert.equal(refused({ ...question, askedBy: 'agt_pep' }, approved), undefined)
  assert.equal(refused({ ...question, askedBy: 'agt_other' }, approved), 'approval_unverifiable')
})

test('what was never approved by anybody is no approval', () => {
  for (const state of ['pending', 'denied', 'expired', 'cancelled', 'failed', 'partial'] as const)
    assert.equal(refused(question, { ...approved, state }), 'approval_unverifiable', state)
  assert.equal(refused(question, undefined), 'approval_unverifiable')
  assert.equal(refused(question, { ...approved, id: 'apr_2' as ApprovalId }), 'approval_unverifiable')
  // Broken glass is open, and approved by nobody.
  assert.equal(refused(question, { ...approved, decidedBy: null, breakGlass: true }), 'approval_unverifiable')
  const activation = { ...approved, asked: { ...approved.asked, operation: null } }
  assert.equal(refused(question, activation), 'out_of_scope')
})
