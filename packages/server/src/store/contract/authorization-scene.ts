// Records of what decides at run time, as tests of a store make them.
import type { Approval } from '../../domain/authorization/approval.ts'
import type { Budget } from '../../domain/authorization/budget.ts'
import type { Eligibility } from '../../domain/authorization/eligibility.ts'
import type { Group } from '../../domain/authorization/group.ts'
import type { Halt } from '../../domain/authorization/halt.ts'
import type { PolicySet } from '../../domain/authorization/policy/set.ts'
import type { Risk } from '../../domain/authorization/risk.ts'
import type { Session } from '../../domain/authorization/session.ts'
import { fresh, start, unique } from './scene.ts'

let sets = 0

export const policySetOf = (more: Partial<PolicySet> = {}): PolicySet => ({
  id: fresh('pol'),
  number: ++sets,
  source: 'permit (principal, action, resource);',
  digest: unique(),
  actions: [],
  state: 'draft',
  note: 'first',
  createdAt: start,
  createdBy: fresh('agt'),
  stateAt: start,
  activatedAt: null,
  ...more,
})

export const groupOf = (more: Partial<Group> = {}): Group => ({
  id: fresh('grp'),
  name: unique(),
  description: 'those who may',
  createdAt: start,
  updatedAt: start,
  ...more,
})

export const sessionOf = (more: Partial<Session> = {}): Session => ({
  id: fresh('ses'),
  agent: fresh('agt'),
  instance: fresh('ins'),
  task: 'sorts the post',
  key: unique(),
  peer: '192.0.2.1',
  createdAt: start,
  expiresAt: start + 3600,
  endedAt: null,
  endReason: null,
  ...more,
})

export const riskOf = (more: Partial<Risk> = {}): Risk => ({
  id: fresh('agt'),
  score: 40,
  reason: 'a new address',
  source: fresh('agt'),
  createdAt: start,
  expiresAt: null,
  ...more,
})

export const eligibilityOf = (more: Partial<Eligibility> = {}): Eligibility => ({
  id: fresh('elg'),
  agent: fresh('agt'),
  resource: 'https://depot.example',
  scopes: ['read'],
  authorizationDetails: [],
  condition: null,
  budgets: [],
  maxSeconds: 600,
  approval: 'required',
  approvers: [],
  breakGlass: false,
  reason: 'on call',
  expiresAt: null,
  createdAt: start,
  createdBy: fresh('usr'),
  revokedAt: null,
  ...more,
})

export const approvalOf = (more: Partial<Approval> = {}): Approval => ({
  id: fresh('apr'),
  kind: 'activation',
  asked: {
    agent: fresh('agt'),
    instance: null,
    person: null,
    eligibility: fresh('elg'),
    resource: 'https://depot.example',
    scopes: ['read'],
    authorizationDetails: [],
    operation: null,
    seconds: 60,
  },
  reason: 'looks for a parcel',
  breakGlass: false,
  requestedBy: fresh('agt'),
  state: 'pending',
  decidedBy: null,
  decisionReason: null,
  approved: null,
  approvedUntil: null,
  grant: null,
  review: null,
  callback: null,
  expiresAt: start + 300,
  createdAt: start,
  stateAt: start,
  ...more,
})

export const haltOf = (more: Partial<Halt> = {}): Halt => ({
  id: fresh('hlt'),
  kind: 'tool',
  target: `https://depot.example#${unique()}`,
  reason: 'misused',
  by: fresh('agt'),
  createdAt: start,
  liftedAt: null,
  liftedBy: null,
  ...more,
})

export const budgetOf = (more: Partial<Budget> = {}): Budget => ({
  unit: 'calls',
  currency: null,
  limit: 3,
  windowSeconds: 60,
  burst: 0,
  ...more,
})
