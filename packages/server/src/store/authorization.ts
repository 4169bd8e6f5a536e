// The ports of what decides at run time: policies, groups, sessions, risk, tasks to approve, budgets, use, enforcement.
import type { Approval } from '../domain/authorization/approval.ts'
import type { Budget } from '../domain/authorization/budget.ts'
import type { Eligibility } from '../domain/authorization/eligibility.ts'
import type { Group } from '../domain/authorization/group.ts'
import type { Halt } from '../domain/authorization/halt.ts'
import type { PolicySet } from '../domain/authorization/policy/set.ts'
import type { Risk } from '../domain/authorization/risk.ts'
import type { Session } from '../domain/authorization/session.ts'
import type { Versioned } from '../domain/change.ts'
import type { Grant } from '../domain/grant.ts'
import type { Page, PageRequest, Scope } from './page.ts'

export interface Groups {
  get(scope: Scope, id: string): Promise<Versioned<Group> | undefined>
  byName(scope: Scope, name: string): Promise<Versioned<Group> | undefined>
  list(scope: Scope, page: PageRequest): Promise<Page<Versioned<Group>>>
}

export interface PolicySets {
  get(scope: Scope, id: string): Promise<Versioned<PolicySet> | undefined>
  list(scope: Scope, page: PageRequest, filter: { state?: string }): Promise<Page<Versioned<PolicySet>>>
  /** The highest number given so far; 0 before the first set. */
  newest(scope: Scope): Promise<number>
}

export interface Sessions {
  get(scope: Scope, id: string): Promise<Versioned<Session> | undefined>
  list(
    scope: Scope,
    page: PageRequest,
    filter: { agent?: string; instance?: string },
  ): Promise<Page<Versioned<Session>>>
}

export interface Risks {
  get(scope: Scope, id: string): Promise<Versioned<Risk> | undefined>
  list(scope: Scope, page: PageRequest): Promise<Page<Versioned<Risk>>>
}

export interface Eligibilities {
  get(scope: Scope, id: string): Promise<Versioned<Eligibility> | undefined>
  list(
    scope: Scope,
    page: PageRequest,
    filter: { agent?: string; resource?: string },
  ): Promise<Page<Versioned<Eligibility>>>
}

export interface Approvals {
  get(scope: Scope, id: string): Promise<Versioned<Approval> | undefined>
  list(
    scope: Scope,
    page: PageRequest,
    filter: { agent?: string; state?: string; kind?: string; unreviewed?: true },
  ): Promise<Page<Versioned<Approval>>>
  /** At most `limit` with something to do at or before `now`: to expire, or to tell of; those due longest first. */
  due(scope: Scope, now: number, limit: number): Promise<readonly Versioned<Approval>[]>
}

export interface Halts {
  get(scope: Scope, id: string): Promise<Versioned<Halt> | undefined>
  list(
    scope: Scope,
    page: PageRequest,
    filter: { live?: true; target?: string },
  ): Promise<Page<Versioned<Halt>>>
}

/** What one caller did under one scope of a grant, with one tool: the raw material of right-sizing. */
export interface UsageRow {
  readonly grant: string
  /** Empty where the tool is an operation of ours, which has one scope. */
  readonly scope: string
  /** The tool, object or operation; empty where only the scope is known, and for what is beyond counting by name. */
  readonly tool: string
  readonly caller: string
  readonly firstAt: number
  readonly lastAt: number
  readonly count: number
}

/** Counts of use. They are sums that a node keeps for some seconds and then adds: a crash loses those, and no entry. */
export interface Usage {
  /**
   * Adds the counts to those that stand; the earliest first and the latest last use of both are kept. Those of a grant
   * that the tenant does not have are dropped: nobody checked them, and nothing would ever forget them.
   */
  add(scope: Scope, rows: readonly UsageRow[]): Promise<void>
  /** The newest use first, at most `limit`. */
  of(scope: Scope, grant: string, limit: number): Promise<readonly UsageRow[]>
  /** Live grants that nobody used since that instant and that were given before it, in the order of creation. */
  unused(
    scope: Scope,
    page: PageRequest,
    since: { readonly at: number; readonly now: number },
  ): Promise<Page<Versioned<Grant> & { readonly lastUsedAt: number | null }>>
}

/** What the store knows of a budget at an instant; what was spent is judged at commit. */
export interface Budgets {
  /** What is left of it now, and the first instant at which more will be. */
  left(
    scope: Scope,
    grant: string,
    budget: Budget,
    now: number,
  ): Promise<{ readonly left: number; readonly moreAt: number | null }>
}

/** One connection that enforces what it hears over the revocation stream, on whatever node. */
export interface EnforcementPoint {
  /** Unguessable; given to the connection alone. */
  readonly id: string
  /** What it protects or is, as it says: a label. */
  readonly label: string
  readonly node: string
  /** Up to which epoch it has said to enforce everything. */
  readonly epoch: number
  /** Epoch milliseconds of its last word. */
  readonly seenMs: number
}

export interface EnforcementPoints {
  /** The word of one connection; an older epoch takes nothing back. */
  report(scope: Scope, point: EnforcementPoint): Promise<void>
  /** Its connection has ended: nothing is asked of it any more. */
  forget(scope: Scope, id: string): Promise<void>
  /** Those heard of since that instant. */
  list(scope: Scope, sinceMs: number): Promise<readonly EnforcementPoint[]>
}

/** Policies in force and in trial, and what is halted, read at one epoch. */
export interface Governing {
  readonly epoch: number
  readonly active: PolicySet | undefined
  readonly shadow: PolicySet | undefined
  /** Those that were not lifted. */
  readonly halts: readonly Halt[]
}
