// Approvals: one decision each, by somebody who has no part in it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AgentId, ApprovalId, InstanceId } from '@writ/sdk/protocol/identifier'
import fc from 'fast-check'
import {
  type Approval,
  type ApprovalMove,
  type ApprovalState,
  dueAtOf,
  mayJudge,
  moveApproval,
  stateOf,
} from './approval.ts'

const pending: Approval = {
  id: 'apr_1' as ApprovalId,
  kind: 'access_request',
  asked: {
    agent: 'agt_1' as AgentId,
    instance: 'ins_1' as InstanceId,
    person: null,
    eligibility: null,
    resource: 'https://api.example',
    scopes: ['read'],
    authorizationDetails: [],
    operation: null,
    seconds: 60,
  },
  reason: 'needed',
  breakGlass: false,
  requestedBy: 'agt_pep',
  state: 'pending',
  decidedBy: null,
  decisionReason: null,
  approved: null,
  approvedUntil: null,
  grant: null,
  review: null,
  callback: null,
  expiresAt: 100,
  createdAt: 1,
  stateAt: 1,
}

const moves: readonly ApprovalMove[] = ['approve', 'deny', 'expire', 'cancel', 'fail', 'part']
const ends: Readonly<Record<ApprovalMove, ApprovalState>> = {
  approve: 'approved',
  deny: 'denied',
  expire: 'expired',
  cancel: 'cancelled',
  fail: 'failed',
  part: 'partial',
}

test('every move leads out of pending to its own end, and expiry alone after its time', () => {
  for (const move of moves) {
    const at = move === 'expire' ? 100 : 99
    assert.equal(moveApproval(pending, move, {}, at)?.state, ends[move])
    assert.equal(moveApproval(pending, move, {}, move === 'expire' ? 99 : 100), undefined, move)
  }
})

test('whatever is tried after the first decision, it stands as it was (property 37)', () => {
  const tries = fc.array(fc.tuple(fc.constantFrom(...moves), fc.integer({ min: 0, max: 200 })))
  fc.assert(
    fc.property(tries, attempts => {
      let approval = pending
      let decided: Approval | undefined
      for (const [move, at] of attempts) {
        const next = moveApproval(approval, move, { decidedBy: move }, at)
        if (decided !== undefined) assert.equal(next, undefined)
        if (next === undefined) continue
        decided = next
        approval = next
      }
      assert.equal(approval, decided ?? pending)
    }),
  )
})

test('one that nobody decided in time is expired to whoever asks, before anybody has written it down', () => {
  assert.equal(stateOf(pending, 99), 'pending')
  assert.equal(stateOf(pending, 100), 'expired')
  assert.equal(stateOf({ ...pending, state: 'approved' }, 1000), 'approved')
})

test('neither who asked nor who receives judges, nor anybody beside those who are named', () => {
  for (const judge of ['agt_pep', 'agt_1', 'ins_1']) assert.equal(mayJudge(pending, judge, []), false)
  assert.equal(mayJudge(pending, 'agt_2', []), true)
  assert.equal(mayJudge(pending, 'agt_2', ['agt_3']), false)
  assert.equal(mayJudge(pending, 'agt_1', ['agt_1']), false, 'being named does not make it impartial')
  const operation = {
    action: 'read',
    object: null,
    digest: 'd',
    parties: ['agt_1', 'agt_acting', 'usr_1', 'usr_2'],
  }
  const shared = { ...pending, asked: { ...pending.asked, operation } }
  for (const judge of ['agt_acting', 'usr_1', 'usr_2'])
    assert.equal(mayJudge(shared, judge, []), false, judge)
  assert.equal(mayJudge(shared, 'usr_3', []), true)
})

test('a pending one is due at its end, a decided one when its outcome has to be told', () => {
  const callback = { endpoint: 'https://pep.example', state: null, events: [], attempts: 0, dueAt: null }
  assert.equal(dueAtOf(pending), 100)
  const approved = moveApproval({ ...pending, callback }, 'approve', {}, 50)
  assert.equal(approved && dueAtOf(approved), 50)
  const onlyDenials = { ...callback, events: ['denied' as const] }
  const untold = moveApproval({ ...pending, callback: onlyDenials }, 'approve', {}, 50)
  assert.equal(untold && dueAtOf(untold), null)
})
