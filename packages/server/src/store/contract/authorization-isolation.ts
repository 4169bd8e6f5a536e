// What decides at run time, one of everything in a tenant, and every method that reads it.
import type { AgentId } from '@writ/sdk/protocol/identifier'
import type { Change, Put } from '../../domain/change.ts'
import type { EnforcementPoint, UsageRow } from '../authorization.ts'
import type { Store } from '../store.ts'
import {
  approvalOf,
  budgetOf,
  eligibilityOf,
  groupOf,
  haltOf,
  policySetOf,
  riskOf,
  sessionOf,
} from './authorization-scene.ts'
import { grantOf, personOf, type Scene, start, unique } from './scene.ts'

/** One method that reads within a tenant. */
export interface Case<Seeds> {
  /** The same question to either tenant. */
  ask(store: Store, scope: Scene, seeds: Seeds): Promise<unknown>
  /** What the tenant that owns nothing of it gets. */
  readonly nothing: unknown
}

export const usageOf = (grant: string, more: Partial<UsageRow> = {}): UsageRow => ({
  grant,
  scope: 'read',
  tool: '',
  caller: 'agt_1',
  firstAt: start,
  lastAt: start,
  count: 1,
  ...more,
})

export const pointOf = (more: Partial<EnforcementPoint> = {}): EnforcementPoint => ({
  id: unique(),
  label: 'gate',
  node: 'node-1',
  epoch: 1,
  seenMs: start * 1000,
  ...more,
})

export function authorizationSeeds(agent: AgentId) {
  const [group, idle] = [groupOf(), grantOf({ agent, createdAt: start - 9 })]
  return {
    policySet: policySetOf({ state: 'active' }),
    group,
    member: personOf({ groups: [group.id] }),
    session: sessionOf({ agent }),
    risk: riskOf(),
    eligibility: eligibilityOf({ agent }),
    approval: approvalOf({ expiresAt: start }),
    halt: haltOf(),
    idle,
    budget: budgetOf(),
    usage: usageOf(idle.id, { lastAt: start - 1 }),
    point: pointOf(),
  }
}

type Seeds = ReturnType<typeof authorizationSeeds>

export const authorizationChange = (seeds: Seeds): Pick<Change, 'spends'> & { puts: readonly Put[] } => ({
  puts: [
    { put: 'policySet', value: seeds.policySet, ifVersion: 0 },
    { put: 'group', value: seeds.group, ifVersion: 0 },
    { put: 'person', value: seeds.member, ifVersion: 0 },
    { put: 'session', value: seeds.session, ifVersion: 0 },
    { put: 'risk', value: seeds.risk, ifVersion: 0 },
    { put: 'eligibility', value: seeds.eligibility, ifVersion: 0 },
    { put: 'approval', value: seeds.approval, ifVersion: 0 },
    { put: 'halt', value: seeds.halt, ifVersion: 0 },
    { put: 'grant', value: seeds.idle, ifVersion: 0 },
  ],
  spends: [{ grant: seeds.idle.id, budget: seeds.budget, amount: 1, reservation: null }],
})

/** What is counted outside commits. */
export async function plantCounts(scene: Scene, { usage, point }: Seeds): Promise<void> {
  await scene.store.usage.add(scene, [usage])
  await scene.store.enforcementPoints.report(scene, point)
}

const page = { limit: 10 }
const noItems = { items: [], next: null }

export const authorizationCases: Readonly<Record<string, Case<Seeds>>> = {
  'people.members': {
    ask: (store, scope, { group }) => store.people.members(scope, page, group.id),
    nothing: noItems,
  },
  'facts.person': {
    ask: (store, scope, { member }) => store.facts.person(scope, member.id),
    nothing: undefined,
  },
  'facts.governing': {
    ask: (store, scope) => store.facts.governing(scope),
    nothing: { epoch: 0, active: undefined, shadow: undefined, halts: [] },
  },
  'facts.session': {
    ask: (store, scope, { session }) => store.facts.session(scope, session.id),
    nothing: undefined,
  },
  'facts.risk': {
    ask: (store, scope, { risk }) => store.facts.risk(scope, risk.id),
    nothing: { epoch: 0, risk: undefined },
  },
  'policySets.get': {
    ask: (store, scope, { policySet }) => store.policySets.get(scope, policySet.id),
    nothing: undefined,
  },
  'policySets.list': { ask: (store, scope) => store.policySets.list(scope, page, {}), nothing: noItems },
  'policySets.newest': { ask: (store, scope) => store.policySets.newest(scope), nothing: 0 },
  'groups.get': { ask: (store, scope, { group }) => store.groups.get(scope, group.id), nothing: undefined },
  'groups.byName': {
    ask: (store, scope, { group }) => store.groups.byName(scope, group.name),
    nothing: undefined,
  },
  'groups.list': { ask: (store, scope) => store.groups.list(scope, page), nothing: noItems },
  'sessions.get': {
    ask: (store, scope, { session }) => store.sessions.get(scope, session.id),
    nothing: undefined,
  },
  'sessions.list': { ask: (store, scope) => store.sessions.list(scope, page, {}), nothing: noItems },
  'risks.get': { ask: (store, scope, { risk }) => store.risks.get(scope, risk.id), nothing: undefined },
  'risks.list': { ask: (store, scope) => store.risks.list(scope, page), nothing: noItems },
  'eligibilities.get': {
    ask: (store, scope, { eligibility }) => store.eligibilities.get(scope, eligibility.id),
    nothing: undefined,
  },
  'eligibilities.list': {
    ask: (store, scope) => store.eligibilities.list(scope, page, {}),
    nothing: noItems,
  },
  'approvals.get': {
    ask: (store, scope, { approval }) => store.approvals.get(scope, approval.id),
    nothing: undefined,
  },
  'approvals.list': { ask: (store, scope) => store.approvals.list(scope, page, {}), nothing: noItems },
  'approvals.due': { ask: (store, scope) => store.approvals.due(scope, start, 10), nothing: [] },
  'halts.get': { ask: (store, scope, { halt }) => store.halts.get(scope, halt.id), nothing: undefined },
  'halts.list': { ask: (store, scope) => store.halts.list(scope, page, {}), nothing: noItems },
  'usage.of': { ask: (store, scope, { usage }) => store.usage.of(scope, usage.grant, 10), nothing: [] },
  'usage.unused': {
    ask: (store, scope) => store.usage.unused(scope, page, { at: start - 1, now: start }),
    nothing: noItems,
  },
  'budgets.left': {
    ask: (store, scope, { idle, budget }) => store.budgets.left(scope, idle.id, budget, start),
    nothing: { left: 3, moreAt: null },
  },
  'enforcementPoints.list': { ask: (store, scope) => store.enforcementPoints.list(scope, 0), nothing: [] },
}

/** Those that write: each has its test with the others of its port. */
export const authorizationWrites = ['usage.add', 'enforcementPoints.report', 'enforcementPoints.forget']
